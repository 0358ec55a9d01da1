/* The loop from several threads: run under the thread sanitizer too. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/util.h"
#include "loop/loop.h"
#include "suite.h"

#define POSTERS 4
#define POSTS   2000

/* Plain fields on purpose: only the loop's thread may touch them. */
struct counter {
	struct loop *loop;
	unsigned runs;
	unsigned calls;
	bool inside;
};

struct poster {
	struct counter *counter;
	struct loop_work work;
	pthread_t thread;
	_Atomic unsigned ran;
};

static void count_run(void *opaque)
{
	struct poster *p = opaque;

	ck_assert(loop_is_current(p->counter->loop));
	p->counter->runs++;
	p->ran++;
}

static void *poster_main(void *opaque)
{
	struct poster *p = opaque;
	unsigned i;

	for (i = 0; i < POSTS; i++)
		loop_post(p->counter->loop, &p->work);
	return NULL;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

START_TEST(posts_from_threads_all_arrive)
{
	struct loop_thread *thread;
	struct counter counter = {0};
	struct poster posters[POSTERS];
	unsigned sum = 0;
	int i;

	ck_assert_int_eq(loop_thread_new(&thread, "test-with-a-long-name", NULL), 0);
	counter.loop = loop_thread_loop(thread);
	for (i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){.counter = &counter};
		posters[i].work.run = count_run;
		posters[i].work.opaque = &posters[i];
		pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]);
	}
	for (i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	/* Behind whatever they have posted. */
	loop_call(counter.loop, nothing, NULL);
	for (i = 0; i < POSTERS; i++) {
		ck_assert_uint_ge(posters[i].ran, 1);
		ck_assert_uint_le(posters[i].ran, POSTS);
		sum += posters[i].ran;
	}
	loop_thread_free(thread);
	ck_assert_uint_eq(counter.runs, sum);
}
END_TEST

static void count_call(void *opaque)
{
	struct counter *c = opaque;

	ck_assert(!c->inside);
	c->inside = true;
	c->calls++;
	c->inside = false;
}

static void *caller_main(void *opaque)
{
	struct counter *c = opaque;
	unsigned i;

	for (i = 0; i < POSTS; i++)
		loop_call(c->loop, count_call, c);
	return NULL;
}

START_TEST(calls_from_threads_run_one_after_the_other)
{
	struct loop_thread *thread;
	struct counter counter = {0};
	pthread_t callers[POSTERS];
	int i;

	ck_assert_int_eq(loop_thread_new(&thread, "test", NULL), 0);
	counter.loop = loop_thread_loop(thread);
	for (i = 0; i < POSTERS; i++)
		pthread_create(&callers[i], NULL, caller_main, &counter);
	for (i = 0; i < POSTERS; i++)
		pthread_join(callers[i], NULL);
	loop_thread_free(thread);
	ck_assert_uint_eq(counter.calls, POSTERS * POSTS);
}
END_TEST

static void call_inner(void *opaque)
{
	struct counter *c = opaque;

	loop_call(c->loop, count_call, c);
	c->runs++;
}

START_TEST(call_on_the_same_thread_or_none_is_direct)
{
	struct loop_thread *thread;
	struct counter counter = {0};

	ck_assert_int_eq(loop_new(&counter.loop, NULL), 0);
	loop_call(counter.loop, count_call, &counter);
	ck_assert_uint_eq(counter.calls, 1);
	loop_free(counter.loop);

	ck_assert_int_eq(loop_thread_new(&thread, "test", NULL), 0);
	counter.loop = loop_thread_loop(thread);
	loop_call(counter.loop, call_inner, &counter);
	ck_assert_uint_eq(counter.calls, 2);
	ck_assert_uint_eq(counter.runs, 1);
	loop_thread_free(thread);
}
END_TEST

struct held_call {
	struct loop *loop;
	sem_t entered;
	sem_t leave;
};

static void hold_until_told(void *opaque)
{
	struct held_call *held = opaque;

	sem_post(&held->entered);
	sem_wait(&held->leave);
}

static void *held_main(void *opaque)
{
	struct held_call *held = opaque;

	loop_call(held->loop, hold_until_told, held);
	return NULL;
}

static void *one_call_main(void *opaque)
{
	struct counter *c = opaque;

	loop_call(c->loop, count_call, c);
	return NULL;
}

static void *run_main(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

/* Joins @thread if it ends soon, which is long enough for one that nothing holds up. */
static int join_soon(pthread_t thread)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += 100000000;
	end.tv_sec += end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	return pthread_timedjoin_np(thread, NULL, &end);
}

/* vCPUs call before the machine's loop runs and after it has ended: their calls share timers. */
START_TEST(direct_calls_and_runs_wait_for_each_other)
{
	struct counter counter = {0};
	struct held_call held;
	pthread_t first, second, runner;

	ck_assert_int_eq(loop_new(&counter.loop, NULL), 0);
	held.loop = counter.loop;
	sem_init(&held.entered, 0, 0);
	sem_init(&held.leave, 0, 0);
	loop_stop(counter.loop);
	pthread_create(&first, NULL, held_main, &held);
	sem_wait(&held.entered);
	pthread_create(&second, NULL, one_call_main, &counter);
	pthread_create(&runner, NULL, run_main, counter.loop);
	ck_assert_int_eq(join_soon(second), ETIMEDOUT);
	ck_assert_int_eq(join_soon(runner), ETIMEDOUT);
	ck_assert_uint_eq(counter.calls, 0);
	sem_post(&held.leave);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	pthread_join(runner, NULL);
	ck_assert_uint_eq(counter.calls, 1);
	sem_destroy(&held.entered);
	sem_destroy(&held.leave);
	loop_free(counter.loop);
}
END_TEST

/* One caller against a loop that ends at any moment: no call is lost, none runs beside another. */
struct race {
	struct counter counter;
	_Atomic bool started;
};

static void *race_caller(void *opaque)
{
	struct race *race = opaque;
	unsigned i;

	race->started = true;
	for (i = 0; i < 20; i++)
		loop_call(race->counter.loop, count_call, &race->counter);
	loop_stop(race->counter.loop);
	return NULL;
}

START_TEST(no_call_is_lost_when_rounds_end)
{
	struct race race = {0};
	pthread_t thread;
	int i;

	for (i = 0; i < 200; i++) {
		ck_assert_int_eq(loop_new(&race.counter.loop, NULL), 0);
		race.started = false;
		race.counter.calls = 0;
		pthread_create(&thread, NULL, race_caller, &race);
		/* Short rounds: each may end between a call's queueing and its run. */
		while (!race.started)
			loop_run_once(race.counter.loop, 0);
		loop_run_once(race.counter.loop, 0);
		loop_run_once(race.counter.loop, 0);
		loop_run_once(race.counter.loop, 0);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(race.counter.calls, 20);
		loop_free(race.counter.loop);
	}
}
END_TEST

START_TEST(no_call_is_lost_when_a_run_ends)
{
	struct race race = {0};
	pthread_t thread;
	int i;

	for (i = 0; i < 200; i++) {
		ck_assert_int_eq(loop_new(&race.counter.loop, NULL), 0);
		race.counter.calls = 0;
		pthread_create(&thread, NULL, race_caller, &race);
		loop_stop(race.counter.loop);
		loop_run(race.counter.loop);
		pthread_join(thread, NULL);
		ck_assert_uint_eq(race.counter.calls, 20);
		loop_free(race.counter.loop);
	}
}
END_TEST

static void get_mask(void *opaque)
{
	pthread_sigmask(SIG_SETMASK, NULL, opaque);
}

/* A crash in a device's thread must reach the handler that restores the terminal. */
START_TEST(threads_block_signals_but_not_crashes)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGWINCH, SIGUSR1};
	struct loop_thread *thread;
	sigset_t mask, before, after;
	size_t i;

	get_mask(&before);
	ck_assert_int_eq(loop_thread_new(&thread, "test", NULL), 0);
	get_mask(&after);
	loop_call(loop_thread_loop(thread), get_mask, &mask);
	for (i = 0; i < ARRAY_SIZE(crashes); i++)
		ck_assert_msg(!sigismember(&mask, crashes[i]), "signal %d", crashes[i]);
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		ck_assert_msg(sigismember(&mask, ends[i]), "signal %d", ends[i]);
		ck_assert_int_eq(sigismember(&before, ends[i]), sigismember(&after, ends[i]));
	}
	loop_thread_free(thread);
	loop_thread_free(NULL);
}
END_TEST

TCase *case_threads(void)
{
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, posts_from_threads_all_arrive);
	tcase_add_test(c, calls_from_threads_run_one_after_the_other);
	tcase_add_test(c, call_on_the_same_thread_or_none_is_direct);
	tcase_add_test(c, direct_calls_and_runs_wait_for_each_other);
	tcase_add_test(c, no_call_is_lost_when_rounds_end);
	tcase_add_test(c, no_call_is_lost_when_a_run_ends);
	tcase_add_test(c, threads_block_signals_but_not_crashes);
	return c;
}
