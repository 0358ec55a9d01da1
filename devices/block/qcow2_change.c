/* Changing the metadata of an image as a whole: see qcow2_change.h. */
#include "block/qcow2_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define BLOCKS_MAX (QCOW2_REFTABLE_BYTES_MAX / 8)
#define ALIGN      4096u

static uint64_t per_block(const struct qcow2_change *c)
{
	return UINT64_C(1) << c->q->refblock_bits;
}

static unsigned char *cluster_new(const struct qcow2 *q)
{
	unsigned char *bytes = aligned_alloc(ALIGN, MAX(q->cluster_bytes, (uint64_t)ALIGN));

	if (bytes)
		memset(bytes, 0, q->cluster_bytes);
	return bytes;
}

static void block_free(struct qcow2_change_block *b)
{
	if (!b)
		return;
	free(b->old);
	free(b->now);
	free(b);
}

static int start(struct qcow2_change *c, struct qcow2 *q)
{
	*c = (struct qcow2_change){
		.q = q,
		.size_bytes = q->h.size_bytes,
		.l1_offset = q->h.l1_offset,
		.l1_entries = q->h.l1_entries,
		.snapshots_offset = q->h.snapshots_offset,
		.snapshot_count = q->h.snapshot_count,
	};
	c->blocks = calloc(BLOCKS_MAX, sizeof(struct qcow2_change_block *));
	c->bytes = cluster_new(q);
	return c->blocks && c->bytes ? 0 : -ENOMEM;
}

int qcow2_change_begin(struct qcow2_change *c, struct qcow2 *q)
{
	int ret = start(c, q);

	return ret ? ret : qcow2_settle(q);
}

void qcow2_change_free(struct qcow2_change *c)
{
	uint64_t i;

	/* What was written behind the end, and not put into effect, belongs to nobody. */
	if (c->end_bytes > c->q->file_bytes && !c->q->file->desc->block_device)
		c->q->file->ops->resize(c->q->file, c->q->file_bytes);
	for (i = 0; i < c->block_end; i++)
		block_free(c->blocks[i]);
	free(c->blocks);
	free(c->bytes);
	*c = (struct qcow2_change){0};
}

/* Where the image has the block now; 0: nowhere, or in no valid place. */
static uint64_t old_home(const struct qcow2 *q, uint64_t index)
{
	uint64_t offset = 0;

	if (index < q->reftable_entries)
		offset = q->reftable[index] & QCOW2_REFTABLE_MASK;
	if ((offset & (q->cluster_bytes - 1)) || offset >= q->file_bytes)
		return 0;
	return offset;
}

static int block_load(struct qcow2_change *c, uint64_t index, struct qcow2_change_block *b)
{
	struct qcow2 *q = c->q;
	uint64_t offset = old_home(q, index);
	int ret;

	if (c->counted)
		return 0;
	if (!offset && index < q->reftable_entries && q->reftable[index])
		return qcow2_complain(q, "a refcount block is in no valid place",
				      q->reftable[index]);
	if (!offset)
		return 0;
	ret = file_pread(q->file, offset, b->old, q->cluster_bytes);
	/* A file may end within its last cluster: what is not there is zero. */
	if (ret && ret != -ENODATA)
		return ret;
	memcpy(b->now, b->old, q->cluster_bytes);
	return 0;
}

static int block_add(struct qcow2_change *c, uint64_t index, struct qcow2_change_block **out)
{
	struct qcow2_change_block *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->old = cluster_new(c->q);
	b->now = cluster_new(c->q);
	if (!b->old || !b->now) {
		block_free(b);
		return -ENOMEM;
	}
	c->blocks[index] = b;
	c->block_end = MAX(c->block_end, index + 1);
	*out = b;
	return 0;
}

static int block_get(struct qcow2_change *c, uint64_t cluster, struct qcow2_change_block **out)
{
	uint64_t index = cluster >> c->q->refblock_bits;
	int ret;

	if (index >= BLOCKS_MAX || cluster >= QCOW2_HOST_BYTES_MAX >> c->q->cluster_bits)
		return -EFBIG;
	*out = c->blocks[index];
	if (*out)
		return 0;
	ret = block_add(c, index, out);
	return ret ? ret : block_load(c, index, *out);
}

static uint64_t count_in(const struct qcow2_change *c, const unsigned char *block, uint64_t cluster)
{
	return qcow2_refcount_get(block, cluster & (per_block(c) - 1), c->q->h.refcount_order);
}

int qcow2_change_count(struct qcow2_change *c, uint64_t offset, uint64_t *count)
{
	struct qcow2_change_block *b;
	int ret = block_get(c, offset >> c->q->cluster_bits, &b);

	*count = ret ? 0 : count_in(c, b->now, offset >> c->q->cluster_bits);
	return ret;
}

static int add_one(struct qcow2_change *c, uint64_t cluster, int delta)
{
	unsigned order = c->q->h.refcount_order;
	struct qcow2_change_block *b;
	uint64_t count;
	int ret = block_get(c, cluster, &b);

	if (ret)
		return ret;
	count = count_in(c, b->now, cluster);
	if (delta < 0 ? !count : !count_in(c, b->old, cluster) && !count)
		return qcow2_complain(c->q, "a cluster in use is not counted",
				      cluster << c->q->cluster_bits);
	if (delta > 0 && count == qcow2_refcount_max(order))
		return -ERANGE;
	qcow2_refcount_put(b->now, cluster & (per_block(c) - 1), order,
			   delta < 0 ? count - 1 : count + 1);
	b->changed = true;
	return 0;
}

int qcow2_change_add(struct qcow2_change *c, uint64_t offset, uint64_t len_bytes, int delta)
{
	unsigned bits = c->q->cluster_bits;
	uint64_t cluster = offset >> bits, end;
	int ret = 0;

	end = len_bytes ? qcow2_cluster_up(c->q, offset + len_bytes) >> bits : cluster;
	for (; !ret && cluster < end; cluster++)
		ret = add_one(c, cluster, delta);
	return ret;
}

/* Free in the image as it is, too: what is given up by this change must stay as it is. */
static int is_free(struct qcow2_change *c, uint64_t cluster, bool *yes)
{
	struct qcow2_change_block *b;
	int ret = block_get(c, cluster, &b);

	*yes = !ret && !count_in(c, b->now, cluster) && !count_in(c, b->old, cluster);
	return ret;
}

static int take_at(struct qcow2_change *c, uint64_t first, uint64_t count)
{
	struct qcow2 *q = c->q;
	uint64_t end = (first + count) << q->cluster_bits, cluster;
	struct qcow2_change_block *b;
	int ret = 0;

	if (qcow2_hits_metadata(q, first << q->cluster_bits, count << q->cluster_bits))
		return qcow2_complain(q, "a table is not counted", first << q->cluster_bits);
	if (end > q->file_bytes && q->file->desc->block_device)
		return -ENOSPC;
	for (cluster = first; !ret && cluster < first + count; cluster++) {
		ret = block_get(c, cluster, &b);
		if (ret)
			break;
		qcow2_refcount_put(b->now, cluster & (per_block(c) - 1), q->h.refcount_order, 1);
		b->changed = true;
	}
	c->end_bytes = MAX(c->end_bytes, end);
	return ret;
}

int qcow2_change_take(struct qcow2_change *c, uint64_t len_bytes, uint64_t *host)
{
	unsigned bits = c->q->cluster_bits;
	uint64_t want = MAX(qcow2_cluster_up(c->q, len_bytes) >> bits, UINT64_C(1));
	uint64_t cluster = c->cursor, run = 0;
	bool free_one;
	int ret;

	for (; run < want; cluster++) {
		ret = is_free(c, cluster, &free_one);
		if (ret)
			return ret;
		/* All before the first free one is not. */
		if (!free_one && c->cursor == cluster)
			c->cursor++;
		run = free_one ? run + 1 : 0;
	}
	*host = (cluster - want) << bits;
	return take_at(c, cluster - want, want);
}

int qcow2_change_put_numbers(struct qcow2_change *c, const uint64_t *numbers, uint64_t count,
			     uint64_t *host)
{
	uint64_t len = MAX(qcow2_cluster_up(c->q, count * 8), c->q->cluster_bytes), i;
	unsigned char *bytes = aligned_alloc(ALIGN, align_up(len, ALIGN));
	int ret = bytes ? qcow2_change_take(c, len, host) : -ENOMEM;

	if (!ret) {
		memset(bytes, 0, len);
		for (i = 0; i < count; i++)
			put_be64(bytes + i * 8, numbers[i]);
		ret = file_pwrite(c->q->file, *host, bytes, len);
	}
	free(bytes);
	return ret;
}

/* --- putting it into effect --- */

/* Finds a new place for each block that changes: which may change others. */
static int find_homes(struct qcow2_change *c)
{
	struct qcow2 *q = c->q;
	bool again = true;
	uint64_t i;
	int ret = 0;

	while (!ret && again) {
		again = false;
		for (i = 0; !ret && i < c->block_end; i++) {
			struct qcow2_change_block *b = c->blocks[i];

			if (!b || !b->changed || b->home)
				continue;
			again = true;
			ret = qcow2_change_take(c, q->cluster_bytes, &b->home);
			if (!ret && !c->counted && old_home(q, i))
				ret = qcow2_change_add(c, old_home(q, i), q->cluster_bytes, -1);
		}
	}
	return ret;
}

/* The same, and one for the table; *@clusters becomes its length. */
static int place_all(struct qcow2_change *c, uint64_t *table, uint64_t *clusters)
{
	struct qcow2 *q = c->q;
	uint64_t per_cluster = q->cluster_bytes / 8;
	int ret = qcow2_change_add(c, q->h.reftable_offset,
				   (uint64_t)q->h.reftable_clusters << q->cluster_bits, -1);

	*clusters = q->h.reftable_clusters;
	while (!ret) {
		*clusters = MAX(*clusters, (c->block_end + per_cluster - 1) / per_cluster);
		if (*clusters << q->cluster_bits > QCOW2_REFTABLE_BYTES_MAX)
			return -EFBIG;
		ret = qcow2_change_take(c, *clusters << q->cluster_bits, table);
		if (!ret)
			ret = find_homes(c);
		if (ret || c->block_end <= *clusters * per_cluster)
			break;
		/* The places themselves need more blocks than there was room for. */
		ret = qcow2_change_add(c, *table, *clusters << q->cluster_bits, -1);
	}
	return ret;
}

static int write_table(struct qcow2_change *c, uint64_t table, uint64_t clusters)
{
	struct qcow2 *q = c->q;
	uint64_t len = clusters << q->cluster_bits, i;
	unsigned char *bytes = aligned_alloc(ALIGN, align_up(len, ALIGN));
	int ret;

	if (!bytes)
		return -ENOMEM;
	memset(bytes, 0, len);
	for (i = 0; i < len / 8; i++) {
		uint64_t offset = i < q->reftable_entries && !c->counted ? q->reftable[i] : 0;

		if (i < c->block_end && c->blocks[i] && c->blocks[i]->changed)
			offset = c->blocks[i]->home;
		put_be64(bytes + i * 8, offset);
	}
	ret = file_pwrite(q->file, table, bytes, len);
	free(bytes);
	return ret;
}

static int sync_file(struct qcow2 *q)
{
	return file_wait(q->file, (struct file_req){.op = FILE_SYNC, .point = "flush"});
}

static int write_blocks(struct qcow2_change *c)
{
	struct qcow2 *q = c->q;
	uint64_t i;
	int ret = 0;

	for (i = 0; !ret && i < c->block_end; i++)
		if (c->blocks[i] && c->blocks[i]->changed)
			ret = file_pwrite(q->file, c->blocks[i]->home, c->blocks[i]->now,
					  q->cluster_bytes);
	return ret;
}

/* The one write that counts. Afterwards the image's own fields are the new ones. */
static int switch_header(struct qcow2_change *c, uint64_t table, uint64_t clusters)
{
	struct qcow2 *q = c->q;
	int ret;

	q->h.size_bytes = c->size_bytes;
	q->h.l1_offset = c->l1_offset;
	q->h.l1_entries = c->l1_entries;
	q->h.snapshots_offset = c->snapshots_offset;
	q->h.snapshot_count = c->snapshot_count;
	q->h.reftable_offset = table;
	q->h.reftable_clusters = (uint32_t)clusters;
	qcow2_header_patch(&q->h, q->raw_header);
	ret = file_wait(q->file,
			(struct file_req){
				.op = FILE_WRITE,
				.len_bytes = q->blk.info.block_bytes,
				.iov = &(struct iovec){q->raw_header, q->blk.info.block_bytes},
				.iov_count = 1,
				.point = "header_update",
			});
	if (!ret)
		ret = sync_file(q);
	/* Which of the two the disk holds is not known: nothing more may be written. */
	if (ret)
		q->flush_error = ret;
	return ret;
}

static void punch(struct qcow2 *q, const struct qcow2_run *run)
{
	/* A host that cannot punch holes keeps the space until it is used again. */
	if (run->len_bytes)
		file_wait(q->file, (struct file_req){.op = FILE_DISCARD,
						     .offset_bytes = run->offset,
						     .len_bytes = run->len_bytes,
						     .point = "cluster_free"});
}

/* Gives the host back what only the old image used. */
static void punch_old(struct qcow2_change *c)
{
	struct qcow2_run run = {0};
	uint64_t i, n;

	for (i = 0; i < c->block_end; i++) {
		const struct qcow2_change_block *b = c->blocks[i];

		for (n = 0; b && n < per_block(c); n++) {
			uint64_t at = ((i << c->q->refblock_bits) + n) << c->q->cluster_bits;

			if (!count_in(c, b->old, n) || count_in(c, b->now, n))
				continue;
			if (run.offset + run.len_bytes != at) {
				punch(c->q, &run);
				run = (struct qcow2_run){.offset = at};
			}
			run.len_bytes += c->q->cluster_bytes;
		}
	}
	punch(c->q, &run);
}

/* Cuts off what is free at the file's end, as far as the counts are known. */
static void trim_end(struct qcow2_change *c)
{
	struct qcow2 *q = c->q;
	uint64_t end = qcow2_cluster_up(q, q->file_bytes) >> q->cluster_bits;

	while (end && (end - 1) >> q->refblock_bits < BLOCKS_MAX) {
		const struct qcow2_change_block *b = c->blocks[(end - 1) >> q->refblock_bits];

		if (!b || count_in(c, b->now, end - 1))
			break;
		end--;
	}
	end <<= q->cluster_bits;
	if (end < q->file_bytes && !q->file->desc->block_device &&
	    q->file->ops->resize(q->file, end) == 0)
		q->file_bytes = end;
}

int qcow2_change_commit(struct qcow2_change *c)
{
	struct qcow2 *q = c->q;
	uint64_t table = 0, clusters = 0;
	int ret = place_all(c, &table, &clusters);

	if (!ret && c->end_bytes > q->file_bytes)
		ret = q->file->ops->resize(q->file, c->end_bytes);
	if (!ret)
		ret = write_blocks(c);
	if (!ret)
		ret = write_table(c, table, clusters);
	if (!ret)
		ret = sync_file(q);
	if (ret)
		return ret;
	q->file_bytes = MAX(q->file_bytes, c->end_bytes);
	c->end_bytes = 0;
	ret = switch_header(c, table, clusters);
	if (ret)
		return ret;
	punch_old(c);
	trim_end(c);
	return qcow2_reload(q);
}

/* --- repairs --- */

static int count_block(struct qcow2_change *c, uint64_t index,
		       uint64_t (*count)(const void *opaque, uint64_t cluster), const void *opaque)
{
	uint64_t base = index << c->q->refblock_bits, n, found;
	unsigned order = c->q->h.refcount_order;
	struct qcow2_change_block *b = NULL;
	int ret = 0;

	for (n = 0; !ret && n < per_block(c); n++) {
		found = count(opaque, base + n);
		if (!found)
			continue;
		if (found > qcow2_refcount_max(order))
			return -ERANGE;
		if (!b)
			ret = block_add(c, index, &b);
		if (ret)
			break;
		qcow2_refcount_put(b->old, n, order, found);
		qcow2_refcount_put(b->now, n, order, found);
		b->changed = true;
	}
	return ret;
}

int qcow2_change_begin_counted(struct qcow2_change *c, struct qcow2 *q,
			       uint64_t (*count)(const void *opaque, uint64_t cluster),
			       const void *opaque)
{
	uint64_t clusters = qcow2_cluster_up(q, q->file_bytes) >> q->cluster_bits, i;
	int ret = start(c, q);

	c->counted = true;
	for (i = 0; !ret && i << q->refblock_bits < clusters; i++) {
		if (i >= BLOCKS_MAX)
			return -EFBIG;
		ret = count_block(c, i, count, opaque);
	}
	for (i = 0; !ret && i < q->reftable_entries; i++)
		if (old_home(q, i))
			ret = qcow2_change_add(c, old_home(q, i), q->cluster_bytes, -1);
	return ret;
}
