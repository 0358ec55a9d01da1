/*
 * sarang disk commit: what an image holds itself goes into its backing file; then it is empty.
 *
 * In place. The backing file is written first, and flushed; the image is emptied as a whole then.
 * Whatever the moment of an interruption, the image over its backing file reads as it did, and the
 * command can be given again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "block/qcow2_chain.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

static int open_base(const struct disk *disk, const struct blk_options *image, struct blk **base,
		     struct err *e)
{
	const struct qcow2_header *h = &qcow2_of(disk->blk)->h;
	struct blk_options options = {.format = h->backing_format, .backing_ok = image->backing_ok};
	char *path;
	int ret;

	if (!h->backing_name)
		return err_set(e, EINVAL,
			       "disk %s has no backing file: there is nothing to commit it to",
			       image->path);
	if (!h->backing_format)
		return err_set(e, EINVAL,
			       "disk %s does not say which format its backing file %s has: sarang "
			       "disk rebase -u -b FILE -F FORMAT says it",
			       image->path, h->backing_name);
	ret = qcow2_chain_path(image->path, h->backing_name, "backing file", image, &path, e);
	if (ret < 0)
		return ret;
	options.path = path;
	ret = blk_open(&options, disk->loop, base, e);
	if (ret < 0)
		ret = err_prefix(e, "backing file of %s", image->path);
	free(path);
	return ret;
}

static int commit(struct blk *blk, struct blk *base, const char *path, struct err *e)
{
	struct disk_copy job = {.from = blk,
				.to = base,
				.own_only = true,
				.sparse_bytes = DISK_SPARSE_DEFAULT};
	int ret = 0;

	if (base->info.capacity_bytes < blk->info.capacity_bytes)
		ret = blk_resize(base, blk->info.capacity_bytes, e);
	if (!ret)
		ret = disk_copy(&job, e);
	if (ret == -EINTR)
		return err_set(e, EINTR,
			       "interrupted: disk %s still holds all that it did; commit it again",
			       path);
	return ret ? ret : qcow2_make_empty(qcow2_of(blk), e);
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .format = "qcow2",
				      .backing_ok = settings->backing_ok,
				      .no_backing = true};
	struct blk *base = NULL;
	struct disk disk;
	int ret = disk_open(&disk, &options, e);

	(void)count;
	if (ret < 0)
		return ret;
	if (qcow2_of(disk.blk)->external)
		ret = err_set(e, ENOTSUP,
			      "disk %s has an external data file: what it holds cannot be taken "
			      "out of it",
			      operands[0]);
	if (!ret)
		ret = open_base(&disk, &options, &base, e);
	disk_catch_signals();
	if (!ret)
		ret = commit(disk.blk, base, operands[0], e);
	blk_close(base);
	disk_close(&disk);
	if (!ret)
		printf("Image committed.\n");
	return ret;
}

const struct disk_verb disk_commit = {
	.name = "commit",
	.usage = "FILE",
	.options = " backing-ok ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run,
};
