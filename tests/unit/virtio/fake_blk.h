/*
 * A block back-end in memory for tests: completes at once, when told, or late from a timer in
 * reverse order, and fails when told. Records what it was asked.
 */
#ifndef SARANG_TESTS_VIRTIO_FAKE_BLK_H
#define SARANG_TESTS_VIRTIO_FAKE_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "block/blk.h"

#define FAKE_HELD_MAX 2048
#define FAKE_LOG_MAX  4096

enum fake_mode {
	FAKE_AT_ONCE,
	FAKE_HOLD, /* until fake_blk_complete */
	FAKE_LATE, /* 0.1 ms after the first, in reverse order */
};

struct fake_record {
	enum blk_op op;
	unsigned flags;
	uint64_t offset_bytes, len_bytes;
};

struct fake_blk {
	struct blk blk;
	uint8_t *bytes;
	enum fake_mode mode;
	int fail_with; /* 0, or -errno for what completes from now on */
	struct blk_req *held[FAKE_HELD_MAX];
	unsigned held_count;
	struct fake_record log[FAKE_LOG_MAX];
	unsigned log_count;
	unsigned kicks;
	bool *closed; /* set on close; the object is gone then */
	struct loop_timer late;
};

/* Makes one of @capacity zeroed bytes with blocks of @block_bytes on @loop. Closed with blk_close.
 */
struct fake_blk *fake_blk_new(struct loop *loop, uint64_t capacity, uint32_t block_bytes);

/* Completes the held request @index: does it where @result is 0. */
void fake_blk_complete(struct fake_blk *f, unsigned index, int result);

#endif
