/*
 * Copying disks, several pieces at a time: see disk_copy.h.
 *
 * Each slot reads a piece and writes it in runs: of data, and of zeroes, which a new image has
 * already and another is told to have.
 */
#include "cli/disk_copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"

#define SLOTS     8u
#define ZEROES_AT MIB(256) /* at most this long before signals are looked at again */

bool disk_all_zero(const unsigned char *p, uint64_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

int disk_extent(struct blk *blk, uint64_t at, uint64_t *len, bool own_only,
		enum blk_extent_kind *kind)
{
	int ret = blk_extent(blk, at, len, kind);
	struct blk *below;

	while (!ret && !own_only && *kind == BLK_EXTENT_HOLE) {
		below = strcmp(blk->info.format, "qcow2") ? NULL : qcow2_of(blk)->backing;
		if (!below || at >= below->info.capacity_bytes) {
			*kind = BLK_EXTENT_ZERO;
			break;
		}
		blk = below;
		ret = blk_extent(blk, at, len, kind);
	}
	return ret;
}

void disk_progress_start(struct disk_progress *p, uint64_t total)
{
	*p = (struct disk_progress){.total = total, .show = isatty(STDERR_FILENO)};
}

void disk_progress_at(struct disk_progress *p, uint64_t done)
{
	unsigned percent = (unsigned)MIN(done / MAX(p->total / 100, UINT64_C(1)), UINT64_C(100));

	if (p->show && percent != p->percent) {
		fprintf(stderr, "\r%3u%%", percent);
		fflush(stderr);
	}
	p->percent = percent;
}

void disk_progress_end(struct disk_progress *p)
{
	if (p->show)
		fprintf(stderr, "\r     \r");
}

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
	const struct disk_copy *job;
	uint64_t next, size, sparse;
	unsigned busy;
	int result;
	struct disk_progress progress;
	struct slot slots[SLOTS];
};

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

/* Whether the piece has a run of zeroes at @at. */
static bool zero_at(const struct slot *slot, uint64_t at)
{
	uint64_t unit = slot->copy->sparse;

	return unit && disk_all_zero(slot->buf + at, MIN(unit, slot->len - at));
}

/* The end of what is like the bytes at @at, zeroes or not. */
static uint64_t run_end(const struct slot *slot, uint64_t at, bool zero)
{
	uint64_t unit = slot->copy->sparse ? slot->copy->sparse : slot->len;

	while (at < slot->len && zero_at(slot, at) == zero)
		at = MIN(at + unit, slot->len);
	return at;
}

/* Writes the next run of the piece. */
static void write_next(struct slot *slot)
{
	const struct disk_copy *job = slot->copy->job;
	uint64_t from = slot->done;
	bool zero = from < slot->len && zero_at(slot, from);

	if (zero && job->target_zero) {
		from = run_end(slot, from, true);
		zero = false;
	}
	if (from == slot->len) {
		slot_end(slot, 0);
		return;
	}
	slot->done = run_end(slot, from, zero);
	slot->iov = (struct iovec){slot->buf + from, slot->done - from};
	slot->req = (struct blk_req){.op = zero ? BLK_WRITE_ZEROES : BLK_WRITE,
				     .flags = BLK_REQ_UNMAP,
				     .offset_bytes = slot->offset + from,
				     .len_bytes = slot->done - from,
				     .iov = zero ? NULL : &slot->iov,
				     .iov_count = !zero,
				     .done = written};
	blk_submit(job->to, &slot->req);
	blk_kick(job->to);
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

/* Has the target read as zeroes. */
static void start_zeroes(struct slot *slot, uint64_t len)
{
	struct copy *c = slot->copy;

	slot->offset = c->next;
	slot->len = slot->done = MIN(len, ZEROES_AT);
	slot->req = (struct blk_req){.op = BLK_WRITE_ZEROES,
				     .flags = BLK_REQ_UNMAP,
				     .offset_bytes = slot->offset,
				     .len_bytes = slot->len,
				     .done = written};
	blk_submit(c->job->to, &slot->req);
	blk_kick(c->job->to);
}

static void start_read(struct slot *slot, uint64_t len)
{
	struct copy *c = slot->copy;

	slot->offset = c->next;
	slot->len = MIN(len, DISK_PIECE_BYTES - c->next % DISK_PIECE_BYTES);
	slot->iov = (struct iovec){slot->buf, slot->len};
	slot->req = (struct blk_req){.op = BLK_READ,
				     .offset_bytes = slot->offset,
				     .len_bytes = slot->len,
				     .iov = &slot->iov,
				     .iov_count = 1,
				     .done = was_read};
	blk_submit(c->job->from, &slot->req);
	blk_kick(c->job->from);
}

/* Starts the next piece that something has to be done about. */
static void start(struct slot *slot)
{
	struct copy *c = slot->copy;
	enum blk_extent_kind kind = BLK_EXTENT_DATA;
	uint64_t len = 0;

	while (c->next < c->size) {
		len = c->size - c->next;
		if (!c->sparse && !c->job->own_only)
			break;
		if (disk_extent(c->job->from, c->next, &len, c->job->own_only, &kind) < 0)
			kind = BLK_EXTENT_DATA;
		if (kind == BLK_EXTENT_DATA || (kind == BLK_EXTENT_ZERO && !c->job->target_zero))
			break;
		c->next += len;
	}
	disk_progress_at(&c->progress, c->next);
	if (c->next >= c->size)
		return;
	c->busy++;
	slot->busy = true;
	if (kind == BLK_EXTENT_ZERO)
		start_zeroes(slot, len);
	else
		start_read(slot, len);
	c->next += slot->len;
}

static bool goes_on(const struct copy *c)
{
	return !c->result && !disk_interrupted() && c->next < c->size;
}

int disk_copy(const struct disk_copy *job, struct err *e)
{
	struct copy c = {
		.job = job,
		.size = job->from->info.capacity_bytes,
		.sparse = job->sparse_bytes,
	};
	unsigned i;

	for (i = 0; i < SLOTS; i++) {
		c.slots[i].copy = &c;
		c.slots[i].buf = aligned_alloc(4096, DISK_PIECE_BYTES);
		if (!c.slots[i].buf)
			c.result = -ENOMEM;
	}
	disk_progress_start(&c.progress, c.size);
	/* Pieces are started here only: asking for extents runs the loop. */
	while (c.busy || goes_on(&c)) {
		for (i = 0; i < SLOTS && goes_on(&c); i++)
			if (!c.slots[i].busy)
				start(&c.slots[i]);
		if (c.busy)
			loop_run_once(job->from->loop, 1000);
	}
	for (i = 0; i < SLOTS; i++)
		free(c.slots[i].buf);
	disk_progress_end(&c.progress);
	if (!c.result && disk_interrupted())
		return err_set(e, EINTR, "interrupted");
	if (!c.result)
		c.result = blk_flush(job->to);
	return c.result < 0 ? err_errno(e, -c.result, "cannot copy") : 0;
}
