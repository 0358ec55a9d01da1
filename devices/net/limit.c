/* A limit on one direction of a network: see limit.h. */
#include "net/limit.h"

#include "base/util.h"

#define NS_PER_S 1000000000ull

uint64_t net_limit_wait(const struct net_limit *limit, uint64_t now_ns)
{
	return limit->due_ns > now_ns ? limit->due_ns - now_ns : 0;
}

void net_limit_charge(struct net_limit *limit, uint64_t now_ns, uint64_t bytes)
{
	uint64_t cost_ns = 0, from_ns = now_ns - MIN(now_ns, NET_LIMIT_BURST_NS);

	/* A frame has at most 2^16 bytes: 2^19 bits times 2^30 fit. */
	if (limit->bits_per_s)
		cost_ns = bytes * 8 * NS_PER_S / limit->bits_per_s;
	if (limit->frames_per_s)
		cost_ns = MAX(cost_ns, NS_PER_S / limit->frames_per_s);
	if (cost_ns)
		limit->due_ns = MAX(limit->due_ns, from_ns) + cost_ns;
}
