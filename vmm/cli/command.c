/* From argv to a sub-command and back to an exit status: see command.h. */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "cli/suggest.h"

struct common_settings {
	bool help;
	bool version;
	bool quiet;
	unsigned verbose;
};

#define COMMON_OPTIONS                                                                 \
	{.name = "help",                                                               \
	 .letter = 'h',                                                                \
	 .help = "show this help",                                                     \
	 .kind = OPTION_FLAG,                                                          \
	 .offset = offsetof(struct common_settings, help)},                            \
		{.name = "verbose",                                                    \
		 .letter = 'v',                                                        \
		 .help = "say more about what is done; twice: much more",              \
		 .kind = OPTION_MORE,                                                  \
		 .offset = offsetof(struct common_settings, verbose)},                 \
	{                                                                              \
		.name = "quiet", .letter = 'q', .help = "no warnings, only errors",    \
		.kind = OPTION_FLAG, .offset = offsetof(struct common_settings, quiet) \
	}

static const struct option common_option_list[] = {COMMON_OPTIONS};
static const struct option global_option_list[] = {
	COMMON_OPTIONS,
	{.name = "version",
	 .help = "show the version",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct common_settings, version)},
};

const struct option_table common_options = {common_option_list, ARRAY_SIZE(common_option_list)};
const struct option_table global_options = {global_option_list, ARRAY_SIZE(global_option_list)};

const struct command *command_find(const struct command_set *set, const char *name, struct err *e)
{
	const char *best = NULL;
	size_t i;

	for (i = 0; i < set->count; i++) {
		if (!strcmp(set->commands[i]->name, name))
			return set->commands[i];
		best = suggest_better(name, best, set->commands[i]->name);
	}
	if (best)
		err_set(e, EINVAL, "unknown command %s; did you mean %s?", name, best);
	else
		err_set(e, EINVAL, "unknown command %s; `sarang help` lists what there is", name);
	return NULL;
}

void command_add_overview(struct strbuf *out, const struct command_set *set)
{
	size_t i;

	strbuf_addstr(out, "Usage: sarang [options] COMMAND [options] ...\n\n"
			   "Runs virtual machines on Linux with KVM.\n\nCommands:\n");
	for (i = 0; i < set->count; i++)
		strbuf_addf(out, "  %-12s %s\n", set->commands[i]->name, set->commands[i]->summary);
	strbuf_addstr(out, "\nOptions:\n");
	option_add_help(out, &global_options);
	strbuf_addstr(out, "\n`sarang help COMMAND` tells more about one of them.\n");
}

void command_add_help(struct strbuf *out, const struct command *command)
{
	const char *text = command->text;
	size_t i;

	strbuf_addf(out, "Usage: sarang %s%s%s\n\n", command->name, *command->usage ? " " : "",
		    command->usage);
	while (*text) {
		size_t len = strcspn(text, "\n");
		char *paragraph = strndup(text, len);

		if (paragraph)
			option_add_wrapped(out, paragraph, 0, 0);
		free(paragraph);
		text += len + (text[len] == '\n');
		strbuf_addstr(out, "\n");
	}
	strbuf_addstr(out, "Options:\n");
	for (i = 0; i < COMMAND_TABLES_MAX && command->options[i]; i++)
		option_add_help(out, command->options[i]);
	option_add_help(out, &common_options);
}

static int set_log_level(const struct common_settings *common, struct err *e)
{
	if (common->quiet && common->verbose)
		return err_set(e, EINVAL, "--quiet and --verbose contradict each other");
	if (common->quiet)
		log_set_level(LOG_ERROR);
	else if (common->verbose)
		log_set_level(common->verbose > 1 ? LOG_DEBUG : LOG_INFO);
	return 0;
}

/* Prints the sentence; @command NULL where it is not about one command's syntax. */
static int fail(const struct command *command, const struct err *e)
{
	fprintf(stderr, "sarang%s%s: %s\n", command ? " " : "", command ? command->name : "",
		e->text);
	return EXIT_FAILURE;
}

static int check_operands(const struct command *command, const struct option_args *args,
			  struct err *e)
{
	if (args->operand_count > command->operands_max)
		return err_set(e, EINVAL, "unexpected argument %s%s%s",
			       args->operands[command->operands_max],
			       command->operand_hint ? "; " : "",
			       command->operand_hint ? command->operand_hint : "");
	if (args->rest_count && !command->takes_rest)
		return err_set(e, EINVAL, "unexpected argument %s after --", args->rest[0]);
	return 0;
}

static int run_command(const struct command_set *set, const struct command *command,
		       struct common_settings *common, int argc, char *const *argv)
{
	const struct option_table *tables[] = {&common_options, command->options[0],
					       command->options[1], NULL};
	struct option_args args;
	struct strbuf help = {0};
	struct err e = {0};
	int ret = option_scan(tables, argc, argv, &args, &e);

	if (ret < 0)
		return fail(command, &e);
	ret = option_apply(&args, &common_options, common, &e);
	if (!ret && common->help) {
		command_add_help(&help, command);
		fputs(help.data, stdout);
		strbuf_free(&help);
		goto out;
	}
	if (!ret)
		ret = set_log_level(common, &e);
	if (!ret)
		ret = check_operands(command, &args, &e);
	if (ret < 0) {
		ret = fail(command, &e);
		goto out;
	}
	ret = command->run(command, set, &args, &e);
	if (ret <= COMMAND_FAILED(0)) {
		fail(NULL, &e);
		ret = COMMAND_FAILED(0) - ret;
	} else if (ret < 0) {
		ret = fail(NULL, &e);
	}
out:
	option_args_free(&args);
	return ret;
}

/* What `sarang` does without a command. */
static int run_bare(const struct command_set *set, const struct common_settings *common)
{
	struct strbuf text = {0};
	bool asked = common->help || common->version;

	if (common->version)
		strbuf_addstr(&text, "sarang " SARANG_VERSION "\n");
	else
		command_add_overview(&text, set);
	fputs(text.data, asked ? stdout : stderr);
	strbuf_free(&text);
	return asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Output that went nowhere is a failure, whatever the command thought of it. */
static int flush_output(int status)
{
	struct err e = {0};

	errno = EIO; /* should an earlier write have failed, and not this one */
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	err_errno(&e, errno, "cannot write to standard output");
	fail(NULL, &e);
	return status ? status : EXIT_FAILURE;
}

int command_main(const struct command_set *set, int argc, char *const *argv)
{
	const struct option_table *const tables[] = {&global_options, NULL};
	const struct command *command;
	struct common_settings common = {0};
	struct option_args args;
	struct err e = {0};
	int first = 1, ret;

	/* No option before the command takes an argument: the first other word is the command. */
	while (first < argc && argv[first][0] == '-')
		first++;
	ret = option_scan(tables, first - 1 > 0 ? first - 1 : 0, argv + 1, &args, &e);
	if (ret < 0)
		return fail(NULL, &e);
	ret = option_apply(&args, &global_options, &common, &e);
	option_args_free(&args);
	if (!ret)
		ret = set_log_level(&common, &e);
	if (ret < 0)
		return fail(NULL, &e);
	if (first >= argc || common.help || common.version)
		return flush_output(run_bare(set, &common));
	command = command_find(set, argv[first], &e);
	if (!command)
		return fail(NULL, &e);
	return flush_output(run_command(set, command, &common, argc - first - 1, argv + first + 1));
}
