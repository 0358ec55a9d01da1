/*
 * Making, applying and deleting internal snapshots: see qcow2_tools.h, and "Snapshots" and
 * "Cluster mapping" of the specification.
 *
 * A snapshot is an L1 table of its own over L2 tables and clusters that it shares with the disk, so
 * each of these changes refcounts of nearly everything, and the COPIED bits of the disk's tables
 * with them. The steps are the same for all three: count what one L1 table refers to up or down,
 * write L2 tables whose COPIED bits are no longer right to a new place, and the L1 table too. All
 * of it is one qcow2_change, so that a power cut finds the image before or after, never between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_change.h"

static const char *path_of(const struct qcow2 *q)
{
	return q->file->desc->path;
}

/* --- counting --- */

static bool valid_cluster(const struct qcow2 *q, uint64_t offset)
{
	return !(offset & (q->cluster_bytes - 1)) && offset < q->file_bytes;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A table that stands twice in one L1 table is corruption; and would be read as often. */
static int check_l1(struct qcow2 *q, const uint64_t *l1, uint64_t entries)
{
	uint64_t *sorted = malloc((entries + 1) * sizeof(*sorted)), i, count = 0;
	int ret = 0;

	if (!sorted)
		return -ENOMEM;
	for (i = 0; !ret && i < entries; i++) {
		sorted[count] = l1[i] & QCOW2_OFFSET_MASK;
		if (sorted[count] && !valid_cluster(q, sorted[count]))
			ret = qcow2_complain(q, "an L2 table's offset is not valid", l1[i]);
		count += sorted[count] != 0;
	}
	qsort(sorted, count, sizeof(*sorted), compare_numbers);
	for (i = 1; !ret && i < count; i++)
		if (sorted[i] == sorted[i - 1])
			ret = qcow2_complain(q, "an L2 table is there twice", sorted[i]);
	free(sorted);
	return ret;
}

static int read_table(struct qcow2_change *c, uint64_t offset)
{
	int ret;

	memset(c->bytes, 0, c->q->cluster_bytes);
	ret = file_pread(c->q->file, offset, c->bytes, c->q->cluster_bytes);
	return ret == -ENODATA ? 0 : ret;
}

static int count_entry(struct qcow2_change *c, uint64_t word, int delta)
{
	struct qcow2 *q = c->q;
	uint64_t offset = word & QCOW2_OFFSET_MASK, len = q->cluster_bytes;

	if (word & QCOW2_COMPRESSED)
		qcow2_compressed_place(word, q->cluster_bits, &offset, &len);
	else if (!offset)
		return 0;
	else if (!valid_cluster(q, offset))
		return qcow2_complain(q, "a cluster's offset is not valid", word);
	if (!range_inside(offset, 1, q->file_bytes))
		return qcow2_complain(q, "a cluster is beyond the end of the file", word);
	return qcow2_change_add(c, offset, len, delta);
}

/* Adds @delta to the count of all that @l1 leads to. */
static int count_l1(struct qcow2_change *c, const uint64_t *l1, uint64_t entries, int delta)
{
	struct qcow2 *q = c->q;
	uint64_t i, n, word;
	int ret = check_l1(q, l1, entries);

	for (i = 0; !ret && i < entries; i++) {
		uint64_t offset = l1[i] & QCOW2_OFFSET_MASK;

		if (!offset)
			continue;
		ret = qcow2_change_add(c, offset, q->cluster_bytes, delta);
		if (!ret)
			ret = read_table(c, offset);
		for (n = 0; !ret && n < UINT64_C(1) << q->l2_bits; n++) {
			word = get_be64(c->bytes + n * q->entry_bytes);
			if (word)
				ret = count_entry(c, word, delta);
		}
	}
	return ret;
}

/* --- COPIED bits --- */

/* Makes the bits of the table in c->bytes right: 1 when one was not, 0, -errno. */
static int correct_bits(struct qcow2_change *c)
{
	struct qcow2 *q = c->q;
	int changed = 0;
	uint64_t n;

	for (n = 0; n < UINT64_C(1) << q->l2_bits; n++) {
		unsigned char *at = c->bytes + n * q->entry_bytes;
		uint64_t word = get_be64(at), offset = word & QCOW2_OFFSET_MASK, count = 0;
		int ret;

		if (!word || (!offset && !(word & QCOW2_COMPRESSED)))
			continue;
		/* A compressed cluster is never written in place. */
		if (!(word & QCOW2_COMPRESSED)) {
			ret = qcow2_change_count(c, offset, &count);
			if (ret)
				return ret;
		}
		if ((count == 1) == !!(word & QCOW2_COPIED))
			continue;
		put_be64(at, word ^ QCOW2_COPIED);
		changed = 1;
	}
	return changed;
}

/*
 * Makes the disk's new L1 table right: its own COPIED bits, and those of the L2 tables it leads to,
 * which are written to a new place where they change. A new snapshot's table, @twin, shares those
 * with it.
 */
static int settle_l1(struct qcow2_change *c, uint64_t *l1, uint64_t entries, uint64_t *twin)
{
	struct qcow2 *q = c->q;
	uint64_t i, host, owners;
	int ret = 0;

	for (i = 0; ret >= 0 && i < entries; i++) {
		uint64_t offset = l1[i] & QCOW2_OFFSET_MASK;

		l1[i] = offset;
		if (!offset)
			continue;
		ret = read_table(c, offset);
		if (!ret)
			ret = qcow2_change_count(c, offset, &owners);
		if (!ret)
			ret = correct_bits(c);
		if (ret > 0) {
			/* Where older snapshots have it as well, it stays theirs. */
			owners = twin && owners == 2 ? 2 : 1;
			ret = qcow2_change_take(c, q->cluster_bytes, &host);
			if (!ret && owners == 2)
				ret = qcow2_change_add(c, host, q->cluster_bytes, 1);
			if (!ret)
				ret = file_pwrite(q->file, host, c->bytes, q->cluster_bytes);
			if (!ret)
				ret = qcow2_change_add(c, offset, q->cluster_bytes, -1);
			if (!ret && owners == 2)
				ret = qcow2_change_add(c, offset, q->cluster_bytes, -1);
			if (!ret && owners == 2)
				twin[i] = host;
			offset = host;
		}
		l1[i] = offset | (owners == 1 ? QCOW2_COPIED : 0);
	}
	return MIN(ret, 0);
}

/* --- tables --- */

/* Writes @l1 as the disk's. */
static int put_l1(struct qcow2_change *c, const uint64_t *l1, uint64_t entries)
{
	int ret = qcow2_change_add(c, c->l1_offset, (uint64_t)c->l1_entries * 8, -1);

	c->l1_entries = (uint32_t)entries;
	return ret ? ret : qcow2_change_put_numbers(c, l1, entries, &c->l1_offset);
}

/* Writes @list as the snapshot table, in place of one of @old_bytes. */
static int put_snapshots(struct qcow2_change *c, const struct qcow2_snapshots *list,
			 uint64_t old_bytes)
{
	uint64_t len = qcow2_cluster_up(c->q, list->table_bytes), at = 0;
	unsigned char *bytes;
	unsigned i;
	int ret = qcow2_change_add(c, c->snapshots_offset, old_bytes, -1);

	c->snapshot_count = list->count;
	c->snapshots_offset = 0;
	if (ret || !list->count)
		return ret;
	bytes = aligned_alloc(4096, align_up(len, 4096));
	if (!bytes)
		return -ENOMEM;
	memset(bytes, 0, len);
	for (i = 0; i < list->count; at += list->list[i++].raw_bytes)
		memcpy(bytes + at, list->list[i].raw, list->list[i].raw_bytes);
	ret = qcow2_change_take(c, len, &c->snapshots_offset);
	if (!ret)
		ret = file_pwrite(c->q->file, c->snapshots_offset, bytes, len);
	free(bytes);
	return ret;
}

/* A copy of @l1 without its COPIED bits, with room for @entries. */
static uint64_t *copy_l1(const uint64_t *l1, uint64_t count, uint64_t entries)
{
	uint64_t *copy = calloc(MAX(entries, count) + 1, sizeof(*copy)), i;

	for (i = 0; copy && i < count; i++)
		copy[i] = l1[i] & QCOW2_OFFSET_MASK;
	return copy;
}

static uint64_t *read_l1(struct qcow2 *q, const struct qcow2_snapshot *s, struct err *e)
{
	if (s->l1_offset & (q->cluster_bytes - 1)) {
		err_set(e, EIO, "disk %s: snapshot %s is damaged: run `sarang disk check` on it",
			path_of(q), s->name);
		return NULL;
	}
	return qcow2_read_numbers(q, s->l1_offset, s->l1_entries, "snapshot's L1 table", e);
}

/* --- the operations --- */

static int refuse(const struct qcow2 *q, struct err *e)
{
	if (q->external)
		return err_set(e, ENOTSUP,
			       "disk %s has an external data file, which snapshots inside the "
			       "image cannot hold",
			       path_of(q));
	if (!q->writable)
		return err_set(e, EROFS, "disk %s is open read-only", path_of(q));
	return 0;
}

static int refuse_new(const struct qcow2 *q, const struct qcow2_snapshots *list, const char *name,
		      struct err *e)
{
	const char *p;
	unsigned i;

	if (!*name || strlen(name) > QCOW2_SNAPSHOT_NAME_MAX)
		return err_set(e, EINVAL, "a snapshot's name has 1 to %u bytes",
			       QCOW2_SNAPSHOT_NAME_MAX);
	for (p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, EINVAL, "a snapshot's name has no control characters");
	for (i = 0; i < list->count; i++)
		if (!strcmp(list->list[i].name, name))
			return err_set(e, EEXIST, "disk %s has a snapshot %s already", path_of(q),
				       name);
	if (list->count >= QCOW2_SNAPSHOTS_MAX)
		return err_set(e, EFBIG, "disk %s has %u snapshots, as many as can be", path_of(q),
			       list->count);
	return 0;
}

/* Adds the entry of a new snapshot whose L1 table is at @host. */
static int add_entry(struct qcow2 *q, struct qcow2_snapshots *list, const char *name, uint64_t host)
{
	uint64_t largest = 0;
	struct timespec now;
	char id[24];
	unsigned i;

	for (i = 0; i < list->count; i++)
		largest = MAX(largest, (uint64_t)strtoul(list->list[i].id, NULL, 10));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)largest + 1);
	clock_gettime(CLOCK_REALTIME, &now);
	return qcow2_snapshots_add(list, &(struct qcow2_snapshot){
						 .l1_offset = host,
						 .l1_entries = q->h.l1_entries,
						 .seconds = (uint32_t)now.tv_sec,
						 .nanoseconds = (uint32_t)now.tv_nsec,
						 .disk_bytes = q->h.size_bytes,
						 .id = id,
						 .name = (char *)name,
					 });
}

static int do_create(struct qcow2_change *c, struct qcow2_snapshots *list, const char *name)
{
	struct qcow2 *q = c->q;
	uint64_t entries = q->h.l1_entries, old_bytes = list->table_bytes, host = 0;
	uint64_t *l1 = copy_l1(q->l1, entries, entries), *twin = copy_l1(q->l1, entries, entries);
	int ret = l1 && twin ? 0 : -ENOMEM;

	if (!ret)
		ret = count_l1(c, l1, entries, 1);
	if (!ret)
		ret = settle_l1(c, l1, entries, twin);
	if (!ret)
		ret = put_l1(c, l1, entries);
	if (!ret)
		ret = qcow2_change_put_numbers(c, twin, entries, &host);
	if (!ret)
		ret = add_entry(q, list, name, host);
	if (!ret)
		ret = put_snapshots(c, list, old_bytes);
	if (!ret)
		ret = qcow2_change_commit(c);
	free(l1);
	free(twin);
	return ret;
}

int qcow2_snapshot_create(struct qcow2 *q, const char *name, struct err *e)
{
	struct qcow2_snapshots list = {0};
	struct qcow2_change c;
	int ret = refuse(q, e);

	if (!ret)
		ret = qcow2_snapshots_read(q, &list, e);
	if (!ret)
		ret = refuse_new(q, &list, name, e);
	if (ret < 0)
		goto out;
	ret = qcow2_change_begin(&c, q);
	if (!ret)
		ret = do_create(&c, &list, name);
	qcow2_change_free(&c);
	if (ret == -ERANGE)
		err_set(e, ERANGE,
			"disk %s counts with %u bits how many use a cluster, which does not "
			"suffice for another snapshot",
			path_of(q), 1u << q->h.refcount_order);
	else if (ret < 0)
		err_errno(e, -ret, "cannot make a snapshot of disk %s", path_of(q));
out:
	qcow2_snapshots_free(&list);
	return ret;
}

/* Reads the list, and finds @name in it. */
static int find(struct qcow2 *q, const char *name, struct qcow2_snapshots *list,
		const struct qcow2_snapshot **s, struct err *e)
{
	int ret = refuse(q, e);

	if (!ret)
		ret = qcow2_snapshots_read(q, list, e);
	if (ret < 0)
		return ret;
	*s = qcow2_snapshots_find(list, name);
	return *s ? 0 : err_set(e, ENOENT, "disk %s has no snapshot %s", path_of(q), name);
}

/* Makes @l1, the snapshot's, the disk's too. */
static int do_apply(struct qcow2_change *c, struct qcow2_snapshots *list,
		    const struct qcow2_snapshot *s, const uint64_t *l1)
{
	struct qcow2 *q = c->q;
	uint64_t size = s->disk_bytes ? s->disk_bytes : q->h.size_bytes;
	uint64_t entries = MAX(qcow2_l1_entries_for(&q->h, size), (uint64_t)s->l1_entries);
	uint64_t *own;
	int ret;

	(void)list;
	if (size > INT64_MAX - MIB(4) || entries > QCOW2_L1_BYTES_MAX / 8)
		return -EFBIG;
	own = copy_l1(l1, s->l1_entries, entries);
	ret = own ? count_l1(c, own, entries, 1) : -ENOMEM;
	if (!ret)
		ret = count_l1(c, q->l1, q->h.l1_entries, -1);
	if (!ret)
		ret = settle_l1(c, own, entries, NULL);
	if (!ret)
		ret = put_l1(c, own, entries);
	c->size_bytes = size;
	if (!ret)
		ret = qcow2_change_commit(c);
	free(own);
	return ret;
}

static int do_delete(struct qcow2_change *c, struct qcow2_snapshots *list,
		     const struct qcow2_snapshot *s, const uint64_t *l1)
{
	struct qcow2 *q = c->q;
	uint64_t entries = q->h.l1_entries, old_bytes = list->table_bytes;
	uint64_t *own = copy_l1(q->l1, entries, entries);
	int ret = own ? count_l1(c, l1, s->l1_entries, -1) : -ENOMEM;

	if (!ret)
		ret = qcow2_change_add(c, s->l1_offset, (uint64_t)s->l1_entries * 8, -1);
	if (!ret)
		ret = settle_l1(c, own, entries, NULL);
	if (!ret)
		ret = put_l1(c, own, entries);
	if (!ret) {
		qcow2_snapshots_remove(list, s);
		ret = put_snapshots(c, list, old_bytes);
	}
	if (!ret)
		ret = qcow2_change_commit(c);
	free(own);
	return ret;
}

/* What is done with a snapshot that is there: its verb for messages, and the steps of the change.
 */
struct operation {
	const char *verb;
	int (*run)(struct qcow2_change *c, struct qcow2_snapshots *list,
		   const struct qcow2_snapshot *s, const uint64_t *l1);
};

static int operate(struct qcow2 *q, const char *name, const struct operation *operation,
		   struct err *e)
{
	const struct qcow2_snapshot *s = NULL;
	struct qcow2_snapshots list = {0};
	struct qcow2_change c;
	uint64_t *l1 = NULL;
	int ret = find(q, name, &list, &s, e);

	if (!ret)
		l1 = read_l1(q, s, e);
	if (!ret && !l1)
		ret = -EIO;
	if (ret < 0)
		goto out;
	ret = qcow2_change_begin(&c, q);
	if (!ret)
		ret = operation->run(&c, &list, s, l1);
	qcow2_change_free(&c);
	if (ret < 0)
		err_errno(e, -ret, "cannot %s snapshot %s of disk %s", operation->verb, name,
			  path_of(q));
out:
	free(l1);
	qcow2_snapshots_free(&list);
	return ret;
}

int qcow2_snapshot_apply(struct qcow2 *q, const char *name, struct err *e)
{
	static const struct operation apply = {"apply", do_apply};
	int ret = operate(q, name, &apply, e);

	if (!ret)
		q->blk.info.capacity_bytes = align_down(q->h.size_bytes, q->blk.info.block_bytes);
	return ret;
}

int qcow2_snapshot_delete(struct qcow2 *q, const char *name, struct err *e)
{
	static const struct operation delete = {"delete", do_delete};

	return operate(q, name, &delete, e);
}

int qcow2_make_empty(struct qcow2 *q, struct err *e)
{
	uint64_t entries = q->h.l1_entries, *l1;
	struct qcow2_change c;
	int ret = refuse(q, e);

	if (ret < 0)
		return ret;
	ret = qcow2_change_begin(&c, q);
	l1 = calloc(MAX(entries, UINT64_C(1)), sizeof(*l1));
	if (!ret)
		ret = l1 ? count_l1(&c, q->l1, entries, -1) : -ENOMEM;
	if (!ret)
		ret = put_l1(&c, l1, entries);
	if (!ret)
		ret = qcow2_change_commit(&c);
	qcow2_change_free(&c);
	free(l1);
	return ret < 0 ? err_errno(e, -ret, "cannot empty disk %s", path_of(q)) : 0;
}
