/*
 * Metadata in memory: L2 tables and refcount blocks, each a whole cluster. See qcow2_image.h.
 *
 * Tables are found by their offset in the file, and let go in the order of use when there are too
 * many. The bound is the image's whole mapping where that fits CACHE_BYTES_MAX, so that random
 * access to all of a disk does not read tables twice. Dirty tables stay until a flush has written
 * them; where all are dirty, a flush is started and who needs a table waits for it.
 *
 * What is dirty is noted in units of 4 KiB: a flush after one write moves one of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_image.h"

#define CACHE_BYTES_MAX  MIB(64)
#define CACHE_TABLES_MIN 32u
#define TABLE_ALIGN      4096u

void qcow2_park(struct qcow2_wait_list *list, struct qcow2_waiter *waiter)
{
	waiter->next = NULL;
	if (list->last)
		list->last->next = waiter;
	else
		list->first = waiter;
	list->last = waiter;
}

void qcow2_wake(struct qcow2_wait_list *list)
{
	struct qcow2_waiter *waiter = list->first;

	*list = (struct qcow2_wait_list){0};
	while (waiter) {
		struct qcow2_waiter *next = waiter->next;

		waiter->run(waiter);
		waiter = next;
	}
}

int qcow2_cache_init(struct qcow2 *q)
{
	struct qcow2_cache *c = &q->cache;
	uint64_t whole = (uint64_t)q->h.l1_entries + CACHE_TABLES_MIN;
	uint64_t buckets = 64;

	c->limit = (unsigned)MIN(whole, MAX(CACHE_BYTES_MAX >> q->cluster_bits, CACHE_TABLES_MIN));
	while (buckets < c->limit)
		buckets *= 2;
	c->bucket_mask = buckets - 1;
	c->buckets = calloc(buckets, sizeof(*c->buckets));
	return c->buckets ? 0 : -ENOMEM;
}

static struct qcow2_table **bucket_of(struct qcow2 *q, uint64_t offset)
{
	return &q->cache.buckets[(offset >> q->cluster_bits) & q->cache.bucket_mask];
}

static struct qcow2_table *find(struct qcow2 *q, uint64_t offset)
{
	struct qcow2_table *t = *bucket_of(q, offset);

	while (t && t->offset != offset)
		t = t->hash_next;
	return t;
}

static void unlink_use(struct qcow2_cache *c, struct qcow2_table *t)
{
	*(t->newer ? &t->newer->older : &c->newest) = t->older;
	*(t->older ? &t->older->newer : &c->oldest) = t->newer;
}

static void link_newest(struct qcow2_cache *c, struct qcow2_table *t)
{
	t->newer = NULL;
	t->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = t;
	c->newest = t;
}

static void drop(struct qcow2 *q, struct qcow2_table *t)
{
	struct qcow2_table **link = bucket_of(q, t->offset);

	while (*link != t)
		link = &(*link)->hash_next;
	*link = t->hash_next;
	unlink_use(&q->cache, t);
	q->cache.count--;
	free(t->bytes);
	free(t);
}

void qcow2_cache_free(struct qcow2 *q)
{
	while (q->cache.newest)
		drop(q, q->cache.newest);
	free(q->cache.buckets);
}

static bool evictable(const struct qcow2_table *t)
{
	return !t->dirty && !t->pins && !t->loading && !t->waiting.first;
}

/* Makes room for one more. 0, or QCOW2_WAIT: a flush has to make tables clean first. */
static int make_room(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	struct qcow2_cache *c = &q->cache;
	struct qcow2_table *t = c->oldest, *newer;

	for (; c->count >= c->limit && t; t = newer) {
		newer = t->newer;
		if (evictable(t))
			drop(q, t);
	}
	/* In good time, so that nobody has to wait. */
	if (c->dirty_count > c->limit / 2 && !q->flush.running)
		qcow2_flush_start(q, NULL);
	if (c->count < c->limit || !c->dirty_count)
		return 0;
	/* A disk that takes no metadata would have us try for ever. */
	if (q->flush.last_result < 0)
		return c->count < 2 * c->limit ? 0 : q->flush.last_result;
	qcow2_flush_start(q, waiter);
	return QCOW2_WAIT;
}

static struct qcow2_table *add(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset)
{
	struct qcow2_table *t = calloc(1, sizeof(*t));
	struct qcow2_table **bucket = bucket_of(q, offset);

	if (!t)
		return NULL;
	/* At least a unit, so that a table smaller than one has all of it to itself. */
	t->bytes = aligned_alloc(TABLE_ALIGN, MAX(q->cluster_bytes, (uint64_t)TABLE_ALIGN));
	if (!t->bytes) {
		free(t);
		return NULL;
	}
	t->q = q;
	t->kind = kind;
	t->offset = offset;
	t->hash_next = *bucket;
	*bucket = t;
	link_newest(&q->cache, t);
	q->cache.count++;
	return t;
}

static void loaded(struct file_req *req, int result)
{
	struct qcow2_table *t = container_of(req, struct qcow2_table, req);
	struct qcow2 *q = t->q;

	t->loading = false;
	if (result == -ENODATA)
		result = t->cut ? 0 : -EIO;
	t->error = result;
	t->pins++;
	qcow2_wake(&t->waiting);
	t->pins--;
	/* Who waited has seen the error; the next one tries again. */
	if (result < 0 && !t->waiting.first)
		drop(q, t);
	qcow2_kick(q);
}

static int load(struct qcow2 *q, struct qcow2_table *t)
{
	if (t->offset >= q->file_bytes)
		return -EIO;
	/* A file may end within its last table: what is not there is zero. */
	t->cut = q->file_bytes - t->offset < q->cluster_bytes;
	if (t->cut)
		memset(t->bytes, 0, q->cluster_bytes);
	t->loading = true;
	t->iov = (struct iovec){t->bytes, q->cluster_bytes};
	t->req = (struct file_req){
		.op = FILE_READ,
		.offset_bytes = t->offset,
		.len_bytes = q->cluster_bytes,
		.iov = &t->iov,
		.iov_count = 1,
		.point = t->kind == QCOW2_L2 ? "l2_load" : "refblock_load",
		.done = loaded,
	};
	file_submit(q->file, &t->req);
	return 0;
}

int qcow2_table_get(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
		    struct qcow2_table **out, struct qcow2_waiter *waiter)
{
	struct qcow2_table *t;
	int ret;

	if (!offset || (offset & (q->cluster_bytes - 1)))
		return qcow2_complain(q, "a table's offset is not valid", offset);
	t = find(q, offset);
	if (!t) {
		ret = make_room(q, waiter);
		if (ret)
			return ret;
		t = add(q, kind, offset);
		if (!t)
			return -ENOMEM;
		ret = load(q, t);
		if (ret < 0) {
			drop(q, t);
			return qcow2_complain(q, "a table is beyond the end of the file", offset);
		}
	}
	if (t->loading) {
		qcow2_park(&t->waiting, waiter);
		return QCOW2_WAIT;
	}
	if (t->error)
		return t->error;
	if (t->kind != kind)
		return qcow2_complain(q, "a cluster is two tables at once", offset);
	if (q->cache.newest != t) {
		unlink_use(&q->cache, t);
		link_newest(&q->cache, t);
	}
	*out = t;
	return 0;
}

int qcow2_table_new(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
		    struct qcow2_table **out)
{
	struct qcow2_table *t = find(q, offset);

	/* Clusters are taken only when forgotten: see qcow2_table_forget. */
	if (t)
		return qcow2_complain(q, "a cluster in use was taken for free", offset);
	t = add(q, kind, offset);
	if (!t)
		return -ENOMEM;
	memset(t->bytes, 0, q->cluster_bytes);
	t->fresh = true;
	*out = t;
	return 0;
}

void qcow2_table_dirty(struct qcow2_table *t, uint64_t at, uint64_t len)
{
	uint64_t unit;

	for (unit = at / QCOW2_DIRTY_UNIT; unit <= (at + len - 1) / QCOW2_DIRTY_UNIT; unit++)
		t->dirty_units[unit / 64] |= UINT64_C(1) << (unit % 64);
	if (t->dirty)
		return;
	t->dirty = true;
	t->dirty_next = t->q->cache.dirty;
	t->q->cache.dirty = t;
	t->q->cache.dirty_count++;
}

bool qcow2_table_forget(struct qcow2 *q, uint64_t offset)
{
	struct qcow2_table *t = find(q, offset);

	if (!t)
		return true;
	if (!evictable(t))
		return false;
	drop(q, t);
	return true;
}
