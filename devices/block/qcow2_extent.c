/*
 * Where a qcow2 image has data: struct blk_ops, extent.
 *
 * A cluster that has its place may have nothing there: in an image that was preallocated, the
 * host's file is a hole where the guest has not written. Such clusters read as zeroes, and who
 * copies or compares a disk need not look at them. Only whole ones count: what surrounds a guest's
 * small write stays data.
 */
#include <errno.h>

#include "base/util.h"
#include "block/qcow2_tools.h"

/* Data is looked at in parts of this size: who asks mostly takes no more at once. */
#define DATA_BYTES MIB(1)

struct extent_query {
	uint64_t offset, len;
	struct qcow2_extent extent;
};

static int query_extent(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct extent_query *query = arg;

	return qcow2_map_read(q, query->offset, query->len, &query->extent, waiter);
}

/* Whether the file has a hole at @host, and for how long that is so, of at most *@len. */
static bool is_hole(struct qcow2 *q, uint64_t host, uint64_t *len)
{
	uint64_t part = *len, cluster_end = qcow2_cluster_down(q, host) + q->cluster_bytes;
	bool data = true;

	if (q->data->ops->extent(q->data, host, &part, &data) < 0)
		return false;
	if (!data && part < *len && qcow2_cluster_down(q, host + part) > host) {
		*len = qcow2_cluster_down(q, host + part) - host;
		return true;
	}
	if (!data && part == *len)
		return true;
	/* Up to the end of the cluster in which the data, or a hole that is too small, ends. */
	if (part < *len)
		*len = MIN(*len, MAX(qcow2_cluster_up(q, host + part), cluster_end) - host);
	return false;
}

/* What there is from @host on, of at most *@len bytes: true with the length of a hole, or of data.
 */
static bool look_at_file(struct qcow2 *q, uint64_t host, uint64_t *len)
{
	uint64_t all = *len, done = all, part;

	if (is_hole(q, host, &done)) {
		*len = done;
		return true;
	}
	while (done < MIN(all, DATA_BYTES)) {
		part = all - done;
		if (is_hole(q, host + done, &part))
			break;
		done += part;
	}
	*len = done;
	return false;
}

int qcow2_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
		 enum blk_extent_kind *kind)
{
	struct qcow2 *q = qcow2_of(blk);
	struct extent_query query = {.offset = offset_bytes, .len = *len_bytes};
	int ret = qcow2_wait_for(q, query_extent, &query);

	if (ret < 0)
		return ret;
	*len_bytes = query.extent.len_bytes;
	switch (query.extent.kind) {
	case QCOW2_EXTENT_ZERO:
		*kind = BLK_EXTENT_ZERO;
		break;
	case QCOW2_EXTENT_UNALLOCATED:
		*kind = BLK_EXTENT_HOLE;
		break;
	case QCOW2_EXTENT_COMPRESSED:
		*kind = BLK_EXTENT_DATA;
		break;
	case QCOW2_EXTENT_DATA:
		*kind = look_at_file(q, query.extent.host, len_bytes) ? BLK_EXTENT_ZERO
								      : BLK_EXTENT_DATA;
		break;
	}
	return 0;
}
