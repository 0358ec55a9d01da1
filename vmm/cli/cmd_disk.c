/* sarang disk: making, examining, repairing and converting disk images. One verb a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/command.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"
#include "cli/suggest.h"

static const char *const formats[] = {"raw", "qcow2", NULL};
static const char *const preallocs[] = {"off", "metadata", "falloc", "full", NULL};
static const char *const compressions[] = {"zlib", "zstd", NULL};
static const char *const repairs[] = {"leaks", "all", NULL};
static const char *const patterns[] = {"seq", "rand", NULL};

#define TEXT(name_, letter_, argument_, help_, field_, choices_)                        \
	{                                                                               \
		.name = name_, .letter = letter_, .argument = argument_, .help = help_, \
		.kind = OPTION_TEXT, .offset = offsetof(struct disk_settings, field_),  \
		.choices = choices_                                                     \
	}
#define FLAG(name_, help_, field_)                                 \
	{                                                          \
		.name = name_, .help = help_, .kind = OPTION_FLAG, \
		.offset = offsetof(struct disk_settings, field_)   \
	}

#define SIZE(name_, help_, field_)                                                     \
	{                                                                              \
		.name = name_, .argument = "SIZE", .help = help_, .kind = OPTION_SIZE, \
		.unit_bytes = 1, .offset = offsetof(struct disk_settings, field_)      \
	}
#define NUMBER(name_, help_, field_)                                                  \
	{                                                                             \
		.name = name_, .argument = "N", .help = help_, .kind = OPTION_NUMBER, \
		.offset = offsetof(struct disk_settings, field_)                      \
	}

static const struct option disk_option_list[] = {
	TEXT("format", 'f', "raw|qcow2", "the image's format", format, formats),
	TEXT("output-format", 'O', "raw|qcow2", "convert: the new image's format", out_format,
	     formats),
	TEXT("prealloc", 0, "MODE", "how much is allocated at once: off, metadata, falloc or full",
	     prealloc, preallocs),
	TEXT("backing", 'b', "FILE", "the image under a new one, as seen from the new one's folder",
	     backing, NULL),
	TEXT("data-file", 0, "FILE",
	     "create: holds the disk's bytes, as a raw disk, outside of the qcow2", data_file,
	     NULL),
	TEXT("backing-format", 'F', "raw|qcow2", "its format", backing_format, formats),
	{.name = "unsafe",
	 .letter = 'u',
	 .help = "rebase: only the name is changed; the new backing file is known to hold the same",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct disk_settings, unsafe)},
	SIZE("cluster", "qcow2: the unit of allocation, 512 to 2M (default: 64K)", cluster_bytes),
	FLAG("compress", "convert: into compressed clusters", compress),
	TEXT("compression", 0, "zlib|zstd", "qcow2: what compressed clusters are packed with",
	     compression, compressions),
	TEXT("repair", 0, "leaks|all", "check: put right what can be", repair, repairs),
	SIZE("sparse",
	     "convert: so many zeroes in a row become a hole, up to 1M (default: 4K; 0: none)",
	     sparse_bytes),
	SIZE("size", "bench: bytes of a request (default: 4K); measure: of the disk", size_bytes),
	FLAG("write", "bench: write zeroes instead of reading", write),
	NUMBER("depth", "bench: requests at a time (default: 64)", depth),
	NUMBER("count", "bench: requests in all (default: 75000)", count),
	SIZE("step", "bench: from one request to the next (default: its size)", step_bytes),
	TEXT("pattern", 0, "seq|rand", "bench: where requests go (default: seq)", pattern,
	     patterns),
	FLAG("direct", "bench: past the host's page cache (O_DIRECT)", direct),
	NUMBER("flush-every", "bench: a flush after so many writes", flush_every),
	FLAG("shrink", "resize: a smaller size is meant, and what is behind it is lost", shrink),
	FLAG("chain", "info: the backing files too", chain),
	FLAG("json", "for programs: JSON instead of text", json),
	FLAG("backing-ok", "files that an image names may lie outside of its own folder",
	     backing_ok),
};

static const struct option_table disk_options = {disk_option_list, ARRAY_SIZE(disk_option_list)};

static const struct disk_verb *const verbs[] = {
	&disk_create, &disk_info,   &disk_check, &disk_convert, &disk_resize,  &disk_snapshot,
	&disk_commit, &disk_rebase, &disk_map,   &disk_compare, &disk_measure, &disk_bench,
};

static const char *const verb_names[ARRAY_SIZE(verbs) + 1] = {"create",  "info",    "check",
							      "convert", "resize",  "snapshot",
							      "commit",  "rebase",  "map",
							      "compare", "measure", "bench",
							      NULL};

static const struct disk_verb *find_verb(const char *name, struct err *e)
{
	const char *best = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
		best = suggest_better(name, best, verbs[i]->name);
	}
	if (best)
		err_set(e, EINVAL, "unknown command disk %s; did you mean disk %s?", name, best);
	else
		err_set(e, EINVAL,
			"unknown command disk %s; `sarang help disk` lists what there is", name);
	return NULL;
}

/* Each verb takes some of the options. */
static int check_options(const struct disk_verb *verb, const struct option_args *args,
			 struct err *e)
{
	char name[64];
	size_t i;

	for (i = 0; i < args->item_count; i++) {
		if (args->items[i].table != &disk_options)
			continue;
		snprintf(name, sizeof(name), " %s ", args->items[i].option->name);
		if (!strstr(verb->options, name))
			return err_set(e, EINVAL, "disk %s takes no --%s: sarang disk %s %s",
				       verb->name, args->items[i].option->name, verb->name,
				       verb->usage);
	}
	return 0;
}

static int check_choice(const char *label, const char *value, const char *const *choices,
			struct err *e)
{
	size_t i;

	if (!value)
		return 0;
	for (i = 0; choices[i]; i++)
		if (!strcmp(choices[i], value))
			return 0;
	return err_set(e, EINVAL,
		       "%s cannot be %s: there is %s, %s and so on; see `sarang help "
		       "disk`",
		       label, value, choices[0], choices[1]);
}

static int check_choices(const struct disk_settings *s, struct err *e)
{
	int ret = check_choice("--format", s->format, formats, e);

	if (!ret)
		ret = check_choice("--output-format", s->out_format, formats, e);
	if (!ret)
		ret = check_choice("--backing-format", s->backing_format, formats, e);
	if (!ret)
		ret = check_choice("--prealloc", s->prealloc, preallocs, e);
	if (!ret)
		ret = check_choice("--compression", s->compression, compressions, e);
	if (!ret)
		ret = check_choice("--repair", s->repair, repairs, e);
	if (!ret)
		ret = check_choice("--pattern", s->pattern, patterns, e);
	return ret;
}

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct disk_settings settings = {.sparse_bytes = DISK_SPARSE_DEFAULT,
					 .depth = 64,
					 .count = 75000};
	const struct disk_verb *verb;
	size_t count = args->operand_count;
	int ret;

	(void)self;
	(void)set;
	if (!count)
		return err_set(e, EINVAL,
			       "disk needs to know what to do: `sarang help disk` lists "
			       "what there is");
	verb = find_verb(args->operands[0], e);
	if (!verb)
		return -EINVAL;
	if (count - 1 < verb->operands_min || count - 1 > verb->operands_max)
		return err_set(e, EINVAL, "usage: sarang disk %s %s", verb->name, verb->usage);
	ret = check_options(verb, args, e);
	if (!ret)
		ret = option_apply(args, &disk_options, &settings, e);
	if (!ret)
		ret = check_choices(&settings, e);
	if (!ret)
		ret = verb->run(&settings, args->operands + 1, count - 1, e);
	option_free_fields(&disk_options, &settings);
	return ret;
}

const struct command cmd_disk = {
	.name = "disk",
	.usage =
		"create|info|check|convert|resize|snapshot|commit|rebase|map|compare|measure|bench "
		"[options] FILE ...",
	.summary = "make, examine, repair and convert disk images",
	.text = "create [-f raw|qcow2] [--prealloc off|metadata|falloc|full] [-b BASE -F FORMAT] "
		"[--data-file FILE] [--cluster SIZE] [--compression zstd] FILE SIZE\n"
		"info [-f FORMAT] [--chain] [--json] FILE\n"
		"check [--repair leaks|all] [--json] FILE: exit status 0 clean, 2 corrupt, 3 "
		"leaks\n"
		"convert [-f FORMAT] -O FORMAT [--compress] [--compression zlib|zstd] [--prealloc "
		"MODE] [--sparse SIZE] SOURCE DESTINATION\n"
		"resize [-f FORMAT] [--shrink] FILE [+|-]SIZE\n"
		"snapshot create|apply|delete FILE NAME\n"
		"snapshot list [--json] FILE\n"
		"commit FILE: what it holds goes into its backing file\n"
		"rebase [-u] -b BASE [-F FORMAT] FILE: another backing file under it, or none with "
		"-b \"\"\n"
		"map [-f FORMAT] [--json] FILE\n"
		"compare [-f FORMAT] [-F FORMAT] FILE1 FILE2: exit status 0 alike, 1 different, 2 "
		"or more: not compared\n"
		"measure [-f FORMAT] -O FORMAT [--json] FILE|--size SIZE: how large a new image "
		"becomes\n"
		"bench [-f FORMAT] [--write] [--depth N] [--size SIZE] [--count N] [--step SIZE] "
		"[--pattern seq|rand] [--direct] [--flush-every N] [--json] FILE",
	.options = {&disk_options},
	.operands = verb_names,
	.operands_max = 4,
	.run = run,
};
