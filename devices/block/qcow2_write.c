/*
 * Writing to a qcow2 image: in place, into new clusters, and copy on write. See qcow2_image.h.
 *
 * A copy on write reads what surrounds the guest's data in the clusters concerned, through the
 * ordinary read path, writes all of it with one request, and enters the new clusters into the L2
 * table. Until then the old ones are what others read; who wants to change them waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_op.h"

#define BUFFER_ALIGN 4096u

struct qcow2_cow {
	struct qcow2_cow *next, **link; /* among those under way */
	struct qcow2_op *op;
	struct qcow2_target target;
	uint64_t skip;      /* of the request's iovecs */
	unsigned char *buf; /* head, then tail; or with the data between when that must be copied */
	unsigned char *tail;
	struct blk_req head_req, tail_req;
	struct iovec head_iov, tail_iov;
	struct iovec *iov;
	struct file_req req;
	struct qcow2_waiter waiter; /* for the L2 table */
	struct qcow2_wait_list waiting;
	unsigned pending;
	int result;
};

bool qcow2_cow_conflicts(struct qcow2 *q, uint64_t guest, uint64_t *len_bytes,
			 struct qcow2_waiter *waiter)
{
	struct qcow2_cow *cow;

	for (cow = q->cows; cow; cow = cow->next) {
		uint64_t start = cow->target.guest_start;
		uint64_t end = start + (cow->target.clusters << q->cluster_bits);

		if (start >= guest + *len_bytes || end <= guest)
			continue;
		if (start <= guest) {
			qcow2_park(&cow->waiting, waiter);
			return true;
		}
		*len_bytes = start - guest;
	}
	return false;
}

static void cow_end(struct qcow2_cow *cow, int result)
{
	struct qcow2_op *op = cow->op;
	struct qcow2 *q = op->q;
	struct qcow2_wait_list waiting = cow->waiting;

	*cow->link = cow->next;
	if (cow->next)
		cow->next->link = cow->link;
	if (result < 0 && !cow->target.in_place)
		qcow2_free_later(q, cow->target.cluster_host,
				 cow->target.clusters << q->cluster_bits);
	free(cow->buf);
	free(cow->iov);
	free(cow);
	qcow2_wake(&waiting);
	qcow2_op_put(op, result);
	qcow2_kick(q);
}

static void enter(struct qcow2_cow *cow)
{
	int ret = qcow2_map_link(cow->op->q, &cow->target, &cow->waiter);

	if (ret != QCOW2_WAIT)
		cow_end(cow, ret);
}

static void enter_again(struct qcow2_waiter *waiter)
{
	enter(container_of(waiter, struct qcow2_cow, waiter));
}

static void written(struct file_req *req, int result)
{
	struct qcow2_cow *cow = container_of(req, struct qcow2_cow, req);

	cow->waiter.run = enter_again;
	if (result < 0)
		cow_end(cow, result);
	else
		enter(cow);
}

/* Everything that surrounds the data is there. */
static void write_all(struct qcow2_cow *cow)
{
	const struct qcow2_target *target = &cow->target;
	struct blk_req *req = qcow2_req_of(cow->op);
	struct qcow2 *q = cow->op->q;
	bool flat = cow->tail == cow->buf + target->head_bytes + target->len_bytes;
	int count = 0;

	if (flat) {
		qcow2_iov_copy(req->iov, cow->skip, cow->buf + target->head_bytes,
			       target->len_bytes, false);
		cow->iov[count++] =
			(struct iovec){cow->buf,
				       target->head_bytes + target->len_bytes + target->tail_bytes};
	} else {
		if (target->head_bytes)
			cow->iov[count++] = cow->head_iov;
		count += qcow2_iov_slice(req->iov, cow->skip, target->len_bytes, cow->iov + count);
		if (target->tail_bytes)
			cow->iov[count++] = cow->tail_iov;
	}
	cow->req = (struct file_req){
		.op = FILE_WRITE,
		.offset_bytes = target->host - target->head_bytes,
		.len_bytes = target->head_bytes + target->len_bytes + target->tail_bytes,
		.iov = cow->iov,
		.iov_count = count,
		.point = "cow_write",
		.done = written,
	};
	file_submit(q->data, &cow->req);
}

static void cow_put(struct qcow2_cow *cow, int result)
{
	struct qcow2 *q = cow->op->q;

	if (result < 0)
		cow->result = result;
	if (--cow->pending)
		return;
	if (cow->result < 0) {
		cow_end(cow, cow->result);
		return;
	}
	write_all(cow);
	qcow2_kick(q);
}

static void head_done(struct blk_req *req, int result)
{
	cow_put(container_of(req, struct qcow2_cow, head_req), result);
}

static void tail_done(struct blk_req *req, int result)
{
	cow_put(container_of(req, struct qcow2_cow, tail_req), result);
}

static void read_part(struct qcow2_cow *cow, struct blk_req *part, uint64_t guest,
		      struct iovec *iov)
{
	*part = (struct blk_req){
		.op = BLK_READ,
		.offset_bytes = guest,
		.len_bytes = iov->iov_len,
		.iov = iov,
		.iov_count = 1,
		.done = part == &cow->head_req ? head_done : tail_done,
	};
	if (iov->iov_len)
		qcow2_submit_internal(cow->op->q, part);
	else
		cow_put(cow, 0);
}

/* Memory for the copy. With direct I/O and buffers that it would not take, for the data too. */
static int make_buffers(struct qcow2_cow *cow)
{
	const struct qcow2_target *target = &cow->target;
	struct blk_req *req = qcow2_req_of(cow->op);
	uint64_t head = target->head_bytes, tail_at, size;

	if (qcow2_iov_fits(cow->op->q->data->desc, req->iov, req->iov_count))
		tail_at = align_up(head, BUFFER_ALIGN) + BUFFER_ALIGN;
	else
		tail_at = head + target->len_bytes;
	size = align_up(tail_at + target->tail_bytes, BUFFER_ALIGN);
	cow->buf = aligned_alloc(BUFFER_ALIGN, MAX(size, (uint64_t)BUFFER_ALIGN));
	cow->iov = calloc((size_t)req->iov_count + 2, sizeof(*cow->iov));
	if (!cow->buf || !cow->iov)
		return -ENOMEM;
	cow->tail = cow->buf + tail_at;
	cow->head_iov = (struct iovec){cow->buf, head};
	cow->tail_iov = (struct iovec){cow->tail, target->tail_bytes};
	return 0;
}

static int start_copy(struct qcow2_op *op, const struct qcow2_target *target)
{
	struct qcow2_cow *cow = calloc(1, sizeof(*cow));
	uint64_t guest = qcow2_req_of(op)->offset_bytes + op->cursor;
	struct qcow2 *q = op->q;

	if (cow) {
		cow->op = op;
		cow->target = *target;
		cow->skip = op->cursor;
	}
	if (!cow || make_buffers(cow) < 0) {
		if (!target->in_place)
			qcow2_unalloc(q, target->cluster_host, target->clusters);
		if (cow) {
			free(cow->buf);
			free(cow->iov);
		}
		free(cow);
		return -ENOMEM;
	}
	cow->next = q->cows;
	cow->link = &q->cows;
	if (cow->next)
		cow->next->link = &cow->next;
	q->cows = cow;
	op->pending++;
	op->cursor += target->len_bytes;
	cow->pending = 3;
	read_part(cow, &cow->head_req, guest - target->head_bytes, &cow->head_iov);
	read_part(cow, &cow->tail_req, guest + target->len_bytes, &cow->tail_iov);
	cow_put(cow, 0);
	return 0;
}

int qcow2_write_piece(struct qcow2_op *op)
{
	struct blk_req *req = qcow2_req_of(op);
	uint64_t guest = req->offset_bytes + op->cursor, len = req->len_bytes - op->cursor;
	struct qcow2_target target;
	struct qcow2_io *io;
	int ret;

	if (op->q->cows && qcow2_cow_conflicts(op->q, guest, &len, &op->waiter))
		return QCOW2_WAIT;
	ret = qcow2_map_write(op->q, guest, len, &target, &op->waiter);
	if (ret)
		return ret;
	if (target.copy)
		return start_copy(op, &target);
	io = qcow2_io_new(op, target.len_bytes);
	if (!io)
		return -ENOMEM;
	qcow2_io_transfer(io, target.host);
	return 0;
}
