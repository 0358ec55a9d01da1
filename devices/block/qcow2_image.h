/*
 * A qcow2 image that is open: what its parts share. Private to the files qcow2_*.c.
 *
 * The parts, from the bottom:
 *
 *   cache   L2 tables and refcount blocks in memory, whole, read when first needed
 *   alloc   host clusters: runs reserved ahead, and given back after a flush
 *   map     guest offsets to extents; entries for new clusters
 *   io      reading; writing; copy on write; discard and write-zeroes
 *   flush   metadata to disk, in an order that a power cut may interrupt anywhere
 *
 * Map and alloc are plain functions that never wait. Where one needs a table that is not in memory
 * it starts reading it, puts the caller's waiter on that table's list, and returns QCOW2_WAIT: the
 * caller returns to the loop and is run again, from the start of that step, when the table is
 * there. Requests whose tables are in memory go on meanwhile.
 *
 * What makes this safe and fast at once: clusters in the pool read as zeroes on disk, and their
 * refcounts are written before any reference to them. So a new cluster that needs no copy is
 * entered into its L2 table at once, before its data is written: whoever looks, now or after a
 * power cut, finds zeroes, which is what was there before. Only copy on write has to wait for its
 * data.
 *
 * Everything runs on the loop's thread.
 */
#ifndef SARANG_BLOCK_QCOW2_IMAGE_H
#define SARANG_BLOCK_QCOW2_IMAGE_H

#include "base/log.h"
#include "block/blk.h"
#include "block/file.h"
#include "block/qcow2_format.h"

#define QCOW2_WAIT 1

/* Who waits for something in the image; embedded in its owner. */
struct qcow2_waiter {
	void (*run)(struct qcow2_waiter *waiter);
	struct qcow2_waiter *next;
};

struct qcow2_wait_list {
	struct qcow2_waiter *first, *last;
};

void qcow2_park(struct qcow2_wait_list *list, struct qcow2_waiter *waiter);
/* Runs all that wait; who waits again comes onto the new list. */
void qcow2_wake(struct qcow2_wait_list *list);

/* --- cache --- */

enum qcow2_table_kind {
	QCOW2_L2,
	QCOW2_REFBLOCK,
};

#define QCOW2_DIRTY_UNIT  4096u
#define QCOW2_DIRTY_UNITS ((1u << QCOW2_CLUSTER_BITS_MAX) / QCOW2_DIRTY_UNIT)

struct qcow2;

/* One cluster of metadata in memory. */
struct qcow2_table {
	struct qcow2 *q;
	enum qcow2_table_kind kind;
	uint64_t offset; /* in the file */
	unsigned char *bytes;
	bool loading, fresh; /* fresh: not on disk yet */
	bool cut;            /* the file ended within it when it was read */
	int error;           /* of loading */
	unsigned pins;       /* not to be evicted: being written */
	bool dirty;
	uint64_t dirty_units[QCOW2_DIRTY_UNITS / 64];
	struct qcow2_wait_list waiting;
	struct qcow2_table *hash_next, *dirty_next;
	struct qcow2_table *newer, *older; /* in order of use */
	struct file_req req;
	struct iovec iov;
};

struct qcow2_cache {
	struct qcow2_table **buckets;
	uint64_t bucket_mask;
	struct qcow2_table *newest, *oldest;
	struct qcow2_table *dirty;
	unsigned count, limit, dirty_count;
};

int qcow2_cache_init(struct qcow2 *q);
void qcow2_cache_free(struct qcow2 *q);
/* 0 with *@out, valid until the caller next returns to the loop; QCOW2_WAIT; -errno. */
int qcow2_table_get(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
		    struct qcow2_table **out, struct qcow2_waiter *waiter);
/* A table of zeroes for a cluster that is new. 0 or -ENOMEM. */
int qcow2_table_new(struct qcow2 *q, enum qcow2_table_kind kind, uint64_t offset,
		    struct qcow2_table **out);
void qcow2_table_dirty(struct qcow2_table *t, uint64_t at, uint64_t len);
/* Whether the cluster at @offset has no table in memory any more: one that is clean goes. */
bool qcow2_table_forget(struct qcow2 *q, uint64_t offset);

/* --- alloc --- */

/* A run of host clusters to be given back. */
struct qcow2_run {
	uint64_t offset, len_bytes;
};

struct qcow2_runs {
	struct qcow2_run *list;
	size_t count, cap;
};

struct qcow2_pool {
	uint64_t start, end; /* reserved, free, and reading as zeroes */
	uint64_t run_bytes;  /* how much is reserved next time */
	uint64_t hint;       /* no cluster below is free, as far as is known */
	bool preparing;      /* zeroes being written to what follows */
	uint64_t zero_start, zero_end;
	struct qcow2_wait_list waiting;
	struct file_req zero_req, ahead_req;
	struct iovec zero_iov;
	bool ahead_busy, no_ahead, no_zero_op;
};

struct qcow2_frees {
	struct qcow2_runs fresh; /* freed since the last flush began */
	struct qcow2_runs held;  /* flushed; operations from before may be under way */
	struct qcow2_runs ready; /* may be given back */
	size_t sealed;           /* of the held ones: wait for the other parity's operations */
	size_t next;             /* of the ready ones */
	uint64_t done_bytes;     /* of that one */
	struct qcow2_run piece;  /* being punched */
	bool busy, punching, parked;
	struct file_req req;
	struct qcow2_waiter waiter;
};

/*
 * Takes up to @want clusters that read as zeroes and have refcount 1 now: @got of them at @host, at
 * least 1. 0, QCOW2_WAIT, -errno.
 */
int qcow2_alloc(struct qcow2 *q, uint64_t want, uint64_t *host, uint64_t *got,
		struct qcow2_waiter *waiter);
/* Takes back the last clusters given, at @host, of which nothing was made. */
void qcow2_unalloc(struct qcow2 *q, uint64_t host, uint64_t clusters);
/* Drops one reference to each cluster touched by the range, once nothing on disk refers to it. */
void qcow2_free_later(struct qcow2 *q, uint64_t offset, uint64_t len_bytes);
/* Gives the pool back, for closing. 0, QCOW2_WAIT, -errno. */
int qcow2_pool_release(struct qcow2 *q, struct qcow2_waiter *waiter);
/* The refcount of a cluster, and changing it. 0, QCOW2_WAIT, -errno. */
int qcow2_refcount_read(struct qcow2 *q, uint64_t offset, uint64_t *count,
			struct qcow2_waiter *waiter);
int qcow2_refcount_set(struct qcow2 *q, uint64_t offset, uint64_t count,
		       struct qcow2_waiter *waiter);
/* Makes the refcount block for table index @index, if there is none. 0 or -errno. */
int qcow2_refblock_make(struct qcow2 *q, uint64_t index);
/* Goes on giving back clusters, if it can. */
void qcow2_frees_run(struct qcow2 *q);
/* Takes back what was freed before a flush, of which @result is how it ended. */
void qcow2_frees_flushed(struct qcow2 *q, struct qcow2_runs *runs, int result);
void qcow2_frees_free(struct qcow2 *q);

/* --- map --- */

enum qcow2_extent_kind {
	QCOW2_EXTENT_ZERO,
	QCOW2_EXTENT_DATA,        /* at ->host in the data file */
	QCOW2_EXTENT_UNALLOCATED, /* in the backing file, if any */
	QCOW2_EXTENT_COMPRESSED,  /* ->entry; ends with its cluster */
};

struct qcow2_extent {
	enum qcow2_extent_kind kind;
	uint64_t len_bytes;
	uint64_t host;
	uint64_t entry;
};

int qcow2_map_read(struct qcow2 *q, uint64_t guest, uint64_t len, struct qcow2_extent *extent,
		   struct qcow2_waiter *waiter);

/* Where a write goes. */
struct qcow2_target {
	bool copy;          /* copy on write: not entered yet, qcow2_map_link does that */
	uint64_t len_bytes; /* of the guest's data, as much as goes there in one piece */
	uint64_t host;      /* of the guest's data */
	/* For a copy: what is to be written around the data, and the clusters it is about. */
	uint64_t head_bytes, tail_bytes;
	uint64_t guest_start; /* cluster-aligned */
	uint64_t clusters;
	uint64_t cluster_host; /* of the first */
	bool in_place;         /* the cluster was there: subclusters of it are new */
	uint32_t subclusters;  /* that are allocated by it, of one cluster */
};

int qcow2_map_write(struct qcow2 *q, uint64_t guest, uint64_t len, struct qcow2_target *target,
		    struct qcow2_waiter *waiter);
/* Enters what a copy has made. 0, QCOW2_WAIT, -errno. */
int qcow2_map_link(struct qcow2 *q, const struct qcow2_target *target, struct qcow2_waiter *waiter);
/*
 * Makes as much as is in one L2 table of [@guest, @guest + *@len_bytes) read as zeroes, or lets go
 * of it (@op). 0, QCOW2_WAIT, -errno, or -ENOTSUP where the range at @guest has to be written.
 */
int qcow2_map_zero(struct qcow2 *q, uint64_t guest, uint64_t *len_bytes, const struct blk_req *req,
		   struct qcow2_waiter *waiter);
/* The L2 table for writing, made or copied where needed; its index in @l1_index. */
int qcow2_l2_for_write(struct qcow2 *q, uint64_t l1_index, struct qcow2_table **out,
		       struct qcow2_waiter *waiter);
void qcow2_l1_set(struct qcow2 *q, uint64_t index, uint64_t entry);
/* Whether the range holds metadata whose place is known: a corrupt image would write there. */
bool qcow2_hits_metadata(const struct qcow2 *q, uint64_t host, uint64_t len);

/* --- flush --- */

struct qcow2_writeback;

struct qcow2_flush {
	bool running, again;
	unsigned stage;
	unsigned pending;
	bool unsynced;           /* something was written since the last sync */
	int result, last_result; /* of this one, of the one before */
	/* Copies to be written. */
	struct qcow2_writeback *refblocks, *reftable, *header, *l2, *l1;
	struct qcow2_wait_list waiting, next; /* for this one, for the one after */
	struct qcow2_runs frees;              /* from before it began */
	bool *l1_dirty;                       /* L1 blocks that it writes */
	struct loop_work work;
	struct file_req sync_req, data_sync_req;
};

/* Starts a flush that covers all that is done by now; @waiter runs when it has ended. */
void qcow2_flush_start(struct qcow2 *q, struct qcow2_waiter *waiter);
bool qcow2_has_dirty(const struct qcow2 *q);

/* --- the image --- */

struct qcow2_io;
struct qcow2_cow;

struct qcow2 {
	struct blk blk;
	struct file *file;
	struct file *data; /* @file, or the external data file */
	struct blk *backing;
	struct qcow2_header h;
	unsigned char *raw_header; /* its first unit, for updates in place */
	bool header_dirty;

	unsigned cluster_bits, l2_bits, entry_bytes, refblock_bits;
	uint64_t cluster_bytes;
	bool extended, external, writable;

	uint64_t *l1; /* as on disk, in our byte order */
	bool *l1_dirty;
	uint64_t *reftable;
	uint64_t reftable_entries;
	bool *reftable_dirty;
	bool reftable_moved;

	uint64_t file_bytes; /* size of the image file */
	uint64_t zero_from; /* host clusters from here on were never written: they read as zeroes */

	struct qcow2_cache cache;
	struct qcow2_pool pool;
	struct qcow2_frees frees;
	struct qcow2_flush flush;
	struct qcow2_cow *cows;
	struct qcow2_io *free_ios;
	unsigned under_way[2], parity; /* operations, by the flush they began before */
	unsigned internal;             /* requests of our own */
	void *zeroes;

	/* The compressed cluster that was read last, those on their way, and who unpacks them. */
	uint64_t unpacked_entry;
	unsigned char *unpacked;
	struct qcow2_unpacking *unpackings;
	struct workers *workers;

	int flush_error; /* of the first fdatasync that failed */
	struct log_limit complaints;
};

#define QCOW2_ZEROES_BYTES KIB(256)

/* The L1 and refcount tables are dirty, and written, in blocks of the smallest I/O. */
static inline uint64_t qcow2_block_entries(const struct qcow2 *q)
{
	return q->blk.info.block_bytes / 8;
}

static inline uint64_t qcow2_blocks(const struct qcow2 *q, uint64_t entries)
{
	return (entries + qcow2_block_entries(q) - 1) / qcow2_block_entries(q);
}

static inline uint64_t qcow2_cluster_up(const struct qcow2 *q, uint64_t offset)
{
	return (offset + q->cluster_bytes - 1) & ~(q->cluster_bytes - 1);
}

static inline uint64_t qcow2_cluster_down(const struct qcow2 *q, uint64_t offset)
{
	return offset & ~(q->cluster_bytes - 1);
}

/* Guest bytes that one L2 table maps, as a shift. */
static inline unsigned qcow2_l2_shift(const struct qcow2 *q)
{
	return q->cluster_bits + q->l2_bits;
}

static inline uint64_t qcow2_l2_index(const struct qcow2 *q, uint64_t guest)
{
	return (guest >> q->cluster_bits) & ((UINT64_C(1) << q->l2_bits) - 1);
}

/* Reports, and says so in the log, that the image is not as it must be: -EIO. */
int qcow2_complain(struct qcow2 *q, const char *what, uint64_t offset);

/* PIECE_BYTES of zeroes that are never written. NULL: out of memory. */
void *qcow2_zero_bytes(struct qcow2 *q);

/* Hands over to the kernel what was submitted from outside of a completion. */
void qcow2_kick(struct qcow2 *q);

/* Reads a host range by itself: for copies. Part of io. */
void qcow2_submit(struct blk *blk, struct blk_req *req);

/* Reading of compressed clusters: into @out of a cluster. 0 or -EIO. */
int qcow2_unpack(const struct qcow2 *q, const unsigned char *packed, uint64_t len,
		 unsigned char *out);

/* Waits, running the loop, for @step to return something else than QCOW2_WAIT: for tools. */
int qcow2_wait_for(struct qcow2 *q, int (*step)(struct qcow2 *q, void *arg, struct qcow2_waiter *w),
		   void *arg);
/* A whole flush, waited for. 0 or -errno. */
int qcow2_flush_wait(struct qcow2 *q);

#endif
