/* Token buckets, with a clock of the test's own: what goes in any time, and over a long one. */
#include <stdlib.h>

#include "base/bucket.h"
#include "base/util.h"
#include "suite.h"

__extension__ typedef __int128 wide;

#define NS_PER_S UINT64_C(1000000000)
#define EVENTS   400

struct event {
	uint64_t at_ns, cost;
};

/* No time between two events sees more than the burst and what the rate gives in that time. */
static void check_windows(const struct event *events, size_t count, uint64_t rate, uint64_t burst)
{
	size_t from, to;

	for (from = 0; from < count; from++) {
		wide sum = 0;

		for (to = from; to < count; to++) {
			uint64_t t = events[to].at_ns - events[from].at_ns;
			uint64_t over = events[to].cost - MIN(events[to].cost, burst);

			sum += events[to].cost;
			/* A thing larger than the burst counts as the burst, being alone. */
			ck_assert_msg((sum - over - (wide)burst) * NS_PER_S <= (wide)rate * (t + 1),
				      "more went from event %zu to %zu", from, to);
		}
	}
}

START_TEST(no_window_has_more_than_burst_and_rate)
{
	static struct event events[EVENTS];
	uint64_t random = unit_seed() + (uint64_t)_i, now_ns = unit_random(&random) >> 8;
	uint64_t rate = 1 + unit_random(&random) % (UINT64_C(1) << (4 + 3 * _i));
	uint64_t burst = 1 + unit_random(&random) % (2 * rate);
	struct bucket bucket;
	size_t i;

	bucket_init(&bucket, rate, burst, now_ns);
	for (i = 0; i < EVENTS; i++) {
		uint64_t cost = 1 + unit_random(&random) % (burst + burst / 4 + 1), wait_ns;

		if (unit_random(&random) % 4 == 0)
			now_ns += unit_random(&random) % (2 * NS_PER_S);
		wait_ns = bucket_wait(&bucket, now_ns, cost);
		now_ns += wait_ns;
		/* Neither later than it said, nor earlier. */
		ck_assert_uint_eq(bucket_wait(&bucket, now_ns, cost), 0);
		/* A timer may come late. */
		if (unit_random(&random) % 3 == 0)
			now_ns += unit_random(&random) % 100000;
		bucket_take(&bucket, now_ns, cost);
		events[i] = (struct event){now_ns, cost};
	}
	check_windows(events, EVENTS, rate, burst);
}
END_TEST

/* Rates that divide no second: each wait is rounded up to a nanosecond, and none of that adds up.
 */
START_TEST(the_long_run_has_the_rate_exactly)
{
	static const uint64_t rates[] = {1, 3, 7, 333, 999983, 123456789, 987654321987};
	uint64_t rate = rates[_i], start_ns = 12345, now_ns = start_ns, taken = 0;
	uint64_t cost = 1 + rate / 1000;
	struct bucket bucket;
	unsigned n;

	bucket_init(&bucket, rate, MAX(rate / 10, cost), now_ns);
	bucket_take(&bucket, now_ns, MAX(rate / 10, cost));
	for (n = 0; n < 100000; n++) {
		now_ns += bucket_wait(&bucket, now_ns, cost);
		bucket_take(&bucket, now_ns, cost);
		taken += cost;
	}
	/* The time that the rate needs for it, but for the last nanosecond. */
	ck_assert((wide)taken * NS_PER_S <= (wide)rate * (now_ns - start_ns));
	ck_assert((wide)taken * NS_PER_S > (wide)rate * (now_ns - start_ns - 1));
}
END_TEST

START_TEST(what_is_taken_early_is_paid_for_later)
{
	struct bucket bucket;

	bucket_init(&bucket, 100, 10, 0);
	bucket_take(&bucket, 0, 30);
	/* 20 owed and 10 wanted: 0.3 s. */
	ck_assert_uint_eq(bucket_wait(&bucket, 0, 10), NS_PER_S * 3 / 10);
	ck_assert_uint_eq(bucket_wait(&bucket, NS_PER_S * 3 / 10, 10), 0);
	/* A long silence fills it, and no more. */
	ck_assert_uint_eq(bucket_wait(&bucket, UINT64_MAX / 2, 10), 0);
	bucket_take(&bucket, UINT64_MAX / 2, 10);
	ck_assert_uint_eq(bucket_wait(&bucket, UINT64_MAX / 2, 1), NS_PER_S / 100);
}
END_TEST

START_TEST(no_rate_is_no_limit)
{
	struct bucket bucket;

	bucket_init(&bucket, 0, 1, 0);
	bucket_take(&bucket, 0, UINT64_MAX / 2);
	ck_assert_uint_eq(bucket_wait(&bucket, 0, UINT64_MAX / 2), 0);
}
END_TEST

TCase *case_bucket(void)
{
	TCase *c = tcase_create("bucket");

	tcase_add_loop_test(c, no_window_has_more_than_burst_and_rate, 0, 16);
	tcase_add_loop_test(c, the_long_run_has_the_rate_exactly, 0, 7);
	tcase_add_test(c, what_is_taken_early_is_paid_for_later);
	tcase_add_test(c, no_rate_is_no_limit);
	return c;
}
