/*
 * Writing metadata back: see qcow2_image.h.
 *
 * A flush copies what is dirty when it begins, and writes it in stages with an fdatasync between
 * each two, so that nothing on disk refers to what is not there yet:
 *
 *   1. refcount blocks (and all data written so far)
 *   2. refcount table, where it changed
 *   3. header, where the refcount table has moved
 *   4. L2 tables
 *   5. L1 table
 *
 * Stages with nothing to write are left out, the common case being one fdatasync (nothing dirty) or
 * two (1 and 4). Whatever the moment of a power cut, each reference on disk has its refcount. Drops
 * of refcounts are made only after the flush that took away the reference: see qcow2_free.c.
 *
 * A flush that fails leaves everything dirty for the next one; only a failed fdatasync is for good,
 * as Linux may have forgotten then what it could not write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_image.h"

#define COPY_ALIGN 4096u

enum stage {
	STAGE_REFBLOCKS,
	STAGE_REFTABLE,
	STAGE_HEADER,
	STAGE_L2,
	STAGE_L1,
	STAGE_END,
};

/* A copy of dirty bytes on its way. */
struct qcow2_writeback {
	struct qcow2 *q;
	struct qcow2_table *table; /* NULL: L1, refcount table, header */
	struct qcow2_writeback *next;
	uint64_t unit, units;
	struct file_req req;
	struct iovec iov;
};

/* A table that is in memory whole. */
struct numbers {
	const uint64_t *table;
	uint64_t count;
	const bool *dirty; /* by block */
	uint64_t offset;
	const char *point;
};

bool qcow2_has_dirty(const struct qcow2 *q)
{
	uint64_t i;

	if (q->cache.dirty || q->reftable_moved || q->header_dirty || q->frees.fresh.count)
		return true;
	for (i = 0; i < qcow2_blocks(q, q->h.l1_entries); i++)
		if (q->l1_dirty[i])
			return true;
	for (i = 0; i < qcow2_blocks(q, q->reftable_entries); i++)
		if (q->reftable_dirty[i])
			return true;
	return false;
}

static struct qcow2_writeback *writeback_new(struct qcow2 *q, uint64_t offset, uint64_t len,
					     const char *point)
{
	struct qcow2_writeback *w = calloc(1, sizeof(*w));
	void *bytes = aligned_alloc(COPY_ALIGN, align_up(len, COPY_ALIGN));

	if (!w || !bytes) {
		free(w);
		free(bytes);
		return NULL;
	}
	w->q = q;
	w->iov = (struct iovec){bytes, len};
	w->req = (struct file_req){
		.op = FILE_WRITE,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &w->iov,
		.iov_count = 1,
		.point = point,
	};
	return w;
}

static void push(struct qcow2_writeback **list, struct qcow2_writeback *w)
{
	w->next = *list;
	*list = w;
}

static bool unit_dirty(const struct qcow2_table *t, uint64_t unit)
{
	return t->dirty_units[unit / 64] & (UINT64_C(1) << (unit % 64));
}

static const char *point_of(const struct qcow2_table *t)
{
	if (t->kind == QCOW2_L2)
		return t->fresh ? "l2_alloc" : "l2_update";
	return t->fresh ? "refblock_alloc" : "refblock_update";
}

/* Copies the dirty units of @t, in runs, and makes it clean. 0 or -ENOMEM. */
static int copy_table(struct qcow2_table *t, struct qcow2_writeback **list)
{
	struct qcow2 *q = t->q;
	uint64_t unit_bytes = MIN(q->cluster_bytes, (uint64_t)QCOW2_DIRTY_UNIT);
	uint64_t units = q->cluster_bytes / unit_bytes, first, end;
	struct qcow2_writeback *w;

	for (first = 0; first < units; first = end) {
		end = first + 1;
		if (!unit_dirty(t, first))
			continue;
		while (end < units && unit_dirty(t, end))
			end++;
		w = writeback_new(q, t->offset + first * unit_bytes, (end - first) * unit_bytes,
				  point_of(t));
		if (!w)
			return -ENOMEM;
		w->table = t;
		w->unit = first;
		w->units = end - first;
		memcpy(w->iov.iov_base, t->bytes + first * unit_bytes, w->iov.iov_len);
		push(list, w);
		t->pins++;
	}
	memset(t->dirty_units, 0, sizeof(t->dirty_units));
	t->dirty = false;
	t->fresh = false;
	return 0;
}

/* Copies all dirty tables of one kind. */
static int copy_tables(struct qcow2 *q, enum qcow2_table_kind kind, struct qcow2_writeback **list)
{
	struct qcow2_table *t = q->cache.dirty, *next, *others = NULL;
	int ret = 0;

	q->cache.dirty = NULL;
	for (; t; t = next) {
		next = t->dirty_next;
		if (!ret && t->kind == kind) {
			ret = copy_table(t, list);
			q->cache.dirty_count -= !ret;
			if (!ret)
				continue;
			/* Some may be copied already: all of it is dirty then. */
			t->dirty = true;
			memset(t->dirty_units, 0xff, sizeof(t->dirty_units));
		}
		t->dirty_next = others;
		others = t;
	}
	q->cache.dirty = others;
	return ret;
}

/* Copies the dirty blocks of a table of big-endian numbers at @offset, in runs. 0 or -ENOMEM. */
static int copy_numbers(struct qcow2 *q, const struct numbers *from, struct qcow2_writeback **list)
{
	uint64_t per_block = qcow2_block_entries(q), first, end, i;
	uint64_t blocks = qcow2_blocks(q, from->count);

	for (first = 0; first < blocks; first = end) {
		uint64_t at = first * per_block;
		struct qcow2_writeback *w;

		end = first + 1;
		if (!from->dirty[first])
			continue;
		while (end < blocks && from->dirty[end])
			end++;
		/* Whole blocks: the clusters are the table's, and zeroes fill them up. */
		w = writeback_new(q, from->offset + at * 8, (end - first) * per_block * 8,
				  from->point);
		if (!w)
			return -ENOMEM;
		memset(w->iov.iov_base, 0, w->iov.iov_len);
		for (i = at; i < MIN(end * per_block, from->count); i++)
			put_be64((char *)w->iov.iov_base + (i - at) * 8, from->table[i]);
		push(list, w);
	}
	return 0;
}

static int copy_header(struct qcow2 *q, struct qcow2_writeback **list)
{
	uint64_t len = q->blk.info.block_bytes;
	struct qcow2_writeback *w = writeback_new(q, 0, len, "header_update");

	if (!w)
		return -ENOMEM;
	qcow2_header_patch(&q->h, q->raw_header);
	memcpy(w->iov.iov_base, q->raw_header, len);
	push(list, w);
	return 0;
}

static void flush_step(struct qcow2 *q);

static void part_ended(struct qcow2 *q, int result)
{
	struct qcow2_flush *f = &q->flush;

	if (result < 0 && !f->result)
		f->result = result;
	if (--f->pending)
		return;
	flush_step(q);
	qcow2_kick(q);
}

/* A copy is on disk, or was not written: then what it came from is dirty again. */
static void writeback_end(struct qcow2_writeback *w, int result)
{
	struct qcow2_table *t = w->table;

	if (t) {
		if (result < 0)
			qcow2_table_dirty(t, w->unit * QCOW2_DIRTY_UNIT,
					  (w->units - 1) * QCOW2_DIRTY_UNIT + 1);
		t->pins--;
	}
	free(w->iov.iov_base);
	free(w);
}

static void writeback_done(struct file_req *req, int result)
{
	struct qcow2_writeback *w = container_of(req, struct qcow2_writeback, req);
	struct qcow2 *q = w->q;

	writeback_end(w, result);
	part_ended(q, result);
}

/* Starts all of @list, which is empty then. */
static void write_list(struct qcow2 *q, struct qcow2_writeback **list)
{
	struct qcow2_writeback *w = *list, *next;

	*list = NULL;
	for (; w; w = next) {
		next = w->next;
		w->req.done = writeback_done;
		q->flush.pending++;
		q->flush.unsynced = true;
		file_submit(q->file, &w->req);
	}
}

static void drop_list(struct qcow2_writeback **list, int result)
{
	struct qcow2_writeback *w = *list, *next;

	*list = NULL;
	for (; w; w = next) {
		next = w->next;
		writeback_end(w, result);
	}
}

static void synced(struct qcow2 *q, int result)
{
	if (result < 0 && !q->flush_error)
		q->flush_error = result;
	q->blk.unstable = q->flush_error;
	part_ended(q, result);
}

static void sync_done(struct file_req *req, int result)
{
	synced(container_of(req, struct qcow2, flush.sync_req), result);
}

static void data_sync_done(struct file_req *req, int result)
{
	synced(container_of(req, struct qcow2, flush.data_sync_req), result);
}

static void start_sync(struct qcow2 *q, bool with_data)
{
	struct qcow2_flush *f = &q->flush;

	f->unsynced = false;
	/* Nobody can read it after a power cut. */
	if (q->file->desc->temporary)
		return;
	f->pending++;
	f->sync_req = (struct file_req){.op = FILE_SYNC, .point = "flush", .done = sync_done};
	file_submit(q->file, &f->sync_req);
	if (!with_data || q->data == q->file)
		return;
	f->pending++;
	f->data_sync_req =
		(struct file_req){.op = FILE_SYNC, .point = "flush", .done = data_sync_done};
	file_submit(q->data, &f->data_sync_req);
}

static void start_stage(struct qcow2 *q, enum stage stage)
{
	struct qcow2_flush *f = &q->flush;

	switch (stage) {
	case STAGE_REFBLOCKS:
		write_list(q, &f->refblocks);
		break;
	case STAGE_REFTABLE:
		write_list(q, &f->reftable);
		break;
	case STAGE_HEADER:
		write_list(q, &f->header);
		break;
	case STAGE_L2:
		write_list(q, &f->l2);
		break;
	case STAGE_L1:
		write_list(q, &f->l1);
		break;
	case STAGE_END:
		break;
	}
}

/* All memory that the flush changes must not be lost when it fails. */
static void take_back(struct qcow2 *q)
{
	struct qcow2_flush *f = &q->flush;
	uint64_t i;

	drop_list(&f->refblocks, f->result);
	drop_list(&f->reftable, f->result);
	drop_list(&f->header, f->result);
	drop_list(&f->l2, f->result);
	drop_list(&f->l1, f->result);
	for (i = 0; i < qcow2_blocks(q, q->h.l1_entries); i++)
		q->l1_dirty[i] = q->l1_dirty[i] || f->l1_dirty[i];
	/* Which of these were written is not known: all are again. */
	if (q->writable) {
		memset(q->reftable_dirty, 1, qcow2_blocks(q, q->reftable_entries));
		q->header_dirty = true;
	}
}

static void flush_end(struct qcow2 *q)
{
	struct qcow2_flush *f = &q->flush;
	struct qcow2_wait_list waiting = f->waiting, next = f->next;
	bool again = f->again;

	if (f->result < 0)
		take_back(q);
	f->last_result = f->result;
	f->running = false;
	f->again = false;
	f->waiting = f->next = (struct qcow2_wait_list){0};
	qcow2_frees_flushed(q, &f->frees, f->result);
	qcow2_wake(&waiting);
	if (again && !f->running)
		qcow2_flush_start(q, NULL);
	/* Also good for them: it has begun after they came. */
	while (next.first) {
		struct qcow2_waiter *waiter = next.first;

		next.first = waiter->next;
		qcow2_park(&f->waiting, waiter);
	}
	q->internal--;
}

static int copy_reftable(struct qcow2 *q)
{
	struct numbers reftable = {q->reftable, q->reftable_entries, q->reftable_dirty,
				   q->h.reftable_offset, "reftable_update"};
	int ret;

	if (q->reftable_moved)
		memset(q->reftable_dirty, 1, qcow2_blocks(q, q->reftable_entries));
	ret = copy_numbers(q, &reftable, &q->flush.reftable);
	if (!ret && (q->header_dirty || q->reftable_moved))
		ret = copy_header(q, &q->flush.header);
	if (ret)
		return ret;
	memset(q->reftable_dirty, 0, qcow2_blocks(q, q->reftable_entries));
	q->header_dirty = false;
	q->reftable_moved = false;
	return 0;
}

/* Copies what is dirty now: nothing that is entered later may get to disk before its refcount. */
static int begin(struct qcow2 *q)
{
	struct numbers l1 = {q->l1, q->h.l1_entries, q->l1_dirty, q->h.l1_offset, "l1_update"};
	uint64_t l1_blocks = qcow2_blocks(q, q->h.l1_entries);
	struct qcow2_flush *f = &q->flush;
	int ret = copy_tables(q, QCOW2_L2, &f->l2);

	if (!ret)
		ret = copy_tables(q, QCOW2_REFBLOCK, &f->refblocks);
	if (!ret)
		ret = copy_reftable(q);
	if (!ret)
		ret = copy_numbers(q, &l1, &f->l1);
	memcpy(f->l1_dirty, q->l1_dirty, l1_blocks * sizeof(bool));
	memset(q->l1_dirty, 0, l1_blocks * sizeof(bool));
	f->frees = q->frees.fresh;
	q->frees.fresh = (struct qcow2_runs){0};
	/* Data written before counts as well. */
	f->unsynced = true;
	return ret;
}

static void flush_step(struct qcow2 *q)
{
	struct qcow2_flush *f = &q->flush;

	while (!f->pending) {
		/* Refcounts and data are made stable together. */
		bool first = f->stage == STAGE_REFBLOCKS && f->refblocks;

		if (f->result < 0) {
			flush_end(q);
			return;
		}
		if (f->unsynced && !first) {
			start_sync(q, f->stage <= STAGE_REFTABLE);
			continue;
		}
		if (f->stage == STAGE_END) {
			flush_end(q);
			return;
		}
		start_stage(q, f->stage++);
	}
}

static void run_later(void *opaque)
{
	struct qcow2 *q = opaque;

	flush_step(q);
	qcow2_kick(q);
}

void qcow2_flush_start(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	struct qcow2_flush *f = &q->flush;

	if (f->running) {
		f->again = true;
		if (waiter)
			qcow2_park(&f->next, waiter);
		return;
	}
	f->running = true;
	q->internal++;
	if (waiter)
		qcow2_park(&f->waiting, waiter);
	f->stage = STAGE_REFBLOCKS;
	f->result = q->flush_error;
	if (q->writable && !f->result)
		f->result = begin(q);
	else
		f->stage = STAGE_END;
	if (!f->result && f->unsynced && !q->file->desc->temporary) {
		flush_step(q);
		return;
	}
	/* It ends at once, but not before this function has. */
	f->work = (struct loop_work){.run = run_later, .opaque = q};
	loop_post(q->blk.loop, &f->work);
}
