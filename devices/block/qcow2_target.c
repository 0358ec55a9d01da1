/*
 * Where writes go, and what that changes in L2 tables: see qcow2_image.h.
 *
 * A cluster of our own (COPIED) is written in place. A new one whose surroundings read as zeroes is
 * entered at once. All else is copy on write: the caller reads what surrounds the data, writes
 * both, and then has the cluster entered by qcow2_map_link. So is a cluster that reads as zeroes
 * but has kept its place: the place holds what was there before.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_entry.h"

#define ALL_SUBCLUSTERS UINT64_C(0xffffffff)

void qcow2_l1_set(struct qcow2 *q, uint64_t index, uint64_t entry)
{
	q->l1[index] = entry;
	q->l1_dirty[index / qcow2_block_entries(q)] = true;
}

/* Makes the table, as a copy of @old where there is one. */
static int new_l2(struct qcow2 *q, uint64_t l1_index, struct qcow2_table *old,
		  struct qcow2_table **out, struct qcow2_waiter *waiter)
{
	uint64_t host, got;
	int ret;

	if (old)
		old->pins++;
	ret = qcow2_alloc(q, 1, &host, &got, waiter);
	if (!ret) {
		ret = qcow2_table_new(q, QCOW2_L2, host, out);
		if (ret < 0)
			qcow2_unalloc(q, host, 1);
	}
	if (old)
		old->pins--;
	if (ret)
		return ret;
	if (old) {
		memcpy((*out)->bytes, old->bytes, q->cluster_bytes);
		qcow2_table_dirty(*out, 0, q->cluster_bytes);
		qcow2_free_later(q, old->offset, q->cluster_bytes);
	}
	qcow2_l1_set(q, l1_index, host | QCOW2_COPIED);
	return 0;
}

int qcow2_l2_for_write(struct qcow2 *q, uint64_t l1_index, struct qcow2_table **out,
		       struct qcow2_waiter *waiter)
{
	struct qcow2_table *old = NULL;
	uint64_t offset;
	int ret = 0;

	if (l1_index >= q->h.l1_entries)
		return qcow2_complain(q, "the L1 table is too short", l1_index);
	offset = q->l1[l1_index] & QCOW2_OFFSET_MASK;
	if (offset)
		ret = qcow2_table_get(q, QCOW2_L2, offset, &old, waiter);
	if (ret)
		return ret;
	if (old && (q->l1[l1_index] & QCOW2_COPIED)) {
		if (qcow2_hits_metadata(q, offset, q->cluster_bytes))
			return qcow2_complain(q, "an L2 table is where another table is", offset);
		*out = old;
		return 0;
	}
	return new_l2(q, l1_index, old, out, waiter);
}

/* Whether a read at @guest that finds nothing here may find something in the backing file. */
static bool backed(const struct qcow2 *q, uint64_t guest)
{
	return q->backing && qcow2_cluster_down(q, guest) < q->backing->info.capacity_bytes;
}

static bool in_place(const struct qcow2_entry *entry)
{
	return entry->kind == QCOW2_ENTRY_DATA && entry->copied;
}

/* Reads as zeroes, and has a place of its own, which whoever preallocated it counts on. */
static bool kept(const struct qcow2 *q, const struct qcow2_entry *entry)
{
	return entry->kind == QCOW2_ENTRY_ZERO && entry->host && entry->copied && !q->external;
}

/* Whether the cluster reads as zeroes, so that a new one of zeroes can take its place at once. */
static bool reads_zero(const struct qcow2 *q, const struct qcow2_entry *entry, uint64_t guest)
{
	if (q->external)
		return false;
	if (entry->kind == QCOW2_ENTRY_ZERO)
		return true;
	return entry->kind == QCOW2_ENTRY_NONE && !backed(q, guest);
}

static void free_old(struct qcow2 *q, const struct qcow2_entry *entry)
{
	uint64_t offset, len;

	if (q->external)
		return;
	if (entry->kind == QCOW2_ENTRY_COMPRESSED) {
		qcow2_compressed_place(entry->word, q->cluster_bits, &offset, &len);
		qcow2_free_later(q, offset, len);
	} else if (entry->host) {
		qcow2_free_later(q, entry->host, q->cluster_bytes);
	}
}

/* New clusters for those at @guest: of the data file those at the same place. */
static int take(struct qcow2 *q, uint64_t guest, uint64_t want, struct qcow2_target *target,
		struct qcow2_waiter *waiter)
{
	target->guest_start = qcow2_cluster_down(q, guest);
	if (!q->external)
		return qcow2_alloc(q, want, &target->cluster_host, &target->clusters, waiter);
	target->cluster_host = target->guest_start;
	target->clusters = want;
	return 0;
}

/* Clusters from @index on that are like the first, at most @max. */
static uint64_t count_alike(struct qcow2 *q, struct qcow2_table *t, uint64_t guest, uint64_t max)
{
	uint64_t index = qcow2_l2_index(q, guest), n;
	struct qcow2_entry first, entry;

	if (qcow2_entry_classify(q, t, index, &first) < 0)
		return 0;
	for (n = 1; n < max; n++) {
		uint64_t at = guest + (n << q->cluster_bits);

		if (qcow2_entry_classify(q, t, index + n, &entry) < 0)
			break;
		if (in_place(&entry) != in_place(&first) || kept(q, &entry) != kept(q, &first))
			break;
		if (in_place(&entry) || kept(q, &entry)
			    ? entry.host != first.host + (n << q->cluster_bits)
			    : reads_zero(q, &entry, at) != reads_zero(q, &first, guest))
			break;
	}
	return n;
}

static void enter(struct qcow2 *q, struct qcow2_table *t, const struct qcow2_target *target)
{
	uint64_t index = qcow2_l2_index(q, target->guest_start), i;
	struct qcow2_entry entry;

	for (i = 0; i < target->clusters; i++) {
		uint64_t host = target->cluster_host + (i << q->cluster_bits), bitmap = 0;

		if (qcow2_entry_classify(q, t, index + i, &entry) == 0 && entry.host != host)
			free_old(q, &entry);
		if (q->extended) {
			bitmap = entry.kind == QCOW2_ENTRY_EXTENDED ? entry.bitmap : 0;
			bitmap |= target->subclusters;
			bitmap &= ~((uint64_t)target->subclusters << 32);
		}
		qcow2_entry_put(t, index + i, host | QCOW2_COPIED, bitmap);
	}
}

static int target_plain(struct qcow2 *q, struct qcow2_table *t, uint64_t guest, uint64_t len,
			struct qcow2_target *target, struct qcow2_waiter *waiter)
{
	uint64_t within = guest & (q->cluster_bytes - 1), index = qcow2_l2_index(q, guest);
	uint64_t max = MIN(qcow2_cluster_up(q, within + len) >> q->cluster_bits,
			   (UINT64_C(1) << q->l2_bits) - index);
	uint64_t count = count_alike(q, t, guest, max), room;
	struct qcow2_entry entry;
	int ret;

	if (!count || qcow2_entry_classify(q, t, index, &entry) < 0)
		return -EIO;
	if (in_place(&entry)) {
		target->host = entry.host + within;
		target->len_bytes = MIN(len, (count << q->cluster_bits) - within);
		return 0;
	}
	target->in_place = q->external || kept(q, &entry);
	if (kept(q, &entry)) {
		target->guest_start = qcow2_cluster_down(q, guest);
		target->cluster_host = entry.host;
		target->clusters = count;
	} else {
		ret = take(q, guest, count, target, waiter);
		if (ret)
			return ret;
	}
	room = (target->clusters << q->cluster_bits) - within;
	target->host = target->cluster_host + within;
	target->len_bytes = MIN(len, room);
	target->copy = kept(q, &entry) || !reads_zero(q, &entry, guest);
	if (!target->copy) {
		enter(q, t, target);
		return 0;
	}
	target->head_bytes = within;
	target->tail_bytes = room - target->len_bytes;
	return 0;
}

/* How much of subcluster @sub has to be copied when only the rest of it is written. */
static bool sub_needs_copy(const struct qcow2_entry *entry, unsigned sub)
{
	return qcow2_subcluster_kind(entry, sub) != QCOW2_EXTENT_DATA;
}

/* Whether all of @mask reads as zeroes. */
static bool subs_read_zero(const struct qcow2 *q, const struct qcow2_entry *entry, uint32_t mask,
			   uint64_t guest)
{
	uint32_t zero = (uint32_t)(entry->bitmap >> 32);

	if (q->external)
		return false;
	return (mask & ~zero) == 0 || (!((uint32_t)entry->bitmap & mask) && !backed(q, guest));
}

static int target_extended(struct qcow2 *q, struct qcow2_table *t, uint64_t guest, uint64_t len,
			   struct qcow2_target *target, struct qcow2_waiter *waiter)
{
	uint64_t within = guest & (q->cluster_bytes - 1), sub_bytes = q->cluster_bytes / 32;
	unsigned first = (unsigned)(within / sub_bytes), last;
	struct qcow2_entry entry;
	uint32_t mask;
	bool whole;
	int ret = qcow2_entry_classify(q, t, qcow2_l2_index(q, guest), &entry);

	if (ret < 0)
		return ret;
	len = MIN(len, q->cluster_bytes - within);
	last = (unsigned)((within + len - 1) / sub_bytes);
	mask = (uint32_t)(((UINT64_C(2) << last) - 1) & ~((UINT64_C(1) << first) - 1));
	target->len_bytes = len;
	whole = entry.kind == QCOW2_ENTRY_COMPRESSED || (entry.placed && !entry.copied);
	if (!whole && entry.placed) {
		target->guest_start = qcow2_cluster_down(q, guest);
		target->cluster_host = entry.host;
		target->clusters = 1;
		target->in_place = true;
		target->copy = (entry.bitmap & mask) != mask;
	} else {
		ret = take(q, guest, 1, target, waiter);
		if (ret)
			return ret;
		target->in_place = q->external;
		target->copy = whole || !subs_read_zero(q, &entry, mask, guest);
	}
	target->subclusters = whole ? (uint32_t)ALL_SUBCLUSTERS : mask;
	target->host = target->cluster_host + within;
	if (whole) {
		target->head_bytes = within;
		target->tail_bytes = q->cluster_bytes - within - len;
	} else if (target->copy) {
		target->head_bytes = sub_needs_copy(&entry, first) ? within - first * sub_bytes : 0;
		target->tail_bytes =
			sub_needs_copy(&entry, last) ? (last + 1) * sub_bytes - within - len : 0;
	}
	if (!target->copy && !((entry.bitmap & mask) == mask && entry.placed))
		enter(q, t, target);
	return 0;
}

int qcow2_map_write(struct qcow2 *q, uint64_t guest, uint64_t len, struct qcow2_target *target,
		    struct qcow2_waiter *waiter)
{
	struct qcow2_table *t;
	int ret = qcow2_l2_for_write(q, guest >> qcow2_l2_shift(q), &t, waiter);

	*target = (struct qcow2_target){0};
	if (ret)
		return ret;
	t->pins++;
	if (q->extended)
		ret = target_extended(q, t, guest, len, target, waiter);
	else
		ret = target_plain(q, t, guest, len, target, waiter);
	t->pins--;
	if (!ret && !q->external && qcow2_hits_metadata(q, target->host, target->len_bytes))
		ret = qcow2_complain(q, "data is where a table is", target->host);
	return ret;
}

int qcow2_map_link(struct qcow2 *q, const struct qcow2_target *target, struct qcow2_waiter *waiter)
{
	struct qcow2_table *t;
	int ret = qcow2_l2_for_write(q, target->guest_start >> qcow2_l2_shift(q), &t, waiter);

	if (!ret)
		enter(q, t, target);
	return ret;
}

/* Makes one cluster of zeroes, or of nothing. */
static void zero_entry(struct qcow2 *q, struct qcow2_table *t, uint64_t guest,
		       const struct qcow2_entry *entry, const struct blk_req *req)
{
	uint64_t index = qcow2_l2_index(q, guest), zeroes = ALL_SUBCLUSTERS << 32;
	bool keep = req->op == BLK_WRITE_ZEROES && !(req->flags & BLK_REQ_UNMAP) && entry->placed &&
		    entry->copied && q->h.version >= 3;

	if (req->op == BLK_DISCARD && entry->kind == QCOW2_ENTRY_NONE)
		return;
	if (keep) {
		qcow2_entry_put(t, index,
				entry->host | QCOW2_COPIED | (q->extended ? 0 : QCOW2_ZERO),
				zeroes);
		return;
	}
	free_old(q, entry);
	if (backed(q, guest))
		qcow2_entry_put(t, index, q->extended ? 0 : QCOW2_ZERO, zeroes);
	else
		qcow2_entry_put(t, index, 0, 0);
}

int qcow2_map_zero(struct qcow2 *q, uint64_t guest, uint64_t *len_bytes, const struct blk_req *req,
		   struct qcow2_waiter *waiter)
{
	uint64_t l1_index = guest >> qcow2_l2_shift(q), at;
	uint64_t end = MIN(guest + *len_bytes, (l1_index + 1) << qcow2_l2_shift(q));
	bool missing = l1_index < q->h.l1_entries && !(q->l1[l1_index] & QCOW2_OFFSET_MASK);
	struct qcow2_entry entry;
	struct qcow2_table *t;
	int ret;

	*len_bytes = end - guest;
	if (q->external || (q->h.version < 3 && backed(q, guest)))
		return req->op == BLK_DISCARD ? 0 : -ENOTSUP;
	if (missing && (req->op == BLK_DISCARD || !backed(q, guest)))
		return 0;
	ret = qcow2_l2_for_write(q, l1_index, &t, waiter);
	for (at = guest; !ret && at < end; at += q->cluster_bytes) {
		ret = qcow2_entry_classify(q, t, qcow2_l2_index(q, at), &entry);
		if (!ret)
			zero_entry(q, t, at, &entry, req);
	}
	return ret;
}
