/* Limits: what a second lets through, and that a silence saves nothing up. */
#include "net/limit.h"
#include "tests.h"

#define SECOND 1000000000ull

/* Frames of @bytes that go in one second from @now_ns on, each as soon as it may. */
static unsigned frames_in_a_second(struct net_limit *limit, uint64_t now_ns, uint64_t bytes)
{
	uint64_t end_ns = now_ns + SECOND, wait_ns;
	unsigned count = 0;

	for (;; count++) {
		wait_ns = net_limit_wait(limit, now_ns);
		now_ns += wait_ns;
		if (now_ns >= end_ns)
			return count;
		net_limit_charge(limit, now_ns, bytes);
	}
}

START_TEST(bits_a_second_are_kept)
{
	struct net_limit limit;
	unsigned count;

	net_limit_init(&limit, 8000000, 0, SECOND);
	count = frames_in_a_second(&limit, 100 * SECOND, 1000);
	/* A burst may come on top of it. */
	ck_assert_uint_ge(count, 1000);
	ck_assert_uint_le(count, 1000 + 6);
}
END_TEST

START_TEST(frames_a_second_are_kept)
{
	struct net_limit limit;
	unsigned count;

	net_limit_init(&limit, NET_LIMIT_BPS_MAX, 500, SECOND);
	count = frames_in_a_second(&limit, 100 * SECOND, 65535);
	ck_assert_uint_ge(count, 500);
	ck_assert_uint_le(count, 500 + 4);
}
END_TEST

START_TEST(a_silence_saves_nothing_up)
{
	struct net_limit limit;
	unsigned count;

	net_limit_init(&limit, 0, 1000, 0);
	(void)frames_in_a_second(&limit, SECOND, 60);
	count = frames_in_a_second(&limit, 1000 * SECOND, 60);
	ck_assert_uint_le(count, 1000 + 6);
}
END_TEST

START_TEST(extremes_do_not_overflow)
{
	const uint64_t burst = NET_LIMIT_BPS_MIN * NET_LIMIT_BURST_NS / SECOND;
	struct net_limit limit;

	/* The next one goes with the first bit that is there again. */
	net_limit_init(&limit, NET_LIMIT_BPS_MIN, 0, 0);
	net_limit_charge(&limit, 0, 65550);
	ck_assert_uint_eq(net_limit_wait(&limit, 0),
			  (65550ull * 8 - burst + 1) * SECOND / NET_LIMIT_BPS_MIN);
	net_limit_init(&limit, 0, 0, 0);
	ck_assert(!net_limit_exists(&limit));
	net_limit_charge(&limit, SECOND, 65550);
	ck_assert_uint_eq(net_limit_wait(&limit, 0), 0);
}
END_TEST

TCase *limit_cases(void)
{
	TCase *tc = tcase_create("limit");

	tcase_add_test(tc, bits_a_second_are_kept);
	tcase_add_test(tc, frames_a_second_are_kept);
	tcase_add_test(tc, a_silence_saves_nothing_up);
	tcase_add_test(tc, extremes_do_not_overflow);
	return tc;
}
