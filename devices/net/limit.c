/* A limit on one direction of a network: see limit.h. */
#include "net/limit.h"

#include "base/util.h"

#define BURSTS_PER_S (1000000000ull / NET_LIMIT_BURST_NS)

static void init(struct bucket *bucket, uint64_t rate, uint64_t now_ns)
{
	bucket_init(bucket, rate, MAX(rate / BURSTS_PER_S, UINT64_C(1)), now_ns);
}

void net_limit_init(struct net_limit *limit, uint64_t bits_per_s, uint64_t frames_per_s,
		    uint64_t now_ns)
{
	init(&limit->bits, bits_per_s, now_ns);
	init(&limit->frames, frames_per_s, now_ns);
}

uint64_t net_limit_wait(struct net_limit *limit, uint64_t now_ns)
{
	uint64_t bits_ns = bucket_wait(&limit->bits, now_ns, 1);
	uint64_t frames_ns = bucket_wait(&limit->frames, now_ns, 1);

	return MAX(bits_ns, frames_ns);
}

void net_limit_charge(struct net_limit *limit, uint64_t now_ns, uint64_t bytes)
{
	bucket_take(&limit->bits, now_ns, bytes * 8);
	bucket_take(&limit->frames, now_ns, 1);
}
