/*
 * A change of an image's metadata that takes effect as a whole: for snapshots, repairs and other
 * work of tools, while no request is under way. Private to the files qcow2_*.c.
 *
 * What is new is written to clusters that nothing refers to; refcount blocks whose counts change
 * get a new place too, and so does the refcount table. Last, one write of the header's first sector
 * makes all of it valid: a power cut finds the old image or the new one, each with right refcounts.
 * Until then a change is given up by freeing it.
 *
 * Blocks, running the image's loop meanwhile.
 */
#ifndef SARANG_BLOCK_QCOW2_CHANGE_H
#define SARANG_BLOCK_QCOW2_CHANGE_H

#include "block/qcow2_tools.h"

/* A refcount block as it was and as it is to be. */
struct qcow2_change_block {
	unsigned char *old, *now;
	uint64_t home; /* where @now is to be written; 0: not known yet */
	bool changed;
};

struct qcow2_change {
	struct qcow2 *q;
	struct qcow2_change_block **blocks; /* by index; NULL: as it is on disk */
	uint64_t block_end;                 /* after the last one that is not NULL */
	uint64_t cursor;                    /* no cluster below is free */
	uint64_t end_bytes;                 /* of what was taken */
	unsigned char *bytes;               /* a cluster to read into */
	bool counted;                       /* counts do not come from the image's blocks */
	/* What the header is to say; as it says now, to begin with. */
	uint64_t size_bytes, l1_offset, snapshots_offset;
	uint32_t l1_entries, snapshot_count;
};

/* Writes back what is dirty, and begins. 0 or -errno; to be freed in either case. */
int qcow2_change_begin(struct qcow2_change *c, struct qcow2 *q);

/* The count that a cluster is to have. 0 or -errno. */
int qcow2_change_count(struct qcow2_change *c, uint64_t offset, uint64_t *count);

/*
 * Adds @delta to the count of each cluster that the range touches. 0; -ERANGE when a count becomes
 * larger than fits; -EIO, and a line in the log, when one is wrong to begin with.
 */
int qcow2_change_add(struct qcow2_change *c, uint64_t offset, uint64_t len_bytes, int delta);

/* Takes @len_bytes of clusters in a row that are free, and stay free if the change is given up. */
int qcow2_change_take(struct qcow2_change *c, uint64_t len_bytes, uint64_t *host);

/* Writes @count numbers to a new place, to which *@host leads. 0 or -errno. */
int qcow2_change_put_numbers(struct qcow2_change *c, const uint64_t *numbers, uint64_t count,
			     uint64_t *host);

/* Writes all that is left, then the header, and reads the image's tables again. 0 or -errno. */
int qcow2_change_commit(struct qcow2_change *c);

/* Frees it; one that was not committed has changed nothing. */
void qcow2_change_free(struct qcow2_change *c);

/*
 * For repairs: a change whose counts, old and new, are what @count says of a cluster, whatever the
 * image's refcount blocks hold; those and their table get new places at once.
 */
int qcow2_change_begin_counted(struct qcow2_change *c, struct qcow2 *q,
			       uint64_t (*count)(const void *opaque, uint64_t cluster),
			       const void *opaque);

#endif
