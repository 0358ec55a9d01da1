/* sarang disk convert and disk compare. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

static bool is(const char *text, const char *value)
{
	return text && !strcmp(text, value);
}

/* Copies @from into the image at @path. */
static int copy_into(struct blk *from, const char *path, const struct disk_recipe *recipe,
		     bool target_zero, struct err *e)
{
	const struct disk_settings *settings = recipe->settings;
	struct blk_options options = {.path = path, .format = recipe->format};
	struct disk_copy job = {
		.from = from,
		.target_zero = target_zero,
		.sparse_bytes = settings->sparse_bytes,
	};
	int ret = blk_open(&options, from->loop, &job.to, e);

	if (ret < 0)
		return ret;
	if (job.to->info.capacity_bytes < from->info.capacity_bytes)
		ret = err_set(e, ENOSPC, "%s is smaller than what is to be copied there", path);
	else if (settings->compress)
		ret = disk_copy_packed(&job, e);
	else
		ret = disk_copy(&job, e);
	blk_close(job.to);
	return ret;
}

/* Options that contradict each other. */
static int check(const struct disk_settings *s, struct err *e)
{
	if (!s->out_format)
		return err_set(e, EINVAL,
			       "disk convert needs the new image's format: -O raw or -O "
			       "qcow2");
	if (s->compress && strcmp(s->out_format, "qcow2"))
		return err_set(e, EINVAL, "--compress needs -O qcow2: nothing else can hold it");
	if (s->compress && s->prealloc && strcmp(s->prealloc, "off"))
		return err_set(e, EINVAL,
			       "--compress and --prealloc contradict each other: compressed "
			       "clusters have no place of their own");
	if (s->sparse_bytes % 512 || s->sparse_bytes > DISK_PIECE_BYTES)
		return err_set(e, EINVAL, "--sparse is a multiple of 512, up to 1M, or 0");
	return 0;
}

/* Makes @path and fills it from @from. A raw device is what there is already. */
static int convert_to(struct blk *from, const char *path, const struct disk_recipe *recipe,
		      struct err *e)
{
	const char *prealloc = recipe->settings->prealloc;
	struct disk_new file;
	bool raw_device;
	int ret = disk_new_begin(&file, path, e);

	if (ret < 0)
		return ret;
	raw_device = file.device && !strcmp(recipe->format, "raw");
	if (!raw_device)
		ret = disk_make(file.temporary, recipe, e);
	if (!ret)
		/* In space that was asked for, holes would give it back. */
		ret = copy_into(from, file.temporary, recipe,
				!raw_device || is(prealloc, "falloc") || is(prealloc, "full"), e);
	if (!ret)
		ret = disk_new_commit(&file, e);
	if (ret == -EINTR)
		ret = err_set(e, EINTR, "interrupted: %s is %s", path,
			      file.device ? "half written" : "as it was");
	disk_new_abandon(&file);
	return ret;
}

static int run_convert(const struct disk_settings *settings, char *const *operands, size_t count,
		       struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .read_only = true,
				      .backing_ok = settings->backing_ok};
	struct disk_recipe recipe = {.format = settings->out_format, .settings = settings};
	struct disk disk;
	int ret = check(settings, e);

	(void)count;
	if (ret < 0)
		return ret;
	options.format = disk_read_format(operands[0], settings->format, e);
	ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
	if (ret < 0)
		return ret;
	recipe.size_bytes = disk.blk->info.capacity_bytes;
	disk_catch_signals();
	ret = convert_to(disk.blk, operands[1], &recipe, e);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_convert = {
	.name = "convert",
	.usage = "[-f FORMAT] -O FORMAT [--compress] [--compression zlib|zstd] [--prealloc MODE] "
		 "[--sparse SIZE] [--cluster SIZE] SOURCE DESTINATION",
	.options = " format output-format compress compression prealloc sparse cluster backing-ok ",
	.operands_min = 2,
	.operands_max = 2,
	.run = run_convert,
};
