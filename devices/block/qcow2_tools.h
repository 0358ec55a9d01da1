/*
 * Qcow2 images as tools see them: making, checking, resizing, snapshots. All of it blocks, running
 * the image's loop meanwhile, and is done while no request is under way.
 */
#ifndef SARANG_BLOCK_QCOW2_TOOLS_H
#define SARANG_BLOCK_QCOW2_TOOLS_H

#include "block/qcow2_image.h"

/* The image behind @blk, which has to be a qcow2. */
static inline struct qcow2 *qcow2_of(struct blk *blk)
{
	return (struct qcow2 *)(void *)((char *)blk - offsetof(struct qcow2, blk));
}

/* Reads and checks the header. @raw, if not NULL, gets the first cluster, to be freed. */
int qcow2_read_header(const struct file_desc *desc, struct qcow2_header *h, unsigned char **raw,
		      struct err *e);

/* Reads @count big-endian numbers. NULL with a sentence; else to be freed. */
uint64_t *qcow2_read_numbers(struct qcow2 *q, uint64_t offset, uint64_t count, const char *what,
			     struct err *e);

/*
 * Puts a new image over @base, which it owns from then on, in place of a backing file that its
 * header would name.
 */
void qcow2_put_over(struct blk *blk, struct blk *base);

/* Waits until nothing of the image's own is under way. */
void qcow2_quiesce(struct qcow2 *q);

/*
 * Reads the L1 and refcount tables again, after they were changed on disk. Nothing is dirty or
 * under way. 0, or -errno with an image that can only be closed.
 */
int qcow2_reload(struct qcow2 *q);

/* Writes back everything and gives reserved space back. 0 or -errno. */
int qcow2_settle(struct qcow2 *q);

/* See struct blk_ops. */
int qcow2_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
		 enum blk_extent_kind *kind);
int qcow2_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e);

/* A run of @clusters new ones at *@host. 0 or -errno. */
int qcow2_take_run(struct qcow2 *q, uint64_t clusters, uint64_t *host);

/*
 * Writes @l1 to the clusters at @host and makes it the active table, which owns it then; the header
 * is written by the next flush. 0 or -errno with nothing changed.
 */
int qcow2_replace_l1(struct qcow2 *q, uint64_t *l1, uint64_t entries, uint64_t host);

/* --- making --- */

struct qcow2_create_options {
	uint64_t size_bytes;
	unsigned version;       /* 2 or 3; 0: 3 */
	unsigned cluster_bits;  /* 0: 16 */
	unsigned refcount_bits; /* 0: 16 */
	bool extended;
	enum qcow2_compression compression;
	const char *backing_name, *backing_format; /* or NULL */
	const char *data_name; /* an external data file, which is a raw disk as well; or NULL */
};

/* Makes an image in @file, whose contents go. 0 or -errno with a sentence. */
int qcow2_create(struct file *file, const struct qcow2_create_options *options, struct err *e);

/*
 * Gives each cluster of guest bytes @from to @to its place. @stop, if not NULL, is asked every now
 * and then whether to give up: -EINTR. 0 or -errno.
 */
int qcow2_place_all(struct qcow2 *q, uint64_t from, uint64_t to, bool (*stop)(void));

/*
 * Gives each cluster its place, and (@space) has the host reserve the room. @stop is asked every
 * now and then whether to give up: -EINTR. 0 or -errno with @e.
 */
int qcow2_preallocate(struct qcow2 *q, bool space, bool (*stop)(void), struct err *e);

/* --- compressed clusters --- */

/* Where the next one goes; begins with @q set and the rest zero. */
struct qcow2_packer {
	struct qcow2 *q;
	uint64_t at, end;
};

/*
 * Compresses a cluster into @out, which has room for one. Bytes it takes then; -ENOSPC when it does
 * not become smaller; -ENOMEM. On any thread.
 */
int64_t qcow2_pack(const struct qcow2 *q, const unsigned char *cluster, unsigned char *out);

/* Writes what qcow2_pack has made as the cluster at @guest, where nothing may be. 0 or -errno. */
int qcow2_put_packed(struct qcow2_packer *p, uint64_t guest, const unsigned char *packed,
		     uint64_t len);

/* --- the backing file --- */

/*
 * Changes which backing file the header names: nothing else. @name NULL: none. One write of the
 * header's first sector makes it count, unless the image named no format before. 0 or -errno with
 * a sentence. The open image goes on with the backing file that it has.
 */
int qcow2_set_backing(struct qcow2 *q, const char *name, const char *format, struct err *e);

/* --- snapshots --- */

#define QCOW2_SNAPSHOT_NAME_MAX 255u /* QEMU's; an image may hold longer ones */

struct qcow2_snapshot {
	uint64_t l1_offset;
	uint32_t l1_entries;
	uint32_t seconds, nanoseconds; /* since the epoch */
	uint64_t vm_clock_ns;
	uint64_t vm_state_bytes;
	uint64_t disk_bytes; /* 0: not recorded */
	uint64_t icount;     /* UINT64_MAX: not recorded */
	char *id, *name;
	unsigned char *raw; /* the entry as it is on disk, known or not, of @raw_bytes */
	uint64_t raw_bytes;
};

struct qcow2_snapshots {
	struct qcow2_snapshot *list;
	unsigned count;
	uint64_t table_bytes;
};

/* Reads the table. 0 or -errno with a sentence; to be freed in either case. */
int qcow2_snapshots_read(struct qcow2 *q, struct qcow2_snapshots *list, struct err *e);
void qcow2_snapshots_free(struct qcow2_snapshots *list);

/* The one of that ID, else of that name, as qemu-img looks for it; NULL: none. */
const struct qcow2_snapshot *qcow2_snapshots_find(const struct qcow2_snapshots *list,
						  const char *name);

/* Adds an entry for @s, as it is on disk, whose @raw is set then. 0, -ENOMEM, -EFBIG. */
int qcow2_snapshots_add(struct qcow2_snapshots *list, const struct qcow2_snapshot *s);
/* Takes @s, one of the list, out of it. */
void qcow2_snapshots_remove(struct qcow2_snapshots *list, const struct qcow2_snapshot *s);

/*
 * Make a snapshot of the disk, put the disk back to one, or remove one. Each takes effect as a
 * whole: whatever the moment of a power cut, the image is the old one or the new one. 0 or -errno
 * with a sentence.
 */
int qcow2_snapshot_create(struct qcow2 *q, const char *name, struct err *e);
int qcow2_snapshot_apply(struct qcow2 *q, const char *name, struct err *e);
int qcow2_snapshot_delete(struct qcow2 *q, const char *name, struct err *e);

/* Lets go of all that the disk holds itself: it reads as its backing file, or zeroes. As a whole.
 */
int qcow2_make_empty(struct qcow2 *q, struct err *e);

/* --- checking --- */

enum qcow2_repair {
	QCOW2_REPAIR_NONE,
	QCOW2_REPAIR_LEAKS, /* only what cannot make things worse */
	QCOW2_REPAIR_ALL,
};

struct qcow2_check_report {
	uint64_t corruptions, leaks; /* found */
	uint64_t fixed_corruptions, fixed_leaks;
	uint64_t total, allocated, compressed; /* guest clusters */
	uint64_t image_end;
	void (*say)(void *opaque, const char *text); /* one line for each finding; or NULL */
	void *opaque;
};

/* Checks, and repairs an image that is open for writing. 0 whatever is found; -errno: it cannot. */
int qcow2_check(struct qcow2 *q, enum qcow2_repair repair, struct qcow2_check_report *report,
		struct err *e);

/* Makes refcounts right after a crash with lazy refcounts, and clears the dirty bit. */
int qcow2_repair_dirty(struct qcow2 *q, struct err *e);

/* For closing: the link of a piece in the list of unused ones. */
struct qcow2_io **qcow2_io_next(struct qcow2_io *io);

#endif
