/*
 * Comparing refcounts and COPIED bits with what was counted, and making them right: see
 * qcow2_check.c. Repairs go through the cache, and to disk by a flush, in its order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_change.h"
#include "block/qcow2_check.h"
#include "block/qcow2_entry.h"

struct count_step {
	uint64_t cluster, count;
};

static int read_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct count_step *step = arg;

	return qcow2_refcount_read(q, step->cluster << q->cluster_bits, &step->count, waiter);
}

static int set_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct count_step *step = arg;

	return qcow2_refcount_set(q, step->cluster << q->cluster_bits, step->count, waiter);
}

/* Whether the count of a cluster can be noted without a block that would have to go where it is. */
static bool has_block(struct qcow2_check *c, uint64_t cluster)
{
	struct qcow2 *q = c->q;
	uint64_t index = cluster >> q->refblock_bits;

	if (index < q->reftable_entries && (q->reftable[index] & QCOW2_REFTABLE_MASK))
		return true;
	return !qcow2_check_count(c, index << q->refblock_bits);
}

static int compare_one(struct qcow2_check *c, uint64_t cluster, enum qcow2_repair repair)
{
	struct count_step step = {.cluster = cluster};
	uint64_t found = qcow2_check_count(c, cluster);
	bool leak, fix;
	int ret = qcow2_wait_for(c->q, read_step, &step);

	if (ret < 0)
		step.count = 0;
	if (ret >= 0 && step.count == found)
		return 0;
	leak = ret >= 0 && step.count > found;
	if (leak)
		c->report->leaks++;
	else
		c->report->corruptions++;
	qcow2_check_say(c, "%s: cluster %llu has refcount %llu, but %llu references",
			leak ? "leaked" : "corrupt", (unsigned long long)cluster,
			(unsigned long long)step.count, (unsigned long long)found);
	fix = ret >= 0 && repair && (leak || repair == QCOW2_REPAIR_ALL) && has_block(c, cluster);
	step.count = found;
	if (!fix || qcow2_wait_for(c->q, set_step, &step) < 0)
		return 0;
	*(leak ? &c->report->fixed_leaks : &c->report->fixed_corruptions) += 1;
	return 0;
}

/* Whether the block is inside the file, and this entry's alone. */
static bool block_is_sound(struct qcow2_check *c, uint64_t block)
{
	uint64_t offset = c->q->reftable[block] & QCOW2_REFTABLE_MASK;

	return !(offset & (c->q->cluster_bytes - 1)) &&
	       qcow2_check_count(c, offset >> c->q->cluster_bits) == 1;
}

int qcow2_check_compare(struct qcow2_check *c, enum qcow2_repair repair)
{
	struct qcow2 *q = c->q;
	uint64_t per_block = UINT64_C(1) << q->refblock_bits, block, cluster, end;
	uint64_t blocks = MAX(q->reftable_entries, (c->clusters + per_block - 1) / per_block);
	int ret = 0;

	for (block = 0; !ret && block < blocks; block++) {
		bool here =
			block < q->reftable_entries && (q->reftable[block] & QCOW2_REFTABLE_MASK);

		/* What no table counts and nothing refers to is passed in large steps. */
		if (block >= q->reftable_entries)
			block = MAX(block, qcow2_check_next(c, block * per_block, c->clusters) /
						   per_block);
		/* One block given for many regions behind the file's end would take for ever. */
		if (block * per_block >= c->clusters && here && !block_is_sound(c, block)) {
			qcow2_check_corrupt(c, "a refcount block is not valid", q->reftable[block]);
			continue;
		}
		/* Where nothing is counted, only what is in the file can be missing. */
		end = here ? (block + 1) * per_block : MIN((block + 1) * per_block, c->clusters);
		for (cluster = block * per_block; !ret && cluster < end; cluster++) {
			if (!here)
				cluster = qcow2_check_next(c, cluster, end);
			if (cluster == end || (!here && !qcow2_check_count(c, cluster)))
				continue;
			if (qcow2_check_count(c, cluster) && cluster < c->clusters)
				c->report->image_end = (cluster + 1) << q->cluster_bits;
			ret = compare_one(c, cluster, repair);
		}
	}
	return ret;
}

bool qcow2_check_needs_rebuild(struct qcow2_check *c)
{
	uint64_t blocks = (c->clusters >> c->q->refblock_bits) + 1, block;

	if (c->bad_blocks)
		return true;
	for (block = 0; block < c->q->reftable_entries; block++)
		if ((c->q->reftable[block] & QCOW2_REFTABLE_MASK) && !block_is_sound(c, block))
			return true;
	for (block = 0; block < blocks; block++) {
		if (block >= c->q->reftable_entries)
			block = MAX(block, qcow2_check_next(c, block << c->q->refblock_bits,
							    c->clusters) >>
						   c->q->refblock_bits);
		if (!has_block(c, block << c->q->refblock_bits))
			return true;
	}
	return false;
}

static uint64_t counted(const void *opaque, uint64_t cluster)
{
	return qcow2_check_count(opaque, cluster);
}

int qcow2_check_rebuild(struct qcow2_check *c)
{
	struct qcow2_check_report *r = c->report;
	uint64_t before = r->corruptions;
	struct qcow2_change change;
	int ret = qcow2_check_compare(c, QCOW2_REPAIR_NONE);

	if (ret < 0)
		return ret;
	qcow2_check_say(c, "refcount blocks are lost: all are made again");
	/* What was read of the old ones must not be written back. */
	ret = qcow2_settle(c->q);
	if (ret < 0)
		return ret;
	ret = qcow2_change_begin_counted(&change, c->q, counted, c);
	/* What a block shared with them may be the only one there now, for COPIED bits. */
	if (!ret)
		qcow2_check_unrefer_tables(c);
	if (!ret)
		ret = qcow2_change_commit(&change);
	qcow2_change_free(&change);
	/* Some cluster is used more often than these counts can say: it stays as it is. */
	if (ret == -ERANGE)
		return 0;
	if (!ret) {
		r->fixed_corruptions += r->corruptions - before + c->bad_blocks;
		r->fixed_leaks = r->leaks;
	}
	return ret;
}

struct l1_step {
	uint64_t index;
	struct qcow2_table *table;
};

static int l2_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct l1_step *step = arg;

	return qcow2_table_get(q, QCOW2_L2, q->l1[step->index] & QCOW2_OFFSET_MASK, &step->table,
			       waiter);
}

/* Whether the COPIED bit of @entry, which leads to @offset, is as it must be. */
static bool copied_right(struct qcow2_check *c, uint64_t entry, uint64_t offset)
{
	uint64_t count = qcow2_check_count(c, offset >> c->q->cluster_bits);

	return (count == 1) == !!(entry & QCOW2_COPIED);
}

static void wrong_copied(struct qcow2_check *c, uint64_t entry, enum qcow2_repair repair)
{
	qcow2_check_corrupt(c, "an entry's COPIED bit contradicts the refcount", entry);
	if (repair == QCOW2_REPAIR_ALL)
		c->report->fixed_corruptions++;
}

static void check_l2(struct qcow2_check *c, struct qcow2_table *t, enum qcow2_repair repair)
{
	struct qcow2 *q = c->q;
	uint64_t i;

	for (i = 0; i < UINT64_C(1) << q->l2_bits; i++) {
		uint64_t word = qcow2_entry_word(q, t, i), offset = word & QCOW2_OFFSET_MASK;

		if (q->extended && !(word & QCOW2_COMPRESSED)) {
			uint64_t bitmap = qcow2_entry_bitmap(q, t, i);

			if ((uint32_t)bitmap & (uint32_t)(bitmap >> 32))
				qcow2_check_corrupt(c, "a subcluster is both data and zero", word);
			if ((uint32_t)bitmap && !offset && !(q->external && (word & QCOW2_COPIED)))
				qcow2_check_corrupt(c, "a subcluster has no cluster", word);
		}
		if (q->external)
			continue;
		if (word & QCOW2_COMPRESSED ? !(word & QCOW2_COPIED)
					    : !offset || copied_right(c, word, offset))
			continue;
		wrong_copied(c, word, repair);
		if (repair == QCOW2_REPAIR_ALL)
			qcow2_entry_put(t, i, word ^ QCOW2_COPIED,
					q->extended ? qcow2_entry_bitmap(q, t, i) : 0);
	}
}

int qcow2_check_copied(struct qcow2_check *c, enum qcow2_repair repair)
{
	struct qcow2 *q = c->q;
	struct l1_step step;

	for (step.index = 0; step.index < q->h.l1_entries; step.index++) {
		uint64_t entry = q->l1[step.index], offset = entry & QCOW2_OFFSET_MASK;

		if (!offset || (offset & (q->cluster_bytes - 1)) ||
		    offset >> q->cluster_bits >= c->clusters)
			continue;
		if (!copied_right(c, entry, offset)) {
			wrong_copied(c, entry, repair);
			if (repair == QCOW2_REPAIR_ALL)
				qcow2_l1_set(q, step.index, entry ^ QCOW2_COPIED);
		}
		if (qcow2_wait_for(q, l2_step, &step) < 0)
			qcow2_check_corrupt(c, "an L2 table cannot be read", offset);
		else
			check_l2(c, step.table, repair);
	}
	return 0;
}

int qcow2_check_finish(struct qcow2_check *c, enum qcow2_repair repair)
{
	struct qcow2 *q = c->q;
	bool sound = c->report->corruptions == c->report->fixed_corruptions;

	if (sound && repair == QCOW2_REPAIR_ALL &&
	    (q->h.incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT))) {
		/* Repairs first: the bits go when they are on disk. */
		int ret = qcow2_flush_wait(q);

		if (ret < 0)
			return ret;
		q->h.incompatible &= ~(uint64_t)(QCOW2_DIRTY | QCOW2_CORRUPT);
		q->header_dirty = true;
	}
	return qcow2_flush_wait(q);
}

/* --- bitmaps: "Bitmap directory" and "Bitmap table" of the specification --- */

#define DIRECTORY_MAX MIB(64)

static int refer_bitmap(struct qcow2_check *c, uint64_t table_offset, uint64_t entries)
{
	struct qcow2 *q = c->q;
	uint64_t *table, i;
	int ret;

	if (!range_inside(table_offset, entries * 8, q->file_bytes)) {
		qcow2_check_corrupt(c, "a bitmap table is beyond the end of the file",
				    table_offset);
		return 0;
	}
	ret = qcow2_check_refer(c, "a bitmap table", (struct qcow2_run){table_offset, entries * 8},
				1);
	table = ret ? NULL : qcow2_read_numbers(q, table_offset, entries, "bitmap table", NULL);
	if (!table)
		return ret ? ret : -EIO;
	for (i = 0; !ret && i < entries; i++) {
		uint64_t offset = table[i] & QCOW2_OFFSET_MASK;

		if (offset)
			ret = qcow2_check_refer(c, "a bitmap's cluster is not valid",
						(struct qcow2_run){offset, q->cluster_bytes}, 1);
	}
	free(table);
	return ret;
}

static int refer_directory(struct qcow2_check *c, const unsigned char *x)
{
	uint64_t size = get_be64(x + 8), offset = get_be64(x + 16), at = 0, len;
	unsigned char *bytes;
	int ret;

	if (size > DIRECTORY_MAX || !range_inside(offset, size, c->q->file_bytes)) {
		qcow2_check_corrupt(c, "the bitmap directory is not valid", offset);
		return 0;
	}
	len = align_up(MAX(size, UINT64_C(1)), 4096);
	bytes = aligned_alloc(4096, len);
	if (!bytes)
		return -ENOMEM;
	memset(bytes, 0, len);
	ret = qcow2_check_refer(c, "the bitmap directory", (struct qcow2_run){offset, size}, 1);
	if (!ret)
		ret = file_pread(c->q->file, offset, bytes, len);
	if (ret == -ENODATA)
		ret = 0;
	while (!ret && at + 24 <= size) {
		ret = refer_bitmap(c, get_be64(bytes + at), get_be32(bytes + at + 8));
		at += align_up(24 + (uint64_t)get_be16(bytes + at + 18) + get_be32(bytes + at + 20),
			       8);
	}
	free(bytes);
	return ret;
}

int qcow2_check_bitmaps(struct qcow2_check *c)
{
	const struct qcow2_header *h = &c->q->h;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < h->extension_count; i++)
		if (h->extensions[i].type == QCOW2_EXT_BITMAPS && h->extensions[i].len_bytes >= 24)
			ret = refer_directory(c, h->extensions[i].bytes);
	return ret;
}
