/* Worker threads: every job is run once, away from the loop, and ends on the loop's thread. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/workers.h"
#include "suite.h"

#define JOBS 500

struct job {
	struct worker_job job;
	struct crowd *crowd;
	_Atomic unsigned runs;
	unsigned ends;
};

struct crowd {
	struct loop *loop;
	struct workers *workers;
	pthread_t main;
	struct job jobs[JOBS];
	unsigned submitted, ended;
	_Atomic unsigned running, most;
};

static void run(struct worker_job *worker_job)
{
	struct job *job = container_of(worker_job, struct job, job);
	unsigned now = atomic_fetch_add(&job->crowd->running, 1) + 1;
	unsigned most = atomic_load(&job->crowd->most);

	while (now > most && !atomic_compare_exchange_weak(&job->crowd->most, &most, now))
		continue;
	ck_assert(!pthread_equal(pthread_self(), job->crowd->main));
	atomic_fetch_add(&job->runs, 1);
	atomic_fetch_sub(&job->crowd->running, 1);
}

static void done(struct worker_job *worker_job)
{
	struct job *job = container_of(worker_job, struct job, job);
	struct crowd *c = job->crowd;

	ck_assert(pthread_equal(pthread_self(), c->main));
	ck_assert_uint_eq(atomic_load(&job->runs), 1);
	job->ends++;
	c->ended++;
	/* From inside done(), too. */
	if (c->submitted < JOBS)
		workers_submit(c->workers, &c->jobs[c->submitted++].job);
}

START_TEST(each_job_runs_once_and_ends_on_the_loop)
{
	static const unsigned threads[] = {0, 1, 2, 7, 1000};
	struct crowd *c = calloc(1, sizeof(*c));
	unsigned i;

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(loop_new(&c->loop, NULL), 0);
	c->main = pthread_self();
	ck_assert_int_eq(workers_new(c->loop, "test", threads[_i], &c->workers), 0);
	for (i = 0; i < JOBS; i++) {
		c->jobs[i].crowd = c;
		c->jobs[i].job = (struct worker_job){.run = run, .done = done};
	}
	while (c->submitted < JOBS / 2)
		workers_submit(c->workers, &c->jobs[c->submitted++].job);
	while (c->ended < JOBS)
		loop_run_once(c->loop, -1);
	for (i = 0; i < JOBS; i++)
		ck_assert_uint_eq(c->jobs[i].ends, 1);
	ck_assert_uint_le(atomic_load(&c->most), MAX(threads[_i], 1u));
	workers_free(c->workers);
	loop_free(c->loop);
	free(c);
}
END_TEST

START_TEST(workers_without_jobs_end)
{
	struct workers *workers;
	struct loop *loop;

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	ck_assert_int_eq(workers_new(loop, "test", 3, &workers), 0);
	workers_free(workers);
	workers_free(NULL);
	loop_free(loop);
}
END_TEST

TCase *case_workers(void)
{
	TCase *c = tcase_create("workers");

	tcase_add_loop_test(c, each_job_runs_once_and_ends_on_the_loop, 0, 5);
	tcase_add_test(c, workers_without_jobs_end);
	return c;
}
