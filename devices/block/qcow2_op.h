/* A request on its way through a qcow2 image. Private to qcow2_io.c, _write.c, _unpack.c. */
#ifndef SARANG_BLOCK_QCOW2_OP_H
#define SARANG_BLOCK_QCOW2_OP_H

#include "block/qcow2_image.h"

#define QCOW2_IO_IOVECS 8

/* Lives in blk_req.priv. */
struct qcow2_op {
	struct qcow2_waiter waiter;
	struct qcow2 *q;
	uint64_t cursor;  /* bytes that are on their way or done */
	unsigned pending; /* pieces on their way, and 1 while there are more to start */
	int result;
	unsigned parity : 1;
	unsigned submitting : 1; /* still inside submit */
	unsigned internal : 1;   /* not from blk_submit: one of our own */
};

static inline struct blk_req *qcow2_req_of(struct qcow2_op *op)
{
	return container_of(op, struct blk_req, priv);
}

/* One piece: a read or write of the file, or of the backing disk. */
struct qcow2_io {
	struct file_req req;
	struct blk_req sub;
	struct qcow2_op *op;
	struct qcow2_io *next;
	uint64_t skip, len_bytes; /* of the request's iovecs */
	struct iovec *iov;        /* @few, or of its own */
	int iov_count;
	struct iovec few[QCOW2_IO_IOVECS];
	struct iovec flat;
	unsigned char *bounce;
};

/* A piece of @op's request at its cursor, @len bytes long, which it passes. NULL: out of memory. */
struct qcow2_io *qcow2_io_new(struct qcow2_op *op, uint64_t len);
/* The piece has ended. */
void qcow2_io_end(struct qcow2_io *io, int result);
/* Reads or writes the piece at @host of the data file. */
void qcow2_io_transfer(struct qcow2_io *io, uint64_t host);

/* Starts what is left of @op; again after a wait. */
void qcow2_op_advance(struct qcow2_op *op);
/* One hold on @op less; completes its request when that was the last. */
void qcow2_op_put(struct qcow2_op *op, int result);

/* Starts @req of our own, for its done(), which may run at once. */
void qcow2_submit_internal(struct qcow2 *q, struct blk_req *req);

/* Starts the next piece: 0, QCOW2_WAIT with op->waiter parked, -errno. */
int qcow2_write_piece(struct qcow2_op *op);
int qcow2_zero_piece(struct qcow2_op *op);
int qcow2_unpack_piece(struct qcow2_op *op, const struct qcow2_extent *extent);

/*
 * Whether a copy is under way for clusters in the range: then @waiter is run when it has ended.
 * *@len_bytes becomes shorter where one begins later on.
 */
bool qcow2_cow_conflicts(struct qcow2 *q, uint64_t guest, uint64_t *len_bytes,
			 struct qcow2_waiter *waiter);

/* Copies between @flat and the iovecs of @iov, from @skip bytes into them on. */
void qcow2_iov_copy(const struct iovec *iov, uint64_t skip, unsigned char *flat, uint64_t len,
		    bool to_iov);
void qcow2_iov_zero(const struct iovec *iov, uint64_t skip, uint64_t len);
/* The part of @iov from @skip on, @len long, into @out, which has room. Returns the count. */
int qcow2_iov_slice(const struct iovec *iov, uint64_t skip, uint64_t len, struct iovec *out);

/* Whether the host takes these buffers as they are. */
bool qcow2_iov_fits(const struct file_desc *desc, const struct iovec *iov, int count);

#endif
