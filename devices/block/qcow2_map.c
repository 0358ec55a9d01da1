/*
 * From guest offsets to extents: "Cluster mapping" and "Extended L2 Entries" of the qcow2
 * specification. See qcow2_image.h. This file looks; qcow2_target.c changes.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_entry.h"

int qcow2_complain(struct qcow2 *q, const char *what, uint64_t offset)
{
	log_limited(&q->complaints, LOG_ERROR,
		    "disk %s is corrupt: %s (%#llx); run `sarang disk check` on it",
		    q->file->desc->path, what, (unsigned long long)offset);
	return -EIO;
}

bool qcow2_hits_metadata(const struct qcow2 *q, uint64_t host, uint64_t len)
{
	const struct qcow2_run known[] = {
		{0, q->cluster_bytes},
		{q->h.l1_offset, (uint64_t)q->h.l1_entries * 8},
		{q->h.reftable_offset, (uint64_t)q->h.reftable_clusters << q->cluster_bits},
		{q->h.snapshots_offset, q->h.snapshot_count ? q->cluster_bytes : 0},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (host < known[i].offset + known[i].len_bytes && known[i].offset < host + len)
			return true;
	return false;
}

int qcow2_entry_classify(struct qcow2 *q, const struct qcow2_table *t, uint64_t index,
			 struct qcow2_entry *entry)
{
	uint64_t word = qcow2_entry_word(q, t, index);

	*entry = (struct qcow2_entry){.word = word};
	if (word & QCOW2_COMPRESSED) {
		entry->kind = QCOW2_ENTRY_COMPRESSED;
		return q->external ? qcow2_complain(q, "a compressed cluster in a data file", word)
				   : 0;
	}
	entry->host = word & QCOW2_OFFSET_MASK;
	entry->copied = word & QCOW2_COPIED;
	entry->placed = entry->host || (q->external && entry->copied);
	if (entry->host & (q->cluster_bytes - 1))
		return qcow2_complain(q, "a cluster's offset is not aligned", word);
	if (q->extended) {
		entry->bitmap = qcow2_entry_bitmap(q, t, index);
		if ((uint32_t)entry->bitmap & (uint32_t)(entry->bitmap >> 32))
			return qcow2_complain(q, "a subcluster is both data and zero", word);
		if ((uint32_t)entry->bitmap && !entry->placed)
			return qcow2_complain(q, "a subcluster has no cluster", word);
		entry->kind = QCOW2_ENTRY_EXTENDED;
	} else if ((word & QCOW2_ZERO) && q->h.version >= 3) {
		entry->kind = QCOW2_ENTRY_ZERO;
	} else {
		entry->kind = entry->placed ? QCOW2_ENTRY_DATA : QCOW2_ENTRY_NONE;
	}
	if (q->external && entry->placed && entry->host != 0 &&
	    ((entry->host >> q->cluster_bits) & ((UINT64_C(1) << q->l2_bits) - 1)) != index)
		return qcow2_complain(q, "a data file's cluster is out of place", word);
	return 0;
}

static enum qcow2_extent_kind extent_kind(enum qcow2_entry_kind kind)
{
	switch (kind) {
	case QCOW2_ENTRY_ZERO:
		return QCOW2_EXTENT_ZERO;
	case QCOW2_ENTRY_DATA:
		return QCOW2_EXTENT_DATA;
	case QCOW2_ENTRY_COMPRESSED:
		return QCOW2_EXTENT_COMPRESSED;
	default:
		return QCOW2_EXTENT_UNALLOCATED;
	}
}

enum qcow2_extent_kind qcow2_subcluster_kind(const struct qcow2_entry *entry, unsigned sub)
{
	if (entry->bitmap & (UINT64_C(1) << sub))
		return QCOW2_EXTENT_DATA;
	if (entry->bitmap & (UINT64_C(1) << (sub + 32)))
		return QCOW2_EXTENT_ZERO;
	return QCOW2_EXTENT_UNALLOCATED;
}

/*
 * What is at offset @within of the cluster of @entry, in @piece, up to where it may change: the
 * end of the cluster, or of the last subcluster alike.
 */
static void piece_of(const struct qcow2 *q, const struct qcow2_entry *entry, uint64_t within,
		     struct qcow2_extent *piece)
{
	unsigned sub_bits = q->cluster_bits - 5, sub = (unsigned)(within >> sub_bits), end;

	piece->entry = entry->word;
	piece->host = entry->host + within;
	piece->len_bytes = q->cluster_bytes - within;
	piece->kind = extent_kind(entry->kind);
	if (entry->kind != QCOW2_ENTRY_EXTENDED)
		return;
	piece->kind = qcow2_subcluster_kind(entry, sub);
	for (end = sub + 1; end < QCOW2_SUBCLUSTERS; end++)
		if (qcow2_subcluster_kind(entry, end) != piece->kind)
			break;
	piece->len_bytes = ((uint64_t)end << sub_bits) - within;
}

/* The extent from @guest on, as far as @t maps it and all of it is alike. */
static int scan(struct qcow2 *q, struct qcow2_table *t, uint64_t guest, uint64_t len,
		struct qcow2_extent *extent)
{
	uint64_t entries = UINT64_C(1) << q->l2_bits, index = qcow2_l2_index(q, guest);
	uint64_t within = guest & (q->cluster_bytes - 1);
	struct qcow2_entry entry;
	struct qcow2_extent piece;
	int ret;

	extent->len_bytes = 0;
	while (extent->len_bytes < len && index < entries) {
		ret = qcow2_entry_classify(q, t, index, &entry);
		if (ret < 0)
			return extent->len_bytes ? 0 : ret;
		piece_of(q, &entry, within, &piece);
		if (!extent->len_bytes)
			*extent = piece;
		else if (piece.kind != extent->kind || piece.kind == QCOW2_EXTENT_COMPRESSED ||
			 (piece.kind == QCOW2_EXTENT_DATA &&
			  piece.host != extent->host + extent->len_bytes))
			break;
		else
			extent->len_bytes += piece.len_bytes;
		within = (within + piece.len_bytes) & (q->cluster_bytes - 1);
		index += within == 0;
	}
	extent->len_bytes = MIN(extent->len_bytes, len);
	return 0;
}

int qcow2_map_read(struct qcow2 *q, uint64_t guest, uint64_t len, struct qcow2_extent *extent,
		   struct qcow2_waiter *waiter)
{
	uint64_t index = guest >> qcow2_l2_shift(q), offset;
	uint64_t table_end = (index + 1) << qcow2_l2_shift(q);
	struct qcow2_table *t;
	int ret;

	len = MIN(len, table_end - guest);
	offset = index < q->h.l1_entries ? q->l1[index] & QCOW2_OFFSET_MASK : 0;
	if (!offset) {
		*extent = (struct qcow2_extent){.kind = QCOW2_EXTENT_UNALLOCATED, .len_bytes = len};
		return 0;
	}
	ret = qcow2_table_get(q, QCOW2_L2, offset, &t, waiter);
	return ret ? ret : scan(q, t, guest, len, extent);
}
