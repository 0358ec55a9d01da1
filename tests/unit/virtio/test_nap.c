/* Naps, pure: drivers that send in one way or another, against a clock of the test's. */
#include "base/util.h"
#include "tests.h"
#include "unit.h"
#include "virtio/nap.h"

#define US     1000ull
#define MAX_NS (1000 * US)

static struct nap nap;
static uint64_t now_ns, frame_bytes;

static void begin(void)
{
	nap = (struct nap){.max_ns = MAX_NS};
	now_ns = 1000 * US;
	frame_bytes = 100;
}

static uint64_t look(unsigned sent, unsigned received)
{
	const struct nap_look l = {.now_ns = now_ns,
				   .sent = sent,
				   .bytes = sent * frame_bytes,
				   .received = received};
	uint64_t ns = nap_next(&nap, &l);

	ck_assert_uint_le(ns, MAX_NS);
	return ns;
}

/* One frame each @gap_ns, each notified, until a nap begins; returns its length. */
static uint64_t notify_until_nap(uint64_t gap_ns, unsigned frames)
{
	uint64_t ns;

	while (frames--) {
		now_ns += gap_ns;
		ns = look(1, 0);
		if (ns)
			return ns;
	}
	return 0;
}

START_TEST(a_stream_is_gathered)
{
	uint64_t ns, gap_ns;

	for (gap_ns = US / 2; gap_ns <= MAX_NS / 4; gap_ns *= 2) {
		unsigned i;

		begin();
		ns = notify_until_nap(gap_ns, 3);
		ck_assert_uint_gt(ns, 2 * gap_ns);
		for (i = 0; i < 100; i++) {
			now_ns += ns;
			ns = look((unsigned)(ns / gap_ns), 0);
			ck_assert_uint_gt(ns, 2 * gap_ns);
		}
		/* As many as are worth it, and not for longer than that takes. */
		ck_assert_uint_ge(ns, MIN(32 * gap_ns, MAX_NS));
		ck_assert_uint_le(ns, MAX(MIN(32 * gap_ns, MAX_NS), 50 * US));
	}
}
END_TEST

START_TEST(who_is_answered_is_never_kept_waiting)
{
	unsigned i;

	begin();
	for (i = 0; i < 1000; i++) {
		now_ns += 10 * US;
		ck_assert_uint_eq(look(1 + i % 3, 1), 0);
	}
	/* Nor who begins to be, in the middle of a stream. */
	ck_assert_uint_ne(notify_until_nap(10 * US, 3), 0);
	now_ns += 300 * US;
	ck_assert_uint_eq(look(30, 1), 0);
}
END_TEST

/* A sender that has at most @window frames under way, the next ready @gap_ns after one is taken. */
START_TEST(a_sender_with_few_buffers_is_not_slowed_down_more_and_more)
{
	static const unsigned windows[] = {4, 8, 16, 28, 32, 64};
	const unsigned window = windows[_i], gap_ns = 5 * US;
	uint64_t ns, begin_ns, sent, total = 0;
	unsigned i;

	begin();
	ns = notify_until_nap(gap_ns, 3);
	begin_ns = now_ns;
	for (i = 0; i < 1000; i++) {
		sent = ns ? MIN(ns / gap_ns, (uint64_t)window) : 1;
		total += sent;
		now_ns += ns ? ns : gap_ns;
		ns = look((unsigned)sent, 0);
	}
	/* One window in the time of 32 frames is what it is to have, but for trials. */
	ck_assert_uint_ge(total * 32 * gap_ns * 10, 8 * MIN(window, 32u) * (now_ns - begin_ns));
}
END_TEST

START_TEST(large_frames_are_worth_shorter_naps_or_none)
{
	uint64_t ns;

	begin();
	frame_bytes = 4096;
	ns = notify_until_nap(20 * US, 3);
	ck_assert_uint_ge(ns, 3 * 20 * US);
	ck_assert_uint_le(ns, 12 * 20 * US);
	begin();
	frame_bytes = 32768;
	ck_assert_uint_eq(notify_until_nap(20 * US, 1000), 0);
}
END_TEST

START_TEST(slow_frames_are_taken_at_once)
{
	begin();
	ck_assert_uint_eq(notify_until_nap(MAX_NS / 2 + US, 1000), 0);
}
END_TEST

START_TEST(the_first_frame_of_all_is_taken_at_once)
{
	begin();
	now_ns = 1;
	ck_assert_uint_eq(look(1, 0), 0);
}
END_TEST

START_TEST(a_stream_that_ends_leaves_notifications_on)
{
	unsigned naps = 1;
	uint64_t ns;

	begin();
	ns = notify_until_nap(10 * US, 3);
	ck_assert_uint_ne(ns, 0);
	for (; ns; naps++) {
		now_ns += ns;
		ns = look(0, 0);
	}
	ck_assert_uint_le(naps, 4);
	/* And for some looks there is no other. */
	ck_assert_uint_eq(notify_until_nap(10 * US, 16), 0);
	ck_assert_uint_ne(notify_until_nap(10 * US, 2), 0);
}
END_TEST

START_TEST(a_sender_that_waits_for_its_buffers_goes_on)
{
	uint64_t ns;
	unsigned i;

	begin();
	ns = notify_until_nap(20 * US, 3);
	for (i = 0; i < 100; i++) {
		ck_assert_uint_ne(ns, 0);
		now_ns += ns;
		ns = look(i % 3 == 0 ? 46 : i % 3 == 1, 0);
	}
}
END_TEST

START_TEST(without_a_maximum_there_is_none)
{
	begin();
	nap.max_ns = 0;
	ck_assert_uint_eq(notify_until_nap(US, 100), 0);
}
END_TEST

TCase *nap_cases(void)
{
	TCase *tc = tcase_create("nap");

	tcase_add_test(tc, a_stream_is_gathered);
	tcase_add_test(tc, who_is_answered_is_never_kept_waiting);
	tcase_add_loop_test(tc, a_sender_with_few_buffers_is_not_slowed_down_more_and_more, 0, 6);
	tcase_add_test(tc, large_frames_are_worth_shorter_naps_or_none);
	tcase_add_test(tc, slow_frames_are_taken_at_once);
	tcase_add_test(tc, the_first_frame_of_all_is_taken_at_once);
	tcase_add_test(tc, a_stream_that_ends_leaves_notifications_on);
	tcase_add_test(tc, a_sender_that_waits_for_its_buffers_goes_on);
	tcase_add_test(tc, without_a_maximum_there_is_none);
	return tc;
}
