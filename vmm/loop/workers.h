/*
 * Worker threads for what takes a processor long: a loop hands jobs over and goes on; each job's
 * result comes back to the loop's thread. Threads are started when jobs find none idle, up to a
 * maximum, and stay.
 *
 * Every call is made on the loop's thread.
 */
#ifndef SARANG_LOOP_WORKERS_H
#define SARANG_LOOP_WORKERS_H

#include "loop/loop.h"

struct workers;

/* Embedded in its owner, who keeps it alive until done() runs. */
struct worker_job {
	void (*run)(struct worker_job *job);  /* on a worker: touches what only the job owns */
	void (*done)(struct worker_job *job); /* on the loop's thread, later */
	struct worker_job *next;              /* the workers' own */
};

/* Up to @max threads, at least 1, called @name (cut at 15 characters; not copied). 0 or -errno. */
int workers_new(struct loop *loop, const char *name, unsigned max, struct workers **out);

/* Where not even one thread can be started, the job is run before this returns. */
void workers_submit(struct workers *workers, struct worker_job *job);

/* Ends the threads. No job is under way: each done() has run. NULL is fine. */
void workers_free(struct workers *workers);

#endif
