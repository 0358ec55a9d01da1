/* Copying disks: what convert, commit and rebase share. Private to disk_*.c. */
#ifndef SARANG_CLI_DISK_COPY_H
#define SARANG_CLI_DISK_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "block/blk.h"

#define DISK_PIECE_BYTES    (UINT64_C(1) << 20)
#define DISK_SPARSE_DEFAULT 4096u

struct disk_copy {
	struct blk *from, *to; /* on the same loop */
	uint64_t sparse_bytes; /* so many zeroes in a row are not written as data; 0: all are */
	bool target_zero;      /* what is not written reads as zeroes there already */
	bool own_only;         /* only what @from holds itself, not what it leaves to another */
};

/*
 * Copies all of @from, several pieces at a time, and flushes. Shows how far it is on a terminal.
 * 0 or -errno with a sentence; -EINTR after a signal.
 */
int disk_copy(const struct disk_copy *job, struct err *e);

/* The same, in compressed clusters, for which @to is a new qcow2. On as many threads as there are
 * processors. */
int disk_copy_packed(const struct disk_copy *job, struct err *e);

/*
 * As blk_extent, but what a qcow2 leaves to its backing file is what that has there: a hole only
 * where @own_only is asked for.
 */
int disk_extent(struct blk *blk, uint64_t at, uint64_t *len, bool own_only,
		enum blk_extent_kind *kind);

/* Whether @len bytes are all zero. */
bool disk_all_zero(const unsigned char *bytes, uint64_t len);

/* How far something is, on stderr if that is a terminal. */
struct disk_progress {
	uint64_t total;
	bool show;
	unsigned percent;
};

void disk_progress_start(struct disk_progress *p, uint64_t total);
void disk_progress_at(struct disk_progress *p, uint64_t done);
/* Takes the line away. */
void disk_progress_end(struct disk_progress *p);

#endif
