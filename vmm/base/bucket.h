/*
 * A token bucket: a rate, and how much may go at once after a silence.
 *
 * The level is kept in billionths of a unit, in which a nanosecond adds exactly @rate: nothing is
 * rounded, so that over any time what has gone is the rate times that time. Pure but for the time,
 * which is passed in and never goes back.
 *
 * In any time t, at most burst + rate * t goes (but for a nanosecond of the clock); a single thing
 * that is larger than the burst goes when the bucket is full, and what follows pays for it.
 */
#ifndef SARANG_BASE_BUCKET_H
#define SARANG_BASE_BUCKET_H

#include <stdint.h>

struct bucket {
	uint64_t rate;       /* units a second; 0: no limit */
	uint64_t burst;      /* units, at least 1 where there is a rate */
	uint64_t updated_ns; /* the rest is the bucket's own */
	__extension__ __int128 level;
};

/* A full bucket. @rate and @burst are at most 2^60. */
void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ns);

/* How long a thing of @cost has to wait from @now_ns on, if nothing goes meanwhile; 0: it may go.
 */
uint64_t bucket_wait(struct bucket *bucket, uint64_t now_ns, uint64_t cost);

/* A thing of @cost goes at @now_ns, whether its time has come or not. */
void bucket_take(struct bucket *bucket, uint64_t now_ns, uint64_t cost);

#endif
