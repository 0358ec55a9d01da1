/*
 * The block back-end: what stands behind a disk on the host.
 *
 * A virtio-blk front-end, a command-line tool and a test see this interface and nothing else; raw
 * files, qcow2, and the filters on top of them (overlay, throttle, fault injection) are each a
 * `struct blk_ops`. Filters stack: they embed a struct blk and hold the one below.
 *
 * Threads: a struct blk is attached to one loop when it is opened. Every call below is made on that
 * loop's thread (or while nobody runs the loop), and completions arrive there. Nothing here locks.
 *
 * Requests: the caller owns struct blk_req and its iovecs until done() is called, exactly once.
 * done() is never called from inside blk_submit: a caller may hold on to its state while
 * submitting. The caller may free or reuse the request inside done(). Offsets and lengths are
 * multiples of info.block_bytes and lie inside the capacity: the front-end checks what its guest
 * asked for, blk_submit checks again and completes with -EINVAL.
 */
#ifndef SARANG_BLOCK_BLK_H
#define SARANG_BLOCK_BLK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "loop/loop.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,        /* all writes completed before it was submitted are on stable storage */
	BLK_DISCARD,      /* contents no longer matter; a hint that may do nothing */
	BLK_WRITE_ZEROES, /* reads as zeroes afterwards */
};

enum blk_req_flags {
	BLK_REQ_UNMAP = 1 << 0, /* write-zeroes: the space may be given back */
};

struct blk;

struct blk_req {
	enum blk_op op;
	unsigned flags;
	uint64_t offset_bytes;   /* on the disk */
	uint64_t len_bytes;      /* for read and write the sum of the iovecs */
	const struct iovec *iov; /* read and write only; each piece not empty */
	int iov_count;

	/* @result: 0, or -errno when any part of it failed. */
	void (*done)(struct blk_req *req, int result);
	void *opaque; /* the caller's */

	struct blk_req *next; /* the back-end's while the request is under way, as is @priv */
	uint64_t priv[12];
};

/* What a guest may be told about the disk. */
struct blk_info {
	uint64_t capacity_bytes; /* multiple of block_bytes */
	uint32_t block_bytes;    /* smallest unit of I/O: 512 or 4096 */
	uint32_t physical_bytes; /* unit that the storage writes without reading: 512, 4096 ... */
	uint32_t optimal_bytes;  /* preferred I/O size; 0 unknown */
	uint32_t align_bytes;    /* alignment that iovec addresses need for direct I/O; 1: none */
	uint32_t discard_bytes;  /* granularity of discard; 0: discard does nothing */
	bool read_only;
	bool ephemeral;     /* what is written is gone when it is closed */
	const char *format; /* "raw", "qcow2" */
};

enum blk_extent_kind {
	BLK_EXTENT_DATA,
	BLK_EXTENT_ZERO, /* reads as zeroes */
	BLK_EXTENT_HOLE, /* not there in this layer; for raw the same as zero */
};

struct blk_ops {
	/* Starts @req; see above. Never fails: errors go to done(). */
	void (*submit)(struct blk *blk, struct blk_req *req);
	/*
	 * Optional: the caller has submitted what it has; the batch goes to the kernel now, where
	 * some of it may have gone before. Without it the batch goes when the loop is about to
	 * wait.
	 */
	void (*kick)(struct blk *blk);
	/*
	 * Optional, of what holds requests back: somebody waits for all that is under way, so all
	 * of it goes on now.
	 */
	void (*hurry)(struct blk *blk);
	/*
	 * Optional: what is at @offset_bytes, and for how many bytes (in *@len_bytes, at most what
	 * it came with) it stays that way. May block. 0 or -errno.
	 */
	int (*extent)(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
		      enum blk_extent_kind *kind);
	/* Optional: changes the capacity, a multiple of block_bytes. May block. 0 or -errno with @e
	 * set. */
	int (*resize)(struct blk *blk, uint64_t capacity_bytes, struct err *e);
	/* Frees everything; nothing is under way. Flushes nothing: that is the caller's decision.
	 */
	void (*close)(struct blk *blk);
};

/* The part all back-ends share, embedded in each. */
struct blk {
	const struct blk_ops *ops;
	struct blk_info info;
	struct loop *loop;
	unsigned in_flight; /* requests submitted and not done, kept by blk_submit */
	/*
	 * The host failed to make something stable. Linux may have dropped what it could not
	 * write, so no later flush of this disk may succeed: asking again is in vain.
	 */
	bool unstable;
	/* blk.c's own, for completions that must not happen inside submit */
	struct blk_req *deferred_head, **deferred_tail;
	struct loop_work deferred_work;
};

/* How much may go to a disk; 0: no limit. See throttle.h. */
struct blk_limits {
	uint64_t iops, bps; /* operations and bytes a second */
	uint64_t iops_max,
		bps_max; /* and how many at once, after a silence; 0: a tenth of a second's */
};

/* How a disk is to be opened: what a user says with -d. */
struct blk_options {
	const char *path;
	const char *format; /* "raw", "qcow2"; NULL: raw (never guessed for writing) */
	bool read_only;
	bool direct;    /* O_DIRECT: past the host's page cache */
	bool ephemeral; /* the file is a base that is only read: see overlay.h */
	struct blk_limits limits;
	bool backing_ok; /* files that the image names may lie outside of its own directory */
	unsigned depth;  /* of the chain above it: 0 for all but a backing file */
	bool no_backing; /* for tools: leaves the backing file closed; it reads as zeroes */
	bool repairing;  /* for tools: also what is marked as corrupt or dirty, as it is */
};

/*
 * Opens the image, takes its lock (exclusive for writing, shared for read-only) and attaches it to
 * @loop. *@out is closed with blk_close. On failure the sentence names the file and what is wrong,
 * and for a locked one, who holds it where the host tells.
 */
int blk_open(const struct blk_options *options, struct loop *loop, struct blk **out, struct err *e);

/*
 * Checks what blk_open would refuse, without taking the lock for good and without a loop. For
 * validating a configuration before anything is built. 0 or -errno.
 */
int blk_probe(const struct blk_options *options, struct blk_info *info, struct err *e);

void blk_submit(struct blk *blk, struct blk_req *req);
void blk_kick(struct blk *blk);
int blk_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
	       enum blk_extent_kind *kind);

/* See struct blk_ops: nothing is under way. 0 or -errno with @e set. */
int blk_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e);

/* Runs the loop until nothing is under way. On the loop's thread, not from inside a done(). */
void blk_drain(struct blk *blk);

/* Drains, then closes. NULL is fine. */
void blk_close(struct blk *blk);

/* For back-ends: called by their constructor, and to complete a request (at once or later). */
void blk_init(struct blk *blk, const struct blk_ops *ops, struct loop *loop);
void blk_complete(struct blk *blk, struct blk_req *req, int result);       /* from an event */
void blk_complete_later(struct blk *blk, struct blk_req *req, int result); /* from submit */

/* Synchronous read, write and flush for tools, tests and format code that may wait. 0 or -errno. */
int blk_pread(struct blk *blk, uint64_t offset_bytes, void *buf, uint64_t len_bytes);
int blk_pwrite(struct blk *blk, uint64_t offset_bytes, const void *buf, uint64_t len_bytes);
int blk_flush(struct blk *blk);

#endif
