/*
 * Growing the refcount structures: new refcount blocks, and a larger refcount table. See
 * qcow2_image.h and "Host cluster management" of the specification.
 *
 * A new refcount block is the first cluster of the region that it describes, so it counts itself.
 * When the table has no room for it, a larger one follows the block, or as many blocks as it needs
 * itself. Only memory changes here: flush writes blocks, then the table, then the header.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_image.h"

static int reach(struct qcow2 *q, uint64_t end)
{
	int ret;

	if (end > QCOW2_HOST_BYTES_MAX)
		return -EFBIG;
	if (end > q->file_bytes) {
		ret = q->file->ops->resize(q->file, end);
		if (ret < 0)
			return ret == -ENOTSUP ? -ENOSPC : ret;
		q->file_bytes = end;
	}
	q->zero_from = MAX(q->zero_from, end);
	return 0;
}

/* A block for table entry @index at @offset, counting nothing yet. */
static int add_block(struct qcow2 *q, uint64_t index, uint64_t offset, struct qcow2_table **out)
{
	int ret;

	if (!qcow2_table_forget(q, offset))
		return -EIO;
	ret = qcow2_table_new(q, QCOW2_REFBLOCK, offset, out);
	if (ret < 0)
		return ret;
	/* All of it is written: the cluster may have held something before. */
	qcow2_table_dirty(*out, 0, q->cluster_bytes);
	q->reftable[index] = offset;
	q->reftable_dirty[index / qcow2_block_entries(q)] = true;
	return 0;
}

/* Gives the table in memory @clusters clusters' worth of entries. */
static int resize_in_memory(struct qcow2 *q, uint64_t clusters)
{
	uint64_t entries = (clusters << q->cluster_bits) / 8;
	uint64_t *table = calloc(entries, sizeof(*table));
	bool *dirty = calloc(qcow2_blocks(q, entries), sizeof(*dirty));

	if (!table || !dirty) {
		free(table);
		free(dirty);
		return -ENOMEM;
	}
	memcpy(table, q->reftable, q->reftable_entries * sizeof(*table));
	free(q->reftable);
	free(q->reftable_dirty);
	q->reftable = table;
	q->reftable_dirty = dirty;
	q->reftable_entries = entries;
	return 0;
}

/* Moves the table to where region @index begins, twice as large or more. */
static int grow(struct qcow2 *q, uint64_t index)
{
	uint64_t per_block = UINT64_C(1) << q->refblock_bits, per_cluster = q->cluster_bytes / 8;
	uint64_t old = q->h.reftable_clusters, clusters = old * 2, blocks = 1, i;
	uint64_t first = index << q->refblock_bits;
	struct qcow2_table *t;
	int ret;

	/* The new table and its blocks count as well: until both are enough for each other. */
	for (;;) {
		uint64_t need_blocks = (clusters + blocks + per_block - 1) / per_block;
		uint64_t need = (index + need_blocks + per_cluster - 1) / per_cluster;

		if (need_blocks == blocks && need <= clusters)
			break;
		blocks = MAX(blocks, need_blocks);
		clusters = MAX(clusters, need);
		if (clusters << q->cluster_bits > QCOW2_REFTABLE_BYTES_MAX)
			break;
	}
	if (clusters << q->cluster_bits > QCOW2_REFTABLE_BYTES_MAX)
		return -EFBIG;
	ret = reach(q, (first + blocks + clusters) << q->cluster_bits);
	if (!ret)
		ret = resize_in_memory(q, clusters);
	for (i = 0; !ret && i < blocks; i++) {
		uint64_t base = i * per_block, counted = blocks + clusters, n;

		ret = add_block(q, index + i, (first + i) << q->cluster_bits, &t);
		for (n = 0; !ret && n < per_block && base + n < counted; n++)
			qcow2_refcount_put(t->bytes, n, q->h.refcount_order, 1);
	}
	if (ret < 0)
		return ret;
	qcow2_free_later(q, q->h.reftable_offset, old << q->cluster_bits);
	q->h.reftable_offset = (first + blocks) << q->cluster_bits;
	q->h.reftable_clusters = (uint32_t)clusters;
	q->reftable_moved = true;
	return 0;
}

int qcow2_refblock_make(struct qcow2 *q, uint64_t index)
{
	struct qcow2_table *t;
	uint64_t offset;
	int ret;

	if (index >= q->reftable_entries)
		return grow(q, index);
	if (q->reftable[index] & QCOW2_REFTABLE_MASK)
		return 0;
	/* Nothing in this region is counted, so all of it is free. */
	offset = (index << q->refblock_bits) << q->cluster_bits;
	if (!offset)
		return qcow2_complain(q, "nothing counts the header", 0);
	ret = reach(q, offset + q->cluster_bytes);
	if (!ret)
		ret = add_block(q, index, offset, &t);
	if (!ret)
		qcow2_refcount_put(t->bytes, 0, q->h.refcount_order, 1);
	return ret;
}
