/*
 * The throttle: a filter that holds requests back so that no more of them, and of their bytes, go
 * to the disk below than a user allows (iops=, bps=).
 *
 * Requests go in the order they came, each when both limits let it. A read or a write costs one
 * operation and its bytes, discard and write-zeroes one operation, a flush nothing: it is about
 * writes that have ended and waits for nobody.
 *
 * Somebody who waits for the disk to be idle (a reset, closing) does not wait for the limits: what
 * is held back goes at once, and what comes later pays for it.
 */
#ifndef SARANG_BLOCK_THROTTLE_H
#define SARANG_BLOCK_THROTTLE_H

#include "block/blk.h"

/* Whether @limits limit anything. */
bool throttle_wanted(const struct blk_limits *limits);

/* Takes over @below; on failure it stays the caller's. 0 or -ENOMEM. */
int throttle_open(struct blk *below, const struct blk_limits *limits, struct blk **out,
		  struct err *e);

#endif
