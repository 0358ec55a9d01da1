/*
 * The file layer: an image file with asynchronous I/O, which formats (raw, qcow2) are written on.
 *
 * A struct file is a table of operations. The two engines (io_uring; a pool of pread/pwrite
 * threads) each are one; tests put others in front that inject faults or record the order of
 * writes. Nothing of that costs the production path anything but the indirect call it makes anyway.
 *
 * Threads and loops as in blk.h: every call is made on the loop's thread, completions arrive there.
 * Requests: the caller owns struct file_req and its iovecs until done() is called, exactly once,
 * and never from inside file_submit. Short reads and writes are resumed below this interface: a
 * request is done whole or it failed.
 */
#ifndef SARANG_BLOCK_FILE_H
#define SARANG_BLOCK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "block/desc.h"
#include "loop/loop.h"

enum file_op {
	FILE_READ,     /* -ENODATA where the file ends before the request does */
	FILE_WRITE,    /* past the end it makes the file longer */
	FILE_SYNC,     /* fdatasync */
	FILE_DISCARD,  /* contents no longer matter: punch a hole; BLKDISCARD on a block device */
	FILE_PUNCH,    /* reads as zeroes, space given back; -EOPNOTSUPP where the host cannot */
	FILE_ZERO,     /* reads as zeroes, space kept; -EOPNOTSUPP where the host cannot */
	FILE_ALLOCATE, /* space reserved, contents and size unchanged */
};

struct file;

struct file_req {
	enum file_op op : 8;
	unsigned stalled : 1; /* the engine's: the kernel asked to try again */
	int iov_count;
	uint64_t offset_bytes;
	uint64_t len_bytes;      /* for read and write the sum of the iovecs */
	const struct iovec *iov; /* read and write only; each piece not empty */
	/* What this step is called where faults are injected ("l2_update"); NULL: the guest's data.
	 */
	const char *point;
	void (*done)(struct file_req *req, int result); /* 0 or -errno */

	struct file_req *next; /* the engine's while under way, as is @moved_bytes */
	uint64_t moved_bytes;  /* how far a resumed read or write has come */
};

struct file_ops {
	/* Starts @req, at the latest when the loop waits. Never fails: errors go to done(). */
	void (*submit)(struct file *file, struct file_req *req);
	/* Hands what was submitted to the kernel now, not only when the loop is about to wait. */
	void (*kick)(struct file *file);
	/*
	 * Whether the file has data at @offset_bytes (or a hole: reads as zeroes), and for how many
	 * bytes, in *@len_bytes, at most what it came with. Blocking. 0 or -errno.
	 */
	int (*extent)(struct file *file, uint64_t offset_bytes, uint64_t *len_bytes, bool *data);
	/* The size now. Blocking. 0 or -errno. */
	int (*size)(struct file *file, uint64_t *size_bytes);
	/* Cuts or extends (with a hole) the file. Blocking. 0 or -errno: -ENOTSUP on a block
	 * device. */
	int (*resize)(struct file *file, uint64_t size_bytes);
	/* Frees everything; nothing is under way. */
	void (*close)(struct file *file);
};

/* Embedded in each implementation. */
struct file {
	const struct file_ops *ops;
	struct loop *loop;
	const struct file_desc *desc; /* what is open, for all that does not change */
	/*
	 * Where data was found last: a host may have to look at all of it each time that it is
	 * asked (ext4: reserved space that was read through the page cache).
	 */
	uint64_t data_start, data_end;
};

enum file_engine {
	FILE_ENGINE_AUTO, /* io_uring, threads where the host has or allows none */
	FILE_ENGINE_URING,
	FILE_ENGINE_THREADS,
};

/* Opens, locks and attaches to @loop. *@out is ended with file_close. 0 or -errno with @e set. */
int file_open(const struct file_options *options, struct loop *loop, struct file **out,
	      struct err *e);

/*
 * The same with a descriptor that is open and an @engine that is chosen. On success the file owns
 * what @desc held.
 */
int file_attach(const struct file_desc *desc, struct loop *loop, enum file_engine engine,
		struct file **out, struct err *e);

/* Nothing may be under way. NULL is fine. */
void file_close(struct file *file);

/*
 * For tools, and for what is done while a disk is opened: runs the loop until the request is done.
 * Not from inside a done(). 0 or -errno.
 */
int file_wait(struct file *file, struct file_req req);
int file_pread(struct file *file, uint64_t offset_bytes, void *buf, uint64_t len_bytes);
int file_pwrite(struct file *file, uint64_t offset_bytes, const void *buf, uint64_t len_bytes);

static inline void file_submit(struct file *file, struct file_req *req)
{
	file->ops->submit(file, req);
}

static inline void file_kick(struct file *file)
{
	file->ops->kick(file);
}

#endif
