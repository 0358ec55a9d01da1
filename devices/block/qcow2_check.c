/*
 * Checking a qcow2 image: what refers to each host cluster, against what its refcount says.
 *
 * First all L1 tables are read and references to L2 tables counted. Then each L2 table is read
 * once, and what it refers to counted as often as the table is: so that neither many snapshots nor
 * an image whose entries all lead to the same table take more than one pass. Counts are held in
 * pieces made when first needed: memory follows what is referred to, not how large a file says it
 * is. Blocks; see qcow2_tools.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_check.h"
#include "block/qcow2_entry.h"

#define PIECE_BITS   14u
#define CLUSTERS_MAX (UINT64_C(1) << 38)

void qcow2_check_say(struct qcow2_check *c, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (c->report->say)
		c->report->say(c->report->opaque, text);
}

void qcow2_check_corrupt(struct qcow2_check *c, const char *what, uint64_t where)
{
	c->report->corruptions++;
	qcow2_check_say(c, "corrupt: %s (%#llx)", what, (unsigned long long)where);
}

/* The count of @cluster, to be changed; NULL: out of memory. */
static struct qcow2_count *count_of(struct qcow2_check *c, uint64_t cluster)
{
	struct qcow2_count **piece = &c->pieces[cluster >> PIECE_BITS];

	if (!*piece)
		*piece = calloc(UINT64_C(1) << PIECE_BITS, sizeof(**piece));
	return *piece ? *piece + (cluster & ((UINT64_C(1) << PIECE_BITS) - 1)) : NULL;
}

uint64_t qcow2_check_count(const struct qcow2_check *c, uint64_t cluster)
{
	const struct qcow2_count *piece =
		cluster < c->clusters ? c->pieces[cluster >> PIECE_BITS] : NULL;

	return piece ? piece[cluster & ((UINT64_C(1) << PIECE_BITS) - 1)].refs : 0;
}

uint64_t qcow2_check_next(const struct qcow2_check *c, uint64_t cluster, uint64_t end)
{
	while (cluster < MIN(end, c->clusters) && !c->pieces[cluster >> PIECE_BITS])
		cluster = ((cluster >> PIECE_BITS) + 1) << PIECE_BITS;
	return MIN(cluster, end);
}

int qcow2_check_refer(struct qcow2_check *c, const char *what, struct qcow2_run run, uint64_t times)
{
	struct qcow2 *q = c->q;
	uint64_t cluster = run.offset >> q->cluster_bits, end;

	if (!run.len_bytes)
		return 0;
	if (!range_inside(run.offset, run.len_bytes, c->clusters << q->cluster_bits)) {
		qcow2_check_corrupt(c, what, run.offset);
		return 0;
	}
	end = qcow2_cluster_up(q, run.offset + run.len_bytes) >> q->cluster_bits;
	for (; cluster < end; cluster++) {
		struct qcow2_count *count = count_of(c, cluster);

		if (!count)
			return -ENOMEM;
		count->refs += times;
	}
	return 0;
}

static int refer_l2(struct qcow2_check *c, uint64_t entry, uint64_t times)
{
	uint64_t word = be64toh(entry), offset, len;
	struct qcow2 *q = c->q;

	if (word & QCOW2_COMPRESSED) {
		qcow2_compressed_place(word, q->cluster_bits, &offset, &len);
		c->report->compressed += 1;
		c->report->allocated += 1;
		return qcow2_check_refer(
			c, "a compressed cluster is beyond the file",
			(struct qcow2_run){offset,
					   MIN(len, q->file_bytes > offset ? q->file_bytes - offset
									   : len)},
			times);
	}
	offset = word & QCOW2_OFFSET_MASK;
	if (word & ~(QCOW2_OFFSET_MASK | QCOW2_COPIED | QCOW2_ZERO))
		qcow2_check_corrupt(c, "an L2 entry has reserved bits set", word);
	if (offset & (q->cluster_bytes - 1)) {
		qcow2_check_corrupt(c, "a cluster's offset is not aligned", word);
		return 0;
	}
	if (!offset && !(q->external && (word & QCOW2_COPIED)))
		return 0;
	c->report->allocated++;
	if (q->external)
		return 0;
	return qcow2_check_refer(c, "a cluster is beyond the end of the file",
				 (struct qcow2_run){offset, q->cluster_bytes}, times);
}

/* Reads the L2 table at @offset into c->table. 0 or -errno. */
static int read_l2(struct qcow2_check *c, uint64_t offset)
{
	int ret;

	memset(c->table, 0, c->q->cluster_bytes);
	ret = file_pread(c->q->file, offset, c->table, c->q->cluster_bytes);
	return ret == -ENODATA ? 0 : ret;
}

/* Counts what the L2 tables of one L1 table refer to, each table once. */
static int descend(struct qcow2_check *c, const uint64_t *l1, uint64_t entries)
{
	struct qcow2 *q = c->q;
	uint64_t i, n;
	int ret;

	for (i = 0; i < entries; i++) {
		uint64_t offset = l1[i] & QCOW2_OFFSET_MASK;
		struct qcow2_count *count;

		if (!offset || (offset & (q->cluster_bytes - 1)) ||
		    offset >> q->cluster_bits >= c->clusters)
			continue;
		count = count_of(c, offset >> q->cluster_bits);
		if (!count)
			return -ENOMEM;
		if (count->seen)
			continue;
		count->seen = 1;
		ret = read_l2(c, offset);
		for (n = 0; !ret && n < UINT64_C(1) << q->l2_bits; n++) {
			uint64_t entry;

			memcpy(&entry, c->table + n * q->entry_bytes, 8);
			if (entry)
				ret = refer_l2(c, entry, count->tables);
		}
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Counts references to L2 tables. */
static int refer_l1(struct qcow2_check *c, const uint64_t *l1, uint64_t entries)
{
	struct qcow2 *q = c->q;
	uint64_t i;

	for (i = 0; i < entries; i++) {
		uint64_t offset = l1[i] & QCOW2_OFFSET_MASK;
		struct qcow2_count *count;

		if (l1[i] & ~(QCOW2_OFFSET_MASK | QCOW2_COPIED))
			qcow2_check_corrupt(c, "an L1 entry has reserved bits set", l1[i]);
		if (!offset && !(l1[i] & QCOW2_COPIED))
			continue;
		if (!offset || (offset & (q->cluster_bytes - 1)) ||
		    offset >> q->cluster_bits >= c->clusters) {
			qcow2_check_corrupt(c, "an L2 table's offset is not valid", l1[i]);
			continue;
		}
		count = count_of(c, offset >> q->cluster_bits);
		if (!count)
			return -ENOMEM;
		count->refs++;
		count->tables++;
	}
	return 0;
}

static int refer_tables(struct qcow2_check *c)
{
	struct qcow2 *q = c->q;
	uint64_t i;
	int ret = qcow2_check_refer(c, "the header", (struct qcow2_run){0, 1}, 1);

	if (!ret)
		ret = qcow2_check_refer(c, "the L1 table is beyond the end of the file",
					(struct qcow2_run){q->h.l1_offset,
							   (uint64_t)q->h.l1_entries * 8},
					1);
	if (!ret)
		ret = qcow2_check_refer(c, "the refcount table is beyond the end of the file",
					(struct qcow2_run){q->h.reftable_offset,
							   q->reftable_entries * 8},
					1);
	for (i = 0; !ret && i < q->reftable_entries; i++) {
		uint64_t offset = q->reftable[i] & QCOW2_REFTABLE_MASK;
		bool aligned = !(offset & (q->cluster_bytes - 1));

		if (q->reftable[i] & ~QCOW2_REFTABLE_MASK) {
			qcow2_check_corrupt(c, "a refcount table entry has reserved bits set",
					    q->reftable[i]);
			c->bad_blocks++;
		}
		if (!aligned)
			qcow2_check_corrupt(c, "a refcount block is not aligned", offset);
		c->bad_blocks += !aligned || offset >= c->clusters << q->cluster_bits;
		if (aligned && offset)
			ret = qcow2_check_refer(c, "a refcount block is beyond the end of the file",
						(struct qcow2_run){offset, q->cluster_bytes}, 1);
	}
	return ret;
}

void qcow2_check_unrefer_tables(struct qcow2_check *c)
{
	struct qcow2 *q = c->q;
	uint64_t at = q->h.reftable_offset, end = at + q->reftable_entries * 8, i;

	for (; at < MIN(end, c->clusters << q->cluster_bits); at += q->cluster_bytes)
		count_of(c, at >> q->cluster_bits)->refs--;
	for (i = 0; i < q->reftable_entries; i++) {
		at = q->reftable[i] & QCOW2_REFTABLE_MASK;
		if (at && !(at & (q->cluster_bytes - 1)) && at >> q->cluster_bits < c->clusters)
			count_of(c, at >> q->cluster_bits)->refs--;
	}
}

static int each_l1(struct qcow2_check *c,
		   int (*visit)(struct qcow2_check *c, const uint64_t *l1, uint64_t entries))
{
	struct qcow2 *q = c->q;
	int ret = visit(c, q->l1, q->h.l1_entries);
	unsigned i;

	for (i = 0; !ret && i < c->snapshots.count; i++) {
		const struct qcow2_snapshot *s = &c->snapshots.list[i];
		uint64_t *l1;

		if (!range_inside(s->l1_offset, (uint64_t)s->l1_entries * 8, q->file_bytes) ||
		    (s->l1_offset & (q->cluster_bytes - 1)))
			continue; /* reported with the tables */
		l1 = qcow2_read_numbers(q, s->l1_offset, s->l1_entries, "snapshot", NULL);
		if (!l1)
			return -EIO;
		ret = visit(c, l1, s->l1_entries);
		free(l1);
	}
	return ret;
}

static int refer_snapshots(struct qcow2_check *c)
{
	struct qcow2 *q = c->q;
	unsigned i;
	int ret = 0;

	if (q->h.snapshot_count)
		ret = qcow2_check_refer(c, "the snapshot table is beyond the end of the file",
					(struct qcow2_run){q->h.snapshots_offset,
							   c->snapshots.table_bytes},
					1);
	for (i = 0; !ret && i < c->snapshots.count; i++) {
		const struct qcow2_snapshot *s = &c->snapshots.list[i];

		ret = qcow2_check_refer(c, "a snapshot's L1 table is beyond the end of the file",
					(struct qcow2_run){s->l1_offset,
							   (uint64_t)s->l1_entries * 8},
					1);
	}
	return ret;
}

static int check_start(struct qcow2_check *c, struct qcow2 *q, struct qcow2_check_report *report)
{
	*c = (struct qcow2_check){.q = q, .report = report};
	c->clusters = qcow2_cluster_up(q, q->file_bytes) >> q->cluster_bits;
	if (c->clusters > CLUSTERS_MAX)
		return -EFBIG;
	c->pieces = calloc((c->clusters >> PIECE_BITS) + 1, sizeof(*c->pieces));
	c->table = aligned_alloc(4096, MAX(q->cluster_bytes, UINT64_C(4096)));
	return c->pieces && c->table ? 0 : -ENOMEM;
}

static void check_end(struct qcow2_check *c)
{
	uint64_t i;

	for (i = 0; c->pieces && i < (c->clusters >> PIECE_BITS) + 1; i++)
		free(c->pieces[i]);
	free(c->pieces);
	free(c->table);
	qcow2_snapshots_free(&c->snapshots);
}

int qcow2_check(struct qcow2 *q, enum qcow2_repair repair, struct qcow2_check_report *report,
		struct err *e)
{
	struct qcow2_check c;
	int ret = check_start(&c, q, report);

	report->total = qcow2_cluster_up(q, q->h.size_bytes) >> q->cluster_bits;
	if (!ret)
		ret = qcow2_snapshots_read(q, &c.snapshots, e);
	if (!ret)
		ret = each_l1(&c, refer_l1);
	if (!ret)
		ret = each_l1(&c, descend);
	if (!ret)
		ret = refer_tables(&c);
	if (!ret)
		ret = refer_snapshots(&c);
	if (!ret)
		ret = qcow2_check_bitmaps(&c);
	if (!ret && repair == QCOW2_REPAIR_ALL && qcow2_check_needs_rebuild(&c))
		ret = qcow2_check_rebuild(&c);
	else if (!ret)
		ret = qcow2_check_compare(&c, repair);
	if (!ret)
		ret = qcow2_check_copied(&c, repair);
	if (!ret && repair)
		ret = qcow2_check_finish(&c, repair);
	check_end(&c);
	if (ret < 0 && e && !e->code)
		err_errno(e, -ret, "cannot check disk %s", q->file->desc->path);
	return ret;
}

int qcow2_repair_dirty(struct qcow2 *q, struct err *e)
{
	struct qcow2_check_report report = {0};
	int ret = qcow2_check(q, QCOW2_REPAIR_ALL, &report, e);

	if (!ret && report.corruptions > report.fixed_corruptions)
		ret = err_set(e, EIO,
			      "disk %s was not closed properly and is damaged: run `sarang disk "
			      "check` on it",
			      q->file->desc->path);
	return ret;
}
