/*
 * A limit on one direction of a network: bits and frames a second, a bucket each. How large the
 * next frame is need not be known: it goes while there is anything in both, and what follows pays
 * for it. A silence saves up NET_LIMIT_BURST_NS and no more.
 */
#ifndef SARANG_NET_LIMIT_H
#define SARANG_NET_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bucket.h"

#define NET_LIMIT_BURST_NS 5000000ull
/* What limits can be: from one frame of 64 KiB in eight minutes to more than any host does. */
#define NET_LIMIT_BPS_MIN 1000ull
#define NET_LIMIT_BPS_MAX 10000000000000ull

struct net_limit {
	struct bucket bits, frames;
};

/* 0: no limit. */
void net_limit_init(struct net_limit *limit, uint64_t bits_per_s, uint64_t frames_per_s,
		    uint64_t now_ns);

/* Whether there is one at all; if not, the time need not be asked for. */
static inline bool net_limit_exists(const struct net_limit *limit)
{
	return limit->bits.rate || limit->frames.rate;
}

/* How long the next frame has to wait at @now_ns; 0: it may go. */
uint64_t net_limit_wait(struct net_limit *limit, uint64_t now_ns);

/* A frame of @bytes goes at @now_ns. */
void net_limit_charge(struct net_limit *limit, uint64_t now_ns, uint64_t bytes);

#endif
