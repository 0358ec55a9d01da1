/*
 * A limit on one direction of a network: bits and frames a second. Frames are let through while the
 * limit's clock is not ahead of the loop's; each one moves it on by what it costs. A clock that has
 * fallen behind is brought up to NET_LIMIT_BURST_NS, so that a silence saves up no more than that.
 * Pure but for the time, which is passed in.
 */
#ifndef SARANG_NET_LIMIT_H
#define SARANG_NET_LIMIT_H

#include <stdint.h>

#define NET_LIMIT_BURST_NS 5000000ull
/* What limits can be: from one frame of 64 KiB in eight minutes to more than any host does. */
#define NET_LIMIT_BPS_MIN 1000ull
#define NET_LIMIT_BPS_MAX 10000000000000ull

struct net_limit {
	uint64_t bits_per_s;   /* 0: no limit */
	uint64_t frames_per_s; /* 0: no limit */
	uint64_t due_ns;       /* when the next frame may go */
};

/* How long the next frame has to wait at @now_ns; 0: it may go. */
uint64_t net_limit_wait(const struct net_limit *limit, uint64_t now_ns);

/* A frame of @bytes goes at @now_ns. */
void net_limit_charge(struct net_limit *limit, uint64_t now_ns, uint64_t bytes);

#endif
