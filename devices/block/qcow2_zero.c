/*
 * Discard and write-zeroes on a qcow2 image: whole clusters in the L2 tables, the rest by writing
 * zeroes where something else can be read. See qcow2_image.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "block/qcow2_op.h"

#define IOVECS ((1u << QCOW2_CLUSTER_BITS_MAX) / (256u << 10))

/* A write of zeroes on behalf of another request. */
struct zero_write {
	struct blk_req req;
	struct qcow2_op *op;
	struct iovec iov[IOVECS];
};

static void zeroes_written(struct blk_req *req, int result)
{
	struct zero_write *w = container_of(req, struct zero_write, req);
	struct qcow2_op *op = w->op;

	free(w);
	qcow2_op_put(op, result);
}

static int write_zeroes(struct qcow2_op *op, uint64_t len)
{
	unsigned char *zeroes = qcow2_zero_bytes(op->q);
	struct zero_write *w = calloc(1, sizeof(*w));
	uint64_t done;

	if (!w || !zeroes) {
		free(w);
		return -ENOMEM;
	}
	w->op = op;
	w->req = (struct blk_req){
		.op = BLK_WRITE,
		.offset_bytes = qcow2_req_of(op)->offset_bytes + op->cursor,
		.len_bytes = len,
		.iov = w->iov,
		.done = zeroes_written,
	};
	for (done = 0; done < len; done += w->iov[w->req.iov_count++].iov_len)
		w->iov[w->req.iov_count] =
			(struct iovec){zeroes, MIN(len - done, QCOW2_ZEROES_BYTES)};
	op->cursor += len;
	op->pending++;
	qcow2_submit_internal(op->q, &w->req);
	return 0;
}

/* Part of one cluster. */
static int zero_part(struct qcow2_op *op, uint64_t guest, uint64_t len)
{
	struct qcow2 *q = op->q;
	struct qcow2_extent extent;
	bool backed;
	int ret;

	if (qcow2_req_of(op)->op == BLK_DISCARD) {
		op->cursor += len;
		return 0;
	}
	ret = qcow2_map_read(q, guest, len, &extent, &op->waiter);
	if (ret)
		return ret;
	backed = q->backing && guest < q->backing->info.capacity_bytes;
	if (extent.kind == QCOW2_EXTENT_ZERO ||
	    (extent.kind == QCOW2_EXTENT_UNALLOCATED && !backed)) {
		op->cursor += extent.len_bytes;
		return 0;
	}
	return write_zeroes(op, extent.len_bytes);
}

int qcow2_zero_piece(struct qcow2_op *op)
{
	struct blk_req *req = qcow2_req_of(op);
	struct qcow2 *q = op->q;
	uint64_t guest = req->offset_bytes + op->cursor, len = req->len_bytes - op->cursor;
	uint64_t within = guest & (q->cluster_bytes - 1), span;
	bool to_end;
	int ret;

	if (q->cows && qcow2_cow_conflicts(q, guest, &len, &op->waiter))
		return QCOW2_WAIT;
	to_end = guest + len == q->blk.info.capacity_bytes;
	if (within || (len < q->cluster_bytes && !to_end))
		return zero_part(op, guest, MIN(len, q->cluster_bytes - within));
	/* The last cluster counts as whole where the disk ends inside it. */
	span = to_end ? qcow2_cluster_up(q, len) : qcow2_cluster_down(q, len);
	ret = qcow2_map_zero(q, guest, &span, req, &op->waiter);
	if (ret == -ENOTSUP)
		return zero_part(op, guest, MIN(len, q->cluster_bytes));
	if (!ret)
		op->cursor += MIN(span, len);
	return ret;
}
