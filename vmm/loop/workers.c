/*
 * Worker threads: see workers.h. Jobs wait in a list; a worker takes the first, runs it and puts it
 * on the list of ended ones, and rings an eventfd that the loop watches.
 */
#include "loop/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/thread.h"
#include "base/util.h"

#define WORKERS_MAX 16u

struct job_list {
	struct worker_job *first, **end;
};

struct workers {
	struct loop *loop;
	const char *name;
	unsigned max, count;
	pthread_t threads[WORKERS_MAX];
	struct loop_fd bell;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wanted;
	struct job_list todo, ended;
	unsigned waiting, idle; /* jobs in the list; threads without one */
	bool stopping;
};

static void list_init(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct job_list *list, struct worker_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct worker_job *list_take(struct job_list *list)
{
	struct worker_job *job = list->first;

	list->first = job->next;
	if (!list->first)
		list_init(list);
	return job;
}

static void end_jobs(void *opaque, uint32_t events)
{
	struct workers *w = opaque;
	struct worker_job *job, *next;

	(void)events;
	fd_event_clear(w->bell.fd);
	pthread_mutex_lock(&w->lock);
	job = w->ended.first;
	list_init(&w->ended);
	pthread_mutex_unlock(&w->lock);
	for (; job; job = next) {
		next = job->next;
		job->done(job);
	}
}

static void *worker_main(void *opaque)
{
	struct workers *w = opaque;

	pthread_setname_np(pthread_self(), w->name);
	pthread_mutex_lock(&w->lock);
	while (!w->stopping) {
		struct worker_job *job;

		if (!w->todo.first) {
			w->idle++;
			pthread_cond_wait(&w->wanted, &w->lock);
			w->idle--;
			continue;
		}
		job = list_take(&w->todo);
		w->waiting--;
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		list_add(&w->ended, job);
		fd_event_signal(w->bell.fd);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int workers_new(struct loop *loop, const char *name, unsigned max, struct workers **out)
{
	struct workers *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	w->name = name;
	w->max = MIN(MAX(max, 1u), WORKERS_MAX);
	w->bell = (struct loop_fd){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = end_jobs,
		.opaque = w,
	};
	ret = w->bell.fd < 0 ? -errno : loop_add_fd(loop, &w->bell);
	if (ret < 0) {
		fd_close(&w->bell.fd);
		free(w);
		return ret;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wanted, NULL);
	list_init(&w->todo);
	list_init(&w->ended);
	*out = w;
	return 0;
}

void workers_submit(struct workers *w, struct worker_job *job)
{
	bool more;

	pthread_mutex_lock(&w->lock);
	list_add(&w->todo, job);
	w->waiting++;
	more = w->waiting > w->idle && w->count < w->max;
	pthread_cond_signal(&w->wanted);
	pthread_mutex_unlock(&w->lock);
	if (more && !thread_create(&w->threads[w->count], NULL, worker_main, w))
		w->count++;
	if (w->count)
		return;
	/* It is the only one there is. */
	list_init(&w->todo);
	w->waiting = 0;
	job->run(job);
	list_add(&w->ended, job);
	fd_event_signal(w->bell.fd);
}

void workers_free(struct workers *w)
{
	unsigned i;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->wanted);
	pthread_mutex_unlock(&w->lock);
	for (i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	loop_del_fd(w->loop, &w->bell);
	fd_close(&w->bell.fd);
	pthread_cond_destroy(&w->wanted);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
