/*
 * What the two engines share. Private to the file layer: formats see file.h.
 */
#ifndef SARANG_BLOCK_ENGINE_H
#define SARANG_BLOCK_ENGINE_H

#include <limits.h>

#include "block/file.h"

/* A file that is a descriptor of this process: what both engines begin with. */
struct fd_file {
	struct file file;
	struct file_desc desc;
};

/*
 * Makes an engine over @desc, which it owns from then on. 0, or -errno with nothing taken over: the
 * host has no such engine (-ENOSYS, -EPERM ...).
 */
int engine_uring_new(const struct file_desc *desc, struct loop *loop, struct file **out);
int engine_threads_new(const struct file_desc *desc, struct loop *loop, struct file **out);

/* As engine_threads_new, for the io_uring engine's odd jobs: the descriptor stays the caller's. */
int engine_threads_borrow(const struct file_desc *desc, struct loop *loop, struct file **out);

/* The operations that need no engine; see struct file_ops. */
int fd_file_extent(struct file *file, uint64_t offset_bytes, uint64_t *len_bytes, bool *data);
int fd_file_size(struct file *file, uint64_t *size_bytes);
int fd_file_resize(struct file *file, uint64_t size_bytes);

/* The most one system call is asked to move; the rest follows as after a short one. */
#define ENGINE_MOVE_MAX (UINT64_C(1) << 30)

/* What is left of a read or write. */
struct engine_span {
	const struct iovec *iov;
	int count;
	struct iovec part; /* where @iov points when a piece is half done */
};

/* Fills @span with what follows after req->moved_bytes. */
void engine_span_left(const struct file_req *req, struct engine_span *span);

/* The fallocate mode of @op. */
int engine_fallocate_mode(enum file_op op);

/*
 * Takes in what a system call gave for @req: bytes moved or -errno. True when it is done, with
 * *@result what to complete it with; false when it has to be started again for the rest.
 */
bool engine_step(struct file_req *req, int64_t ret, int *result);

#endif
