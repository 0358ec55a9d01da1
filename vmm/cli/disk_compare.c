/*
 * sarang disk compare. Exit statuses as qemu-img's: 0 alike, 1 different, 2 a disk cannot be
 * opened, 3 it cannot be read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/command.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

#define STATUS_CANNOT_OPEN 2
#define STATUS_CANNOT_READ 3

struct comparison {
	struct blk *a, *b;
	unsigned char *bytes, *other;
	struct disk_progress progress;
};

/* How far from @at on both surely read as zeroes. */
static uint64_t zero_in_both(const struct comparison *c, uint64_t at, uint64_t size)
{
	struct blk *const both[] = {c->a, c->b};
	uint64_t len = size - at, part;
	enum blk_extent_kind kind;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(both); i++) {
		part = len;
		if (at >= both[i]->info.capacity_bytes)
			continue;
		if (disk_extent(both[i], at, &part, false, &kind) < 0 || kind == BLK_EXTENT_DATA)
			return 0;
		/* Behind the end it is zeroes as well. */
		if (at + part < both[i]->info.capacity_bytes)
			len = part;
	}
	return len;
}

static int read_padded(struct blk *blk, uint64_t at, unsigned char *bytes)
{
	uint64_t capacity = blk->info.capacity_bytes;

	memset(bytes, 0, DISK_PIECE_BYTES);
	return at < capacity ? blk_pread(blk, at, bytes, MIN(DISK_PIECE_BYTES, capacity - at)) : 0;
}

/* The first offset at which the two differ; UINT64_MAX: nowhere. 0 or -errno. */
static int find_difference(struct comparison *c, uint64_t *where)
{
	uint64_t size = MAX(c->a->info.capacity_bytes, c->b->info.capacity_bytes), at, len, i;
	int ret = 0;

	*where = UINT64_MAX;
	disk_progress_start(&c->progress, size);
	for (at = 0; !ret && at < size && *where == UINT64_MAX; at += len) {
		disk_progress_at(&c->progress, at);
		if (disk_interrupted())
			ret = -EINTR;
		len = zero_in_both(c, at, size);
		if (len || ret)
			continue;
		len = DISK_PIECE_BYTES;
		ret = read_padded(c->a, at, c->bytes);
		if (!ret)
			ret = read_padded(c->b, at, c->other);
		for (i = 0; !ret && i < len && *where == UINT64_MAX; i += 512)
			if (memcmp(c->bytes + i, c->other + i, 512))
				*where = at + i;
	}
	disk_progress_end(&c->progress);
	return ret;
}

static int compare(struct blk *a, struct blk *b, struct err *e)
{
	struct comparison c = {.a = a, .b = b};
	uint64_t where = 0;
	int ret;

	c.bytes = calloc(2, DISK_PIECE_BYTES);
	c.other = c.bytes + DISK_PIECE_BYTES;
	ret = c.bytes ? find_difference(&c, &where) : -ENOMEM;
	free(c.bytes);
	if (ret < 0) {
		if (ret == -EINTR)
			err_set(e, EINTR, "interrupted");
		else
			err_errno(e, -ret, "cannot compare the disks");
		return COMMAND_FAILED(STATUS_CANNOT_READ);
	}
	if (where == UINT64_MAX)
		printf("The disks are alike.\n");
	else
		printf("The disks differ at offset %" PRIu64 ".\n", where);
	return where != UINT64_MAX;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options first = {.path = operands[0],
				    .read_only = true,
				    .backing_ok = settings->backing_ok};
	struct blk_options second = first;
	struct disk a = {0}, b = {0};
	int ret;

	(void)count;
	second.path = operands[1];
	first.format = disk_read_format(operands[0], settings->format, e);
	second.format =
		first.format ? disk_read_format(operands[1], settings->backing_format, e) : NULL;
	ret = second.format ? disk_open(&a, &first, e) : -EINVAL;
	if (!ret)
		ret = disk_open(&b, &second, e);
	if (ret < 0) {
		ret = COMMAND_FAILED(STATUS_CANNOT_OPEN);
	} else {
		disk_catch_signals();
		ret = compare(a.blk, b.blk, e);
	}
	disk_close(&a);
	disk_close(&b);
	return ret;
}

const struct disk_verb disk_compare = {
	.name = "compare",
	.usage = "[-f FORMAT] [-F FORMAT] FILE1 FILE2",
	.options = " format backing-format backing-ok ",
	.operands_min = 2,
	.operands_max = 2,
	.run = run,
};
