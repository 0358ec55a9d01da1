/* A token bucket: see bucket.h. */
#include "base/bucket.h"

#include "base/util.h"

#define PER_UNIT 1000000000 /* of the level; and nanoseconds in a second */

__extension__ typedef __int128 wide;

static void update(struct bucket *bucket, uint64_t now_ns)
{
	/* What a last nanosecond gives too much is kept: waiting for whole ones must not lose it.
	 */
	wide full = (wide)bucket->burst * PER_UNIT + bucket->rate - 1;

	if (now_ns <= bucket->updated_ns)
		return;
	bucket->level += (wide)bucket->rate * (now_ns - bucket->updated_ns);
	bucket->level = MIN(bucket->level, full);
	bucket->updated_ns = now_ns;
}

void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t burst, uint64_t now_ns)
{
	*bucket = (struct bucket){
		.rate = rate,
		.burst = burst,
		.updated_ns = now_ns,
		.level = (wide)burst * PER_UNIT,
	};
}

uint64_t bucket_wait(struct bucket *bucket, uint64_t now_ns, uint64_t cost)
{
	wide missing, wait_ns;

	if (!bucket->rate)
		return 0;
	update(bucket, now_ns);
	missing = (wide)MIN(cost, bucket->burst) * PER_UNIT - bucket->level;
	if (missing <= 0)
		return 0;
	wait_ns = (missing + bucket->rate - 1) / bucket->rate;
	return (uint64_t)MIN(wait_ns, (wide)INT64_MAX);
}

void bucket_take(struct bucket *bucket, uint64_t now_ns, uint64_t cost)
{
	if (!bucket->rate)
		return;
	update(bucket, now_ns);
	bucket->level -= (wide)cost * PER_UNIT;
}
