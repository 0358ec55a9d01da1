/*
 * A virtio-blk driver on virtio.h: a number of requests under way at once, completions by polling.
 * Virtio 1.2, section 5.2.
 */
#ifndef BARE_BLK_H
#define BARE_BLK_H

#include "virtio.h"

#define BLK_DEPTH_MAX    32
#define BLK_BUFFER_BYTES 0x100000  /* each request's */
#define BLK_BUFFERS_BASE 0x1000000 /* 16 MiB: behind every guest's image (bare.ld) */
#define BLK_SECTOR_BYTES 512

enum blk_op { BLK_READ = 0, BLK_WRITE = 1, BLK_FLUSH = 4 }; /* VIRTIO_BLK_T_IN, _OUT, _FLUSH */

struct blk_slot {
	enum blk_op op;
	uint64_t offset_bytes;
	uint32_t len_bytes;
	uint8_t *buffer; /* BLK_BUFFER_BYTES */
	uint64_t started_ticks;
	bool busy;
};

struct blk {
	struct virtio virtio;
	uint64_t capacity_bytes;
	unsigned depth;
	struct blk_slot slots[BLK_DEPTH_MAX];
};

/*
 * Brings up the device named by blk= on the command line, else the first block device there is, for
 * at most @depth requests at a time. What goes wrong ends the guest with a sentence.
 */
void blk_start(struct blk *b, const struct start_info *start, unsigned depth);

/* A slot that is not busy, or NULL. */
struct blk_slot *blk_free_slot(struct blk *b);

/* Starts what @slot says; call virtio_kick when a batch is complete. */
void blk_submit(struct blk *b, struct blk_slot *slot);

/*
 * One completed request, no longer busy, or NULL when none has completed. A failed one ends the
 * guest with a sentence.
 */
struct blk_slot *blk_completed(struct blk *b);

/* blk_completed, waiting: a device that says nothing for long ends the guest with a sentence. */
struct blk_slot *blk_wait(struct blk *b);

#endif
