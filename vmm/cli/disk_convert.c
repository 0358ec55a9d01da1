/*
 * sarang disk convert and disk compare: whole disks, several pieces at a time.
 *
 * Each slot reads a piece, and writes it unless it is all zeroes, which a new image has already.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/disk.h"

#define SLOTS       8u
#define PIECE_BYTES MIB(1)
#define SPARSE      KIB(64)

struct copy;

struct slot {
	struct copy *copy;
	struct blk_req req;
	struct iovec iov;
	uint64_t offset, len, done;
	bool busy;
	unsigned char *buf;
};

struct copy {
	struct blk *from, *to;
	uint64_t next;
	unsigned busy;
	int result;
	bool keep_zeroes; /* the target may hold something else: a device */
	bool show;
	unsigned percent;
	struct slot slots[SLOTS];
};

static bool all_zero(const unsigned char *p, uint64_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

static void slot_end(struct slot *slot, int result)
{
	struct copy *c = slot->copy;

	if (result < 0 && !c->result)
		c->result = result;
	c->busy--;
	slot->busy = false;
}

static void write_next(struct slot *slot);

static void written(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);

	if (result < 0)
		slot_end(slot, result);
	else
		write_next(slot);
}

/* Writes the next run of what is not zero, in steps of SPARSE. */
static void write_next(struct slot *slot)
{
	uint64_t from = slot->done, end;

	while (from < slot->len && !slot->copy->keep_zeroes &&
	       all_zero(slot->buf + from, MIN(SPARSE, slot->len - from)))
		from = MIN(from + SPARSE, slot->len);
	for (end = from; end < slot->len;) {
		if (!slot->copy->keep_zeroes &&
		    all_zero(slot->buf + end, MIN(SPARSE, slot->len - end)))
			break;
		end = MIN(end + SPARSE, slot->len);
	}
	slot->done = end;
	if (from == end) {
		slot_end(slot, 0);
		return;
	}
	slot->iov = (struct iovec){slot->buf + from, end - from};
	slot->req = (struct blk_req){.op = BLK_WRITE,
				     .offset_bytes = slot->offset + from,
				     .len_bytes = end - from,
				     .iov = &slot->iov,
				     .iov_count = 1,
				     .done = written};
	blk_submit(slot->copy->to, &slot->req);
	blk_kick(slot->copy->to);
}

static void was_read(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);

	slot->done = 0;
	if (result < 0)
		slot_end(slot, result);
	else
		write_next(slot);
}

static void show_progress(struct copy *c)
{
	unsigned percent =
		(unsigned)(c->next / MAX(c->from->info.capacity_bytes / 100, UINT64_C(1)));

	if (c->show && percent != c->percent) {
		fprintf(stderr, "\r%3u%%", MIN(percent, 100u));
		fflush(stderr);
	}
	c->percent = percent;
}

/* Starts the next piece that is not known to be zero. */
static void start(struct slot *slot)
{
	struct copy *c = slot->copy;
	uint64_t size = c->from->info.capacity_bytes, len;
	enum blk_extent_kind kind = BLK_EXTENT_DATA;

	while (c->next < size) {
		len = size - c->next;
		if (c->keep_zeroes || blk_extent(c->from, c->next, &len, &kind) < 0 ||
		    kind != BLK_EXTENT_ZERO)
			break;
		c->next += len;
	}
	show_progress(c);
	if (c->next >= size)
		return;
	slot->offset = c->next;
	slot->len = MIN(PIECE_BYTES - c->next % PIECE_BYTES, size - c->next);
	c->next += slot->len;
	c->busy++;
	slot->busy = true;
	slot->iov = (struct iovec){slot->buf, slot->len};
	slot->req = (struct blk_req){.op = BLK_READ,
				     .offset_bytes = slot->offset,
				     .len_bytes = slot->len,
				     .iov = &slot->iov,
				     .iov_count = 1,
				     .done = was_read};
	blk_submit(c->from, &slot->req);
	blk_kick(c->from);
}

static bool goes_on(const struct copy *c)
{
	return !c->result && !disk_interrupted() && c->next < c->from->info.capacity_bytes;
}

static int copy_all(struct copy *c, struct err *e)
{
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		c->slots[i].copy = c;
		c->slots[i].buf = aligned_alloc(4096, PIECE_BYTES);
		if (!c->slots[i].buf)
			c->result = -ENOMEM;
	}
	/* Pieces are started here only: asking for extents runs the loop. */
	while (c->busy || goes_on(c)) {
		for (i = 0; i < SLOTS && goes_on(c); i++)
			if (!c->slots[i].busy)
				start(&c->slots[i]);
		if (c->busy)
			loop_run_once(c->from->loop, 1000);
	}
	for (i = 0; i < SLOTS; i++)
		free(c->slots[i].buf);
	if (c->show)
		fprintf(stderr, "\r     \r");
	if (!c->result && disk_interrupted())
		return err_set(e, EINTR, "interrupted: nothing was changed");
	if (!c->result)
		c->result = blk_flush(c->to);
	return c->result < 0 ? err_errno(e, -c->result, "cannot copy") : 0;
}

/* Copies @from into the image at @path. */
static int copy_into(struct blk *from, const char *path, const char *format, bool device,
		     struct err *e)
{
	struct blk_options options = {.path = path, .format = format};
	struct copy copy = {.from = from, .keep_zeroes = device, .show = isatty(STDERR_FILENO)};
	int ret = blk_open(&options, from->loop, &copy.to, e);

	if (ret < 0)
		return ret;
	if (copy.to->info.capacity_bytes < from->info.capacity_bytes)
		ret = err_set(e, ENOSPC, "%s is smaller than what is to be copied there", path);
	else
		ret = copy_all(&copy, e);
	blk_close(copy.to);
	return ret;
}

static int run_convert(const struct disk_settings *settings, char *const *operands, size_t count,
		       struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .read_only = true,
				      .backing_ok = settings->backing_ok};
	struct disk_recipe recipe = {.format = settings->out_format, .settings = settings};
	struct disk_new file;
	struct disk disk;
	int ret;

	(void)count;
	if (!settings->out_format)
		return err_set(e, EINVAL,
			       "disk convert needs the new image's format: -O raw or -O "
			       "qcow2");
	options.format = disk_read_format(operands[0], settings->format, e);
	ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
	if (ret < 0)
		return ret;
	recipe.size_bytes = disk.blk->info.capacity_bytes;
	disk_catch_signals();
	ret = disk_new_begin(&file, operands[1], e);
	if (!ret && (!file.device || strcmp(recipe.format, "raw")))
		ret = disk_make(file.temporary, &recipe, e);
	if (!ret)
		ret = copy_into(disk.blk, file.temporary, recipe.format,
				file.device && !strcmp(recipe.format, "raw"), e);
	if (!ret)
		ret = disk_new_commit(&file, e);
	disk_new_abandon(&file);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_convert = {
	.name = "convert",
	.usage = "[-f FORMAT] -O FORMAT [--prealloc MODE] [--cluster SIZE] SOURCE DESTINATION",
	.options = " format output-format prealloc cluster compression backing-ok ",
	.operands_min = 2,
	.operands_max = 2,
	.run = run_convert,
};

/* Where the longer disk has something else than zeroes, or the two differ; UINT64_MAX: nowhere. */
static int find_difference(struct blk *a, struct blk *b, uint64_t *where)
{
	uint64_t size = MAX(a->info.capacity_bytes, b->info.capacity_bytes), at, i;
	unsigned char *bytes = calloc(2, PIECE_BYTES), *other = bytes ? bytes + PIECE_BYTES : NULL;
	int ret = bytes ? 0 : -ENOMEM;

	*where = UINT64_MAX;
	for (at = 0; !ret && at < size && *where == UINT64_MAX; at += PIECE_BYTES) {
		memset(bytes, 0, 2 * PIECE_BYTES);
		if (at < a->info.capacity_bytes)
			ret = blk_pread(a, at, bytes,
					MIN(PIECE_BYTES, a->info.capacity_bytes - at));
		if (!ret && at < b->info.capacity_bytes)
			ret = blk_pread(b, at, other,
					MIN(PIECE_BYTES, b->info.capacity_bytes - at));
		for (i = 0; !ret && i < PIECE_BYTES && *where == UINT64_MAX; i += 512)
			if (memcmp(bytes + i, other + i, 512))
				*where = at + i;
	}
	free(bytes);
	return ret;
}

static int run_compare(const struct disk_settings *settings, char *const *operands, size_t count,
		       struct err *e)
{
	struct blk_options first = {.path = operands[0],
				    .read_only = true,
				    .backing_ok = settings->backing_ok};
	struct blk_options second = first;
	struct disk a = {0}, b = {0};
	uint64_t where;
	int ret;

	(void)count;
	second.path = operands[1];
	first.format = disk_read_format(operands[0], settings->format, e);
	second.format =
		first.format ? disk_read_format(operands[1], settings->backing_format, e) : NULL;
	ret = second.format ? disk_open(&a, &first, e) : -EINVAL;
	if (!ret)
		ret = disk_open(&b, &second, e);
	if (!ret) {
		ret = find_difference(a.blk, b.blk, &where);
		if (ret < 0)
			err_errno(e, -ret, "cannot compare %s and %s", operands[0], operands[1]);
		else if (where != UINT64_MAX)
			printf("The disks differ at offset %" PRIu64 ".\n", where);
		else
			printf("The disks are alike.\n");
		ret = ret < 0 ? ret : where != UINT64_MAX;
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
	.run = run_compare,
};
