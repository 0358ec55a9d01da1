/* The loop on one thread: timers, descriptors, posted work. No test asserts how long anything
 * takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "loop/loop.h"
#include "suite.h"

/* What happened, in order: one letter an event. */
struct record {
	struct loop *loop;
	char text[256];
	size_t len;
};

static void note(struct record *r, char c)
{
	ck_assert_uint_lt(r->len + 1, sizeof(r->text));
	r->text[r->len++] = c;
}

struct timer_case {
	struct loop_timer timer;
	struct record *record;
	char letter;
	struct timer_case *cancels;
	uint64_t rearm_ns;
	bool stops;
};

static void timer_fired(void *opaque)
{
	struct timer_case *t = opaque;

	note(t->record, t->letter);
	if (t->cancels)
		loop_timer_cancel(t->record->loop, &t->cancels->timer);
	if (t->rearm_ns) {
		loop_timer_arm(t->record->loop, &t->timer, t->rearm_ns);
		t->rearm_ns = 0;
	}
	if (t->stops)
		loop_stop(t->record->loop);
}

static void timer_setup(struct timer_case *t, struct record *record, char letter)
{
	*t = (struct timer_case){.record = record, .letter = letter};
	t->timer.fired = timer_fired;
	t->timer.opaque = t;
}

START_TEST(timers_fire_in_the_order_of_deadlines)
{
	struct record r = {0};
	struct timer_case t[5];
	int i;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	for (i = 0; i < 5; i++)
		timer_setup(&t[i], &r, (char)('a' + i));
	loop_timer_arm(r.loop, &t[2].timer, 3000000);
	loop_timer_arm(r.loop, &t[0].timer, 1000000);
	loop_timer_arm(r.loop, &t[4].timer, UINT64_MAX);
	loop_timer_arm(r.loop, &t[1].timer, 2000000);
	loop_timer_arm(r.loop, &t[3].timer, 500000);
	/* Moved behind the others. */
	loop_timer_arm(r.loop, &t[3].timer, 4000000);
	t[3].stops = true;
	loop_run(r.loop);
	ck_assert_str_eq(r.text, "abcd");
	ck_assert(!t[0].timer.armed);
	ck_assert(t[4].timer.armed);
	loop_timer_cancel(r.loop, &t[4].timer);
	loop_timer_cancel(r.loop, &t[4].timer);
	loop_free(r.loop);
}
END_TEST

START_TEST(timers_may_cancel_and_rearm_in_a_callback)
{
	struct record r = {0};
	struct timer_case t[3];
	int i;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	for (i = 0; i < 3; i++)
		timer_setup(&t[i], &r, (char)('a' + i));
	for (i = 0; i < 3; i++)
		loop_timer_arm(r.loop, &t[i].timer, (uint64_t)i);
	/* All three are due in one round: the first takes out the second and comes again itself. */
	t[0].cancels = &t[1];
	t[0].rearm_ns = 2000000;
	while (r.len < 3)
		loop_run_once(r.loop, -1);
	ck_assert_str_eq(r.text, "aca");
	loop_free(r.loop);
}
END_TEST

START_TEST(timers_against_a_sorted_list)
{
	uint64_t state = unit_seed();
	struct record r = {0};
	struct timer_case t[40];
	uint64_t last = 0;
	size_t i, armed = 0;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(t); i++)
		timer_setup(&t[i], &r, (char)('0' + i));
	for (i = 0; i < 400; i++) {
		struct timer_case *one = &t[unit_random(&state) % ARRAY_SIZE(t)];

		if (unit_random(&state) % 4)
			loop_timer_arm(r.loop, &one->timer, unit_random(&state) % 3000000);
		else
			loop_timer_cancel(r.loop, &one->timer);
	}
	for (i = 0; i < ARRAY_SIZE(t); i++)
		armed += t[i].timer.armed;
	while (r.len < armed)
		loop_run_once(r.loop, -1);
	for (i = 0; i < r.len; i++) {
		uint64_t deadline = t[r.text[i] - '0'].timer.deadline_ns;

		ck_assert_uint_ge(deadline, last);
		last = deadline;
	}
	loop_run_once(r.loop, 4);
	ck_assert_uint_eq(r.len, armed);
	loop_free(r.loop);
}
END_TEST

struct fd_case {
	struct loop_fd source;
	struct record *record;
	char letter;
	struct fd_case *removes;
	struct fd_case *quiets;
};

static void fd_ready(void *opaque, uint32_t events)
{
	struct fd_case *c = opaque;

	ck_assert(events & (EPOLLIN | EPOLLHUP));
	note(c->record, c->letter);
	fd_event_clear(c->source.fd);
	if (c->removes)
		loop_del_fd(c->record->loop, &c->removes->source);
	if (c->quiets)
		loop_mod_fd(c->record->loop, &c->quiets->source, 0);
}

static void fd_setup(struct fd_case *c, struct record *record, char letter)
{
	*c = (struct fd_case){.record = record, .letter = letter};
	c->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->source.events = EPOLLIN;
	c->source.ready = fd_ready;
	c->source.opaque = c;
	ck_assert_int_eq(loop_add_fd(record->loop, &c->source), 0);
}

static void fd_teardown(struct fd_case *c)
{
	loop_del_fd(c->record->loop, &c->source);
	loop_del_fd(c->record->loop, &c->source);
	fd_close(&c->source.fd);
}

/* Each of two ready sources would remove the other: only one may run, whichever comes first. */
START_TEST(cve_2024_4693_removed_source_in_the_batch_does_not_run)
{
	struct record r = {0};
	struct fd_case a, b;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	fd_setup(&a, &r, 'a');
	fd_setup(&b, &r, 'b');
	a.removes = &b;
	b.removes = &a;
	fd_event_signal(a.source.fd);
	fd_event_signal(b.source.fd);
	loop_run_once(r.loop, 0);
	ck_assert_uint_eq(r.len, 1);
	loop_run_once(r.loop, 0);
	ck_assert_uint_eq(r.len, 1);
	fd_teardown(&a);
	fd_teardown(&b);
	loop_free(r.loop);
}
END_TEST

START_TEST(quieted_source_in_the_batch_does_not_run)
{
	struct record r = {0};
	struct fd_case a, b;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	fd_setup(&a, &r, 'a');
	fd_setup(&b, &r, 'b');
	a.quiets = &b;
	b.quiets = &a;
	fd_event_signal(a.source.fd);
	fd_event_signal(b.source.fd);
	loop_run_once(r.loop, 0);
	ck_assert_uint_eq(r.len, 1);
	/* What was there is seen once it is wanted again. */
	a.quiets = NULL;
	b.quiets = NULL;
	loop_mod_fd(r.loop, &a.source, EPOLLIN);
	loop_mod_fd(r.loop, &b.source, EPOLLIN);
	loop_run_once(r.loop, 0);
	ck_assert_uint_eq(r.len, 2);
	ck_assert_int_ne(r.text[0], r.text[1]);
	fd_teardown(&a);
	fd_teardown(&b);
	loop_free(r.loop);
}
END_TEST

/* A hang-up cannot be masked in epoll: a source that waits for nothing must not spin. */
START_TEST(waiting_for_nothing_hears_no_hang_up)
{
	struct record r = {0};
	struct fd_case c = {.record = &r, .letter = 'h'};
	int fds[2];

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	c.source = (struct loop_fd){.fd = fds[0], .ready = fd_ready, .opaque = &c};
	ck_assert_int_eq(loop_add_fd(r.loop, &c.source), 0);
	close(fds[1]);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "");
	loop_mod_fd(r.loop, &c.source, EPOLLIN);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "h");
	loop_mod_fd(r.loop, &c.source, 0);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "h");
	fd_teardown(&c);
	loop_free(r.loop);
}
END_TEST

START_TEST(a_regular_file_is_refused)
{
	struct loop *loop;
	struct loop_fd source = {.events = EPOLLIN, .ready = fd_ready};

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	source.fd = memfd_create("test", MFD_CLOEXEC);
	ck_assert_int_eq(loop_add_fd(loop, &source), -EPERM);
	source.events = 0;
	ck_assert_int_eq(loop_add_fd(loop, &source), -EPERM);
	ck_assert(!source.watched);
	loop_del_fd(loop, &source);
	fd_close(&source.fd);
	loop_free(loop);
}
END_TEST

struct work_case {
	struct loop_work work;
	struct record *record;
	char letter;
	unsigned again;
	bool nests, checks, stops;
};

static void work_run(void *opaque)
{
	struct work_case *w = opaque;

	note(w->record, w->letter);
	if (w->again) {
		w->again--;
		loop_post(w->record->loop, &w->work);
	}
	if (w->nests) {
		loop_run_once(w->record->loop, 0);
		ck_assert(loop_is_current(w->record->loop));
	}
	if (w->stops)
		loop_stop(w->record->loop);
}

static void work_setup(struct work_case *w, struct record *record, char letter)
{
	*w = (struct work_case){.record = record, .letter = letter};
	w->work.run = work_run;
	w->work.opaque = w;
}

START_TEST(work_runs_once_in_the_order_it_was_posted)
{
	struct record r = {0};
	struct work_case a, b;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	work_setup(&a, &r, 'a');
	work_setup(&b, &r, 'b');
	loop_post(r.loop, &b.work);
	loop_post(r.loop, &a.work);
	loop_post(r.loop, &b.work);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "ba");
	loop_post(r.loop, &b.work);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "bab");
	loop_free(r.loop);
}
END_TEST

/* A device that posts itself again for ever must not keep timers and descriptors waiting. */
START_TEST(work_posted_again_waits_for_the_next_round)
{
	struct record r = {0};
	struct work_case w;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	work_setup(&w, &r, 'w');
	w.again = 3;
	loop_post(r.loop, &w.work);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "w");
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "ww");
	loop_run_once(r.loop, 0);
	loop_run_once(r.loop, 0);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "wwww");
	loop_free(r.loop);
}
END_TEST

/* Draining a disk from a callback runs the loop inside itself: what was queued behind must be seen.
 */
START_TEST(nested_rounds_see_the_rest_of_the_work)
{
	struct record r = {0};
	struct work_case a, b;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	work_setup(&a, &r, 'a');
	work_setup(&b, &r, 'b');
	a.nests = true;
	loop_post(r.loop, &a.work);
	loop_post(r.loop, &b.work);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "ab");
	ck_assert(!loop_is_current(r.loop));
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "ab");
	loop_free(r.loop);
}
END_TEST

START_TEST(stop_ends_this_run_or_the_next)
{
	struct record r = {0};
	struct work_case a, b;

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	loop_stop(r.loop);
	loop_run(r.loop);
	work_setup(&a, &r, 'a');
	work_setup(&b, &r, 'b');
	a.stops = true;
	loop_post(r.loop, &a.work);
	loop_post(r.loop, &b.work);
	loop_run(r.loop);
	/* Posted before the stop: done before loop_run returns. */
	ck_assert_str_eq(r.text, "ab");
	loop_post(r.loop, &b.work);
	loop_post(r.loop, &a.work);
	loop_run(r.loop);
	ck_assert_str_eq(r.text, "abba");
	loop_free(r.loop);
}
END_TEST

static bool hook_called(void *opaque)
{
	struct record *r = opaque;

	note(r, 'k');
	return r->len < 3;
}

START_TEST(hooks_run_before_the_wait)
{
	struct record r = {0};
	struct loop_hook hook = {.before_wait = hook_called, .opaque = &r};

	ck_assert_int_eq(loop_new(&r.loop, NULL), 0);
	loop_add_hook(r.loop, &hook);
	/* Returns at once although nothing will ever be ready: the hook said that it is busy. */
	loop_run_once(r.loop, -1);
	loop_run_once(r.loop, -1);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "kkk");
	loop_del_hook(r.loop, &hook);
	loop_del_hook(r.loop, &hook);
	loop_run_once(r.loop, 0);
	ck_assert_str_eq(r.text, "kkk");
	loop_free(r.loop);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("loop");
	TCase *c = tcase_create("loop");

	tcase_add_test(c, timers_fire_in_the_order_of_deadlines);
	tcase_add_test(c, timers_may_cancel_and_rearm_in_a_callback);
	tcase_add_test(c, timers_against_a_sorted_list);
	tcase_add_test(c, cve_2024_4693_removed_source_in_the_batch_does_not_run);
	tcase_add_test(c, quieted_source_in_the_batch_does_not_run);
	tcase_add_test(c, waiting_for_nothing_hears_no_hang_up);
	tcase_add_test(c, a_regular_file_is_refused);
	tcase_add_test(c, work_runs_once_in_the_order_it_was_posted);
	tcase_add_test(c, work_posted_again_waits_for_the_next_round);
	tcase_add_test(c, nested_rounds_see_the_rest_of_the_work);
	tcase_add_test(c, stop_ends_this_run_or_the_next);
	tcase_add_test(c, hooks_run_before_the_wait);
	suite_add_tcase(suite, c);
	suite_add_tcase(suite, case_threads());
	suite_add_tcase(suite, case_workers());
	return suite;
}
