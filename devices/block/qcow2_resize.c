/*
 * Changing the size of a qcow2 image: see qcow2_tools.h. No request is under way meanwhile.
 *
 * A larger disk may need a longer L1 table: it is written to a new place, and the header changed
 * when it is on disk. What a larger disk adds reads as zeroes, also where a backing file is longer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_tools.h"

#define TRIES 64

struct take_step {
	uint64_t want, host, got;
};

static int take_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct take_step *step = arg;

	return qcow2_alloc(q, step->want, &step->host, &step->got, waiter);
}

/* Clusters in one run. 0 with *@host, -errno. */
int qcow2_take_run(struct qcow2 *q, uint64_t clusters, uint64_t *host)
{
	struct take_step step = {.want = clusters};
	int ret, tries;

	for (tries = 0; tries < TRIES; tries++) {
		q->pool.run_bytes = MAX(q->pool.run_bytes, clusters << q->cluster_bits);
		ret = qcow2_wait_for(q, take_step, &step);
		if (ret < 0)
			return ret;
		if (step.got == clusters) {
			*host = step.host;
			return 0;
		}
		/* Cut short by the end of a refcount block: the next run begins after it. */
		qcow2_free_later(q, step.host, step.got << q->cluster_bits);
	}
	return -ENOSPC;
}

static int write_l1(struct qcow2 *q, const uint64_t *l1, uint64_t entries, uint64_t host)
{
	uint64_t len = MAX(qcow2_cluster_up(q, entries * 8), q->cluster_bytes), i;
	unsigned char *bytes = aligned_alloc(4096, align_up(len, 4096));
	int ret;

	if (!bytes)
		return -ENOMEM;
	memset(bytes, 0, len);
	for (i = 0; i < entries; i++)
		put_be64(bytes + i * 8, l1[i]);
	ret = file_pwrite(q->file, host, bytes, len);
	free(bytes);
	return ret;
}

int qcow2_replace_l1(struct qcow2 *q, uint64_t *l1, uint64_t entries, uint64_t host)
{
	uint64_t old = q->h.l1_offset, old_bytes = (uint64_t)q->h.l1_entries * 8;
	bool *dirty = calloc(qcow2_blocks(q, entries) + 1, sizeof(bool));
	bool *flush_dirty = calloc(qcow2_blocks(q, entries) + 1, sizeof(bool));
	int ret = dirty && flush_dirty ? write_l1(q, l1, entries, host) : -ENOMEM;

	/* The table and its refcounts before the header that refers to it. */
	if (!ret)
		ret = qcow2_flush_wait(q);
	if (ret < 0) {
		free(dirty);
		free(flush_dirty);
		return ret;
	}
	free(q->l1);
	free(q->l1_dirty);
	free(q->flush.l1_dirty);
	q->l1 = l1;
	q->l1_dirty = dirty;
	q->flush.l1_dirty = flush_dirty;
	q->h.l1_offset = host;
	q->h.l1_entries = (uint32_t)entries;
	q->header_dirty = true;
	if (old_bytes)
		qcow2_free_later(q, old, old_bytes);
	return 0;
}

static int grow_l1(struct qcow2 *q, uint64_t entries)
{
	uint64_t clusters = qcow2_cluster_up(q, entries * 8) >> q->cluster_bits, host;
	uint64_t *l1 = calloc(entries, sizeof(*l1));
	int ret = l1 ? qcow2_take_run(q, clusters, &host) : -ENOMEM;

	if (!ret) {
		memcpy(l1, q->l1, q->h.l1_entries * sizeof(*l1));
		ret = qcow2_replace_l1(q, l1, entries, host);
		if (ret < 0)
			qcow2_free_later(q, host, clusters << q->cluster_bits);
	}
	if (ret < 0)
		free(l1);
	return ret;
}

struct zero_req {
	struct blk_req req;
	bool ended;
	int result;
};

static void zero_done(struct blk_req *req, int result)
{
	struct zero_req *zero = container_of(req, struct zero_req, req);

	zero->ended = true;
	zero->result = result;
}

static int change_range(struct blk *blk, enum blk_op op, uint64_t from, uint64_t to)
{
	struct zero_req zero = {.req = {.op = op,
					.flags = BLK_REQ_UNMAP,
					.offset_bytes = from,
					.len_bytes = to - from,
					.done = zero_done}};

	if (from >= to)
		return 0;
	blk_submit(blk, &zero.req);
	blk_drain(blk);
	return zero.result;
}

/* Where what L2 tables map ends: behind a disk's end, a guest's saved state may be. */
static uint64_t mapped_end(const struct qcow2 *q)
{
	uint64_t i = q->h.l1_entries;

	while (i && !(q->l1[i - 1] & QCOW2_OFFSET_MASK))
		i--;
	return i << qcow2_l2_shift(q);
}

/* The length of an external data file. A device has its own. */
static int set_data_length(struct qcow2 *q, uint64_t size)
{
	if (q->data->desc->block_device)
		return size > q->data->desc->size_bytes ? -ENOSPC : 0;
	return q->data->ops->resize(q->data, size);
}

/*
 * Makes an external data file longer. Cut first, it reads as zeroes from @old on: *@stale becomes
 * how far it may not. One that is a raw disk as well has all its clusters entered.
 */
static int grow_data(struct qcow2 *q, uint64_t old, uint64_t size, uint64_t *stale)
{
	int ret = set_data_length(q, old);

	if (!ret)
		ret = set_data_length(q, size);
	*stale = q->data->desc->block_device ? size : old;
	if (!ret && (q->h.autoclear & QCOW2_RAW_DATA))
		ret = qcow2_place_all(q, qcow2_cluster_down(q, old), size, NULL);
	return ret;
}

static int grow(struct qcow2 *q, uint64_t old, uint64_t size)
{
	uint64_t entries = qcow2_l1_entries_for(&q->h, size);
	uint64_t stale = MAX(qcow2_cluster_up(q, old), mapped_end(q));
	int ret = 0;

	if (entries > q->h.l1_entries)
		ret = grow_l1(q, entries);
	if (!ret && q->external)
		ret = grow_data(q, old, size, &stale);
	if (ret < 0)
		return ret;
	q->blk.info.capacity_bytes = size;
	/* What the last cluster or the backing file has there was not the disk's until now. */
	if (q->backing)
		stale = MAX(stale, q->backing->info.capacity_bytes);
	return change_range(&q->blk, BLK_WRITE_ZEROES, old, MIN(stale, size));
}

int qcow2_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e)
{
	struct qcow2 *q = qcow2_of(blk);
	const char *path = q->file->desc->path;
	uint64_t old = blk->info.capacity_bytes;
	int ret = 0;

	if (capacity_bytes % blk->info.block_bytes || capacity_bytes > INT64_MAX - MIB(4))
		return err_set(e, EINVAL, "disk %s: %llu bytes are not a multiple of %u", path,
			       (unsigned long long)capacity_bytes, blk->info.block_bytes);
	if (!q->writable)
		return err_set(e, EROFS, "disk %s is open read-only: it cannot be resized", path);
	/* Its snapshots may not say how large the disk was. */
	if (q->h.snapshot_count && q->h.version < 3)
		return err_set(e, ENOTSUP,
			       "disk %s is a qcow2 of version 2 with snapshots: it cannot be "
			       "resized",
			       path);
	if (qcow2_l1_entries_for(&q->h, capacity_bytes) > QCOW2_L1_BYTES_MAX / 8)
		return err_set(e, EFBIG, "disk %s: its clusters are too small for %llu bytes", path,
			       (unsigned long long)capacity_bytes);
	if (capacity_bytes > old)
		ret = grow(q, old, capacity_bytes);
	else
		ret = change_range(blk, BLK_DISCARD, qcow2_cluster_up(q, capacity_bytes), old);
	if (!ret)
		ret = qcow2_flush_wait(q);
	if (ret < 0) {
		blk->info.capacity_bytes = old;
		return err_errno(e, -ret, "cannot resize disk %s", path);
	}
	blk->info.capacity_bytes = capacity_bytes;
	q->h.size_bytes = capacity_bytes;
	q->header_dirty = true;
	ret = qcow2_flush_wait(q);
	/* Cut when nobody counts on it any more. */
	if (!ret && q->external && capacity_bytes < old)
		ret = set_data_length(q, capacity_bytes);
	return ret < 0 ? err_errno(e, -ret, "cannot resize disk %s", path) : 0;
}
