/*
 * Host clusters: taking them from a pool that was reserved ahead. See qcow2_image.h.
 *
 * The pool is one run of clusters whose refcounts are 1 already, in memory and, from the next flush
 * on, on disk: a power cut leaks at most what is left of it. Growing runs (1 MiB doubling to 64
 * MiB) make the price of a reservation - scanning refcounts, extending the file, asking the host
 * for space in one piece - small against the writes it serves. Closing gives the rest back.
 *
 * Clusters in the pool read as zeroes. Those beyond what the file ever held do so by themselves;
 * ones that are used again are zeroed, the whole run at once, before they are handed out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_image.h"

#define RUN_BYTES_MIN MIB(1)
#define RUN_BYTES_MAX MIB(64)

int qcow2_refcount_read(struct qcow2 *q, uint64_t offset, uint64_t *count,
			struct qcow2_waiter *waiter)
{
	uint64_t cluster = offset >> q->cluster_bits, index = cluster >> q->refblock_bits;
	struct qcow2_table *t;
	int ret;

	*count = 0;
	if (index >= q->reftable_entries || !(q->reftable[index] & QCOW2_REFTABLE_MASK))
		return 0;
	ret = qcow2_table_get(q, QCOW2_REFBLOCK, q->reftable[index] & QCOW2_REFTABLE_MASK, &t,
			      waiter);
	if (ret)
		return ret;
	*count = qcow2_refcount_get(t->bytes, cluster & ((UINT64_C(1) << q->refblock_bits) - 1),
				    q->h.refcount_order);
	return 0;
}

static void put_count(struct qcow2 *q, struct qcow2_table *t, uint64_t index, uint64_t count)
{
	qcow2_refcount_put(t->bytes, index, q->h.refcount_order, count);
	qcow2_table_dirty(t, (index << q->h.refcount_order) / 8, 1);
}

int qcow2_refcount_set(struct qcow2 *q, uint64_t offset, uint64_t count,
		       struct qcow2_waiter *waiter)
{
	uint64_t cluster = offset >> q->cluster_bits, index = cluster >> q->refblock_bits;
	struct qcow2_table *t;
	int ret;

	if (count > qcow2_refcount_max(q->h.refcount_order))
		return -ERANGE;
	ret = qcow2_refblock_make(q, index);
	if (!ret)
		ret = qcow2_table_get(q, QCOW2_REFBLOCK, q->reftable[index] & QCOW2_REFTABLE_MASK,
				      &t, waiter);
	if (!ret)
		put_count(q, t, cluster & ((UINT64_C(1) << q->refblock_bits) - 1), count);
	return ret;
}

static void ahead_done(struct file_req *req, int result)
{
	struct qcow2 *q = container_of(req, struct qcow2, pool.ahead_req);

	q->pool.ahead_busy = false;
	/* A disk that is full says so to whoever writes; a host that cannot is not asked again. */
	if (result == -EOPNOTSUPP || result == -ENOSYS)
		q->pool.no_ahead = true;
	q->internal--;
}

/* Makes the file reach to @end, and asks the host to have space there when it is written. */
static int extend_file(struct qcow2 *q, uint64_t start, uint64_t end)
{
	struct qcow2_pool *p = &q->pool;
	int ret;

	if (end > q->file_bytes && !q->file->desc->block_device) {
		ret = q->file->ops->resize(q->file, end);
		if (ret < 0)
			return ret;
		q->file_bytes = end;
	}
	if (end > q->file_bytes)
		return -ENOSPC;
	if (p->ahead_busy || p->no_ahead || q->external || q->file->desc->block_device)
		return 0;
	p->ahead_busy = true;
	q->internal++;
	p->ahead_req = (struct file_req){
		.op = FILE_ALLOCATE,
		.offset_bytes = start,
		.len_bytes = end - start,
		.point = "cluster_alloc",
		.done = ahead_done,
	};
	file_submit(q->file, &p->ahead_req);
	return 0;
}

static void zero_step(struct qcow2 *q);

static void zero_done(struct file_req *req, int result)
{
	struct qcow2 *q = container_of(req, struct qcow2, pool.zero_req);
	struct qcow2_pool *p = &q->pool;

	if (result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY) {
		p->no_zero_op = true;
		zero_step(q);
		return;
	}
	if (!result)
		p->zero_start += req->len_bytes;
	if (!result && p->zero_start < p->zero_end) {
		zero_step(q);
		return;
	}
	q->internal--;
	p->preparing = false;
	if (result < 0) {
		qcow2_free_later(q, p->start, p->end - p->start);
		p->start = p->end;
	}
	qcow2_wake(&p->waiting);
	qcow2_kick(q);
}

static void zero_step(struct qcow2 *q)
{
	struct qcow2_pool *p = &q->pool;
	uint64_t len = p->zero_end - p->zero_start;

	if (p->no_zero_op)
		len = MIN(len, QCOW2_ZEROES_BYTES);
	p->zero_iov = (struct iovec){q->zeroes, len};
	p->zero_req = (struct file_req){
		.op = p->no_zero_op ? FILE_WRITE : FILE_ZERO,
		.offset_bytes = p->zero_start,
		.len_bytes = len,
		.iov = p->no_zero_op ? &p->zero_iov : NULL,
		.iov_count = p->no_zero_op,
		.point = "cluster_alloc",
		.done = zero_done,
	};
	file_submit(q->file, &p->zero_req);
}

/* The first run of free clusters from @index in @t on, not longer than @max. False: none. */
static bool free_run(struct qcow2 *q, struct qcow2_table *t, uint64_t *index, uint64_t *count,
		     uint64_t max)
{
	uint64_t entries = UINT64_C(1) << q->refblock_bits, i = *index;
	unsigned order = q->h.refcount_order;

	while (i < entries && qcow2_refcount_get(t->bytes, i, order))
		i++;
	*index = i;
	*count = 0;
	while (i < entries && *count < max && !qcow2_refcount_get(t->bytes, i, order)) {
		(*count)++;
		i++;
	}
	return *count != 0;
}

/* Fills the pool with [@first, @first + @count) clusters, whose refcount is 1 by now. */
static int fill_pool(struct qcow2 *q, uint64_t first, uint64_t count)
{
	struct qcow2_pool *p = &q->pool;
	uint64_t start = first << q->cluster_bits, end = start + (count << q->cluster_bits);
	int ret = 0;

	p->start = start;
	p->end = end;
	p->hint = end;
	p->run_bytes = MIN(p->run_bytes * 2, RUN_BYTES_MAX);
	if (start < q->zero_from) {
		if (!qcow2_zero_bytes(q))
			ret = -ENOMEM;
		else if (end > q->file_bytes)
			ret = extend_file(q, start, end);
		if (ret < 0) {
			p->start = p->end;
			return ret;
		}
		p->preparing = true;
		q->internal++;
		p->zero_start = start;
		p->zero_end = end;
		zero_step(q);
		return 0;
	}
	ret = extend_file(q, start, end);
	if (ret < 0)
		p->start = p->end;
	else
		q->zero_from = end;
	return ret;
}

/* No stale table of the cluster's former life may be in memory when it gets another. */
static uint64_t forgotten(struct qcow2 *q, uint64_t first, uint64_t count)
{
	uint64_t i;

	for (i = 0; i < count; i++)
		if (!qcow2_table_forget(q, (first + i) << q->cluster_bits))
			break;
	return i;
}

/* A file grows, a device ends. 0 or -ENOSPC. */
static int keep_inside(const struct qcow2 *q, uint64_t first, uint64_t *count)
{
	uint64_t end = q->file_bytes >> q->cluster_bits;

	if (!q->file->desc->block_device)
		return 0;
	if (first >= end)
		return -ENOSPC;
	*count = MIN(*count, end - first);
	return 0;
}

/* Reserves the next run. 0 (it may be preparing), QCOW2_WAIT, -errno. */
static int refill(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	struct qcow2_pool *p = &q->pool;
	uint64_t entries = UINT64_C(1) << q->refblock_bits;
	uint64_t want = MAX(p->run_bytes >> q->cluster_bits, UINT64_C(1));

	for (;;) {
		uint64_t cluster = p->hint >> q->cluster_bits, block = cluster / entries;
		uint64_t at = cluster % entries, count, max = want, i, first;
		struct qcow2_table *t;
		int ret = qcow2_refblock_make(q, block);

		if (!ret)
			ret = qcow2_table_get(q, QCOW2_REFBLOCK,
					      q->reftable[block] & QCOW2_REFTABLE_MASK, &t, waiter);
		if (ret)
			return ret;
		if (!free_run(q, t, &at, &count, max)) {
			p->hint = (block + 1) * entries << q->cluster_bits;
			continue;
		}
		first = block * entries + at;
		/* Old clusters and new ones are prepared differently. */
		if (first << q->cluster_bits < q->zero_from)
			count = MIN(count, (q->zero_from >> q->cluster_bits) - first);
		ret = keep_inside(q, first, &count);
		if (ret < 0)
			return ret;
		t->pins++;
		count = forgotten(q, first, count);
		t->pins--;
		if (qcow2_hits_metadata(q, first << q->cluster_bits, count << q->cluster_bits))
			return qcow2_complain(q, "a table is not counted",
					      first << q->cluster_bits);
		if (!count) {
			p->hint = (first + 1) << q->cluster_bits;
			continue;
		}
		if ((first + count) << q->cluster_bits > QCOW2_HOST_BYTES_MAX)
			return -EFBIG;
		for (i = 0; i < count; i++)
			put_count(q, t, at + i, 1);
		ret = fill_pool(q, first, count);
		if (ret < 0) {
			/* Nothing was made of them. */
			for (i = 0; i < count; i++)
				put_count(q, t, at + i, 0);
			p->hint = first << q->cluster_bits;
		}
		return ret;
	}
}

int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *host, uint64_t *got,
		struct qcow2_waiter *waiter)
{
	struct qcow2_pool *p = &q->pool;
	int ret;

	if (!p->run_bytes)
		p->run_bytes = MAX(RUN_BYTES_MIN, q->cluster_bytes);
	if (p->start == p->end && !p->preparing) {
		ret = refill(q, waiter);
		if (ret)
			return ret;
	}
	if (p->preparing) {
		qcow2_park(&p->waiting, waiter);
		return QCOW2_WAIT;
	}
	if (p->start == p->end)
		return -ENOSPC;
	*got = MIN(want, (p->end - p->start) >> q->cluster_bits);
	*host = p->start;
	p->start += *got << q->cluster_bits;
	return 0;
}

void qcow2_unalloc(struct qcow2 *q, uint64_t host, uint64_t clusters)
{
	uint64_t len = clusters << q->cluster_bits;

	if (q->pool.start == host + len)
		q->pool.start = host;
	else
		qcow2_free_later(q, host, len);
}

int qcow2_pool_release(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	struct qcow2_pool *p = &q->pool;
	int ret;

	if (p->preparing) {
		qcow2_park(&p->waiting, waiter);
		return QCOW2_WAIT;
	}
	while (p->end > p->start) {
		ret = qcow2_refcount_set(q, p->end - q->cluster_bytes, 0, waiter);
		if (ret)
			return ret;
		p->end -= q->cluster_bytes;
	}
	return 0;
}
