/*
 * Requests on a qcow2 image: taking them apart, reading, and ending them. See qcow2_image.h.
 *
 * A request is taken apart from front to back, each extent becoming a piece that is on its way at
 * once. Where metadata is missing, the request waits at its cursor while its earlier pieces and
 * other requests go on. It ends when all its pieces have.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"
#include "block/qcow2_op.h"
#include "block/qcow2_tools.h"

#define BOUNCE_ALIGN 4096u

static_assert(sizeof(struct qcow2_op) <= sizeof(((struct blk_req *)0)->priv), "priv too small");

void qcow2_iov_copy(const struct iovec *iov, uint64_t skip, unsigned char *flat, uint64_t len,
		    bool to_iov)
{
	while (len) {
		uint64_t n = iov->iov_len > skip ? MIN(iov->iov_len - skip, len) : 0;

		if (n && to_iov)
			memcpy((char *)iov->iov_base + skip, flat, n);
		else if (n)
			memcpy(flat, (char *)iov->iov_base + skip, n);
		skip = skip > iov->iov_len ? skip - iov->iov_len : 0;
		flat += n;
		len -= n;
		iov++;
	}
}

void qcow2_iov_zero(const struct iovec *iov, uint64_t skip, uint64_t len)
{
	for (; len; iov++) {
		uint64_t n = iov->iov_len > skip ? MIN(iov->iov_len - skip, len) : 0;

		if (n)
			memset((char *)iov->iov_base + skip, 0, n);
		skip = skip > iov->iov_len ? skip - iov->iov_len : 0;
		len -= n;
	}
}

int qcow2_iov_slice(const struct iovec *iov, uint64_t skip, uint64_t len, struct iovec *out)
{
	int count = 0;

	for (; len; iov++) {
		uint64_t n = iov->iov_len > skip ? MIN(iov->iov_len - skip, len) : 0;

		if (n)
			out[count++] = (struct iovec){(char *)iov->iov_base + skip, n};
		skip = skip > iov->iov_len ? skip - iov->iov_len : 0;
		len -= n;
	}
	return count;
}

bool qcow2_iov_fits(const struct file_desc *desc, const struct iovec *iov, int count)
{
	uintptr_t mem_mask = desc->mem_align - 1, len_mask = desc->offset_align - 1;
	int i;

	if (!desc->direct)
		return true;
	for (i = 0; i < count; i++)
		if (((uintptr_t)iov[i].iov_base & mem_mask) || (iov[i].iov_len & len_mask))
			return false;
	return true;
}

void *qcow2_zero_bytes(struct qcow2 *q)
{
	void *p;

	if (q->zeroes)
		return q->zeroes;
	/* Never written to, so that every page of it stays the kernel's one page of zeroes. */
	p = mmap(NULL, QCOW2_ZEROES_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		q->zeroes = p;
	return q->zeroes;
}

void qcow2_kick(struct qcow2 *q)
{
	file_kick(q->file);
	if (q->data != q->file)
		file_kick(q->data);
	if (q->backing)
		blk_kick(q->backing);
}

struct qcow2_io *qcow2_io_new(struct qcow2_op *op, uint64_t len)
{
	struct blk_req *req = qcow2_req_of(op);
	struct qcow2_io *io = op->q->free_ios;

	if (io)
		op->q->free_ios = io->next;
	else
		io = malloc(sizeof(*io));
	if (!io)
		return NULL;
	io->op = op;
	io->skip = op->cursor;
	io->len_bytes = len;
	io->bounce = NULL;
	io->iov = io->few;
	if (req->iov_count > QCOW2_IO_IOVECS)
		io->iov = calloc((size_t)req->iov_count, sizeof(*io->iov));
	if (!io->iov) {
		free(io);
		return NULL;
	}
	io->iov_count = req->iov ? qcow2_iov_slice(req->iov, op->cursor, len, io->iov) : 0;
	op->cursor += len;
	op->pending++;
	return io;
}

void qcow2_io_end(struct qcow2_io *io, int result)
{
	struct qcow2_op *op = io->op;

	if (io->iov != io->few)
		free(io->iov);
	free(io->bounce);
	io->next = op->q->free_ios;
	op->q->free_ios = io;
	qcow2_op_put(op, result);
}

struct qcow2_io **qcow2_io_next(struct qcow2_io *io)
{
	return &io->next;
}

static void io_done(struct file_req *req, int result)
{
	struct qcow2_io *io = container_of(req, struct qcow2_io, req);
	struct qcow2 *q = io->op->q;
	uint64_t size, inside;

	/* An image may end before its last cluster does. What there is was read; the rest is zero.
	 */
	if (result == -ENODATA && q->data->ops->size(q->data, &size) == 0) {
		inside = size > req->offset_bytes ? size - req->offset_bytes : 0;
		inside = MIN(inside, req->len_bytes);
		qcow2_iov_zero(req->iov, inside, req->len_bytes - inside);
		result = 0;
	}
	if (io->bounce && !result && req->op == FILE_READ)
		qcow2_iov_copy(qcow2_req_of(io->op)->iov, io->skip, io->bounce, io->len_bytes,
			       true);
	qcow2_io_end(io, result);
}

void qcow2_io_transfer(struct qcow2_io *io, uint64_t host)
{
	struct qcow2 *q = io->op->q;
	struct blk_req *req = qcow2_req_of(io->op);
	const struct iovec *iov = io->iov;
	int count = io->iov_count;

	if (!qcow2_iov_fits(q->data->desc, iov, count)) {
		io->bounce = aligned_alloc(BOUNCE_ALIGN, align_up(io->len_bytes, BOUNCE_ALIGN));
		if (!io->bounce) {
			qcow2_io_end(io, -ENOMEM);
			return;
		}
		if (req->op == BLK_WRITE)
			qcow2_iov_copy(req->iov, io->skip, io->bounce, io->len_bytes, false);
		io->flat = (struct iovec){io->bounce, io->len_bytes};
		iov = &io->flat;
		count = 1;
	}
	io->req = (struct file_req){
		.op = req->op == BLK_READ ? FILE_READ : FILE_WRITE,
		.offset_bytes = host,
		.len_bytes = io->len_bytes,
		.iov = iov,
		.iov_count = count,
		.done = io_done,
	};
	file_submit(q->data, &io->req);
}

static void sub_done(struct blk_req *sub, int result)
{
	struct qcow2_io *io = container_of(sub, struct qcow2_io, sub);
	struct qcow2 *q = io->op->q;

	qcow2_io_end(io, result);
	qcow2_kick(q);
}

/* Reads from the backing disk, as far as it reaches. 0 or -ENOMEM. */
static int read_backing(struct qcow2_op *op, uint64_t guest, uint64_t len)
{
	struct qcow2 *q = op->q;
	uint64_t capacity = q->backing ? q->backing->info.capacity_bytes : 0;
	struct qcow2_io *io;

	if (guest >= capacity) {
		qcow2_iov_zero(qcow2_req_of(op)->iov, op->cursor, len);
		op->cursor += len;
		return 0;
	}
	len = MIN(len, capacity - guest);
	io = qcow2_io_new(op, len);
	if (!io)
		return -ENOMEM;
	io->sub = (struct blk_req){
		.op = BLK_READ,
		.offset_bytes = guest,
		.len_bytes = len,
		.iov = io->iov,
		.iov_count = io->iov_count,
		.done = sub_done,
	};
	blk_submit(q->backing, &io->sub);
	return 0;
}

static int read_piece(struct qcow2_op *op)
{
	struct blk_req *req = qcow2_req_of(op);
	uint64_t guest = req->offset_bytes + op->cursor;
	struct qcow2_extent extent;
	struct qcow2_io *io;
	int ret = qcow2_map_read(op->q, guest, req->len_bytes - op->cursor, &extent, &op->waiter);

	if (ret)
		return ret;
	switch (extent.kind) {
	case QCOW2_EXTENT_ZERO:
		qcow2_iov_zero(req->iov, op->cursor, extent.len_bytes);
		op->cursor += extent.len_bytes;
		return 0;
	case QCOW2_EXTENT_UNALLOCATED:
		return read_backing(op, guest, extent.len_bytes);
	case QCOW2_EXTENT_COMPRESSED:
		return qcow2_unpack_piece(op, &extent);
	case QCOW2_EXTENT_DATA:
		break;
	}
	io = qcow2_io_new(op, extent.len_bytes);
	if (!io)
		return -ENOMEM;
	qcow2_io_transfer(io, extent.host);
	return 0;
}

static int next_piece(struct qcow2_op *op)
{
	switch (qcow2_req_of(op)->op) {
	case BLK_READ:
		return read_piece(op);
	case BLK_WRITE:
		return qcow2_write_piece(op);
	default:
		return qcow2_zero_piece(op);
	}
}

void qcow2_op_advance(struct qcow2_op *op)
{
	struct blk_req *req = qcow2_req_of(op);
	int ret = op->result;

	while (!ret && op->cursor < req->len_bytes)
		ret = next_piece(op);
	if (ret != QCOW2_WAIT)
		qcow2_op_put(op, ret);
}

static void op_wake(struct qcow2_waiter *waiter)
{
	struct qcow2_op *op = container_of(waiter, struct qcow2_op, waiter);
	struct qcow2 *q = op->q;

	qcow2_op_advance(op);
	qcow2_kick(q);
}

static void flush_ended(struct qcow2_waiter *waiter)
{
	struct qcow2_op *op = container_of(waiter, struct qcow2_op, waiter);

	qcow2_op_put(op, op->q->flush.last_result);
}

void qcow2_op_put(struct qcow2_op *op, int result)
{
	struct blk_req *req = qcow2_req_of(op);
	struct qcow2 *q = op->q;
	bool submitting = op->submitting;

	if (result < 0 && !op->result)
		op->result = result;
	if (--op->pending)
		return;
	result = op->result;
	q->under_way[op->parity]--;
	if (q->frees.held.count)
		qcow2_frees_run(q);
	if (op->internal) {
		q->internal--;
		req->done(req, result);
		return;
	}
	if (result < 0)
		log_limited(&q->complaints, LOG_ERROR, "disk %s: I/O error at offset %llu: %s",
			    q->file->desc->path, (unsigned long long)req->offset_bytes,
			    strerror(-result));
	if (submitting)
		blk_complete_later(&q->blk, req, result);
	else
		blk_complete(&q->blk, req, result);
}

static void start(struct qcow2 *q, struct blk_req *req, bool internal)
{
	struct qcow2_op *op = (struct qcow2_op *)(void *)req->priv;

	*op = (struct qcow2_op){
		.q = q,
		.pending = 2, /* one for the pieces, one for this function */
		.parity = q->parity,
		.submitting = true,
		.internal = internal,
		.waiter.run = op_wake,
	};
	q->under_way[op->parity]++;
	q->internal += internal;
	if (req->op == BLK_FLUSH) {
		op->waiter.run = flush_ended;
		qcow2_flush_start(q, &op->waiter);
	} else {
		qcow2_op_advance(op);
	}
	if (op->pending == 1) {
		qcow2_op_put(op, 0);
		return;
	}
	op->submitting = false;
	op->pending--;
}

void qcow2_submit(struct blk *blk, struct blk_req *req)
{
	start(container_of(blk, struct qcow2, blk), req, false);
}

void qcow2_submit_internal(struct qcow2 *q, struct blk_req *req)
{
	start(q, req, true);
}
