/* A thread that runs a loop: see loop.h. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "loop/loop.h"

struct loop_thread {
	struct loop *loop;
	pthread_t thread;
	struct loop_work started_work;
	sem_t started;
	char name[16];
};

static void loop_started(void *opaque)
{
	struct loop_thread *thread = opaque;

	sem_post(&thread->started);
}

static void *thread_main(void *opaque)
{
	struct loop_thread *thread = opaque;

	pthread_setname_np(pthread_self(), thread->name);
	loop_run(thread->loop);
	return NULL;
}

int loop_thread_new(struct loop_thread **out, const char *name, struct err *e)
{
	struct loop_thread *thread = calloc(1, sizeof(*thread));
	int ret;

	if (!thread)
		return err_set(e, ENOMEM, "out of memory");
	snprintf(thread->name, sizeof(thread->name), "%s", name);
	ret = loop_new(&thread->loop, e);
	if (ret < 0) {
		free(thread);
		return ret;
	}
	sem_init(&thread->started, 0, 0);
	thread->started_work = (struct loop_work){.run = loop_started, .opaque = thread};
	loop_post(thread->loop, &thread->started_work);

	ret = thread_create(&thread->thread, NULL, thread_main, thread);
	if (ret) {
		loop_free(thread->loop);
		sem_destroy(&thread->started);
		free(thread);
		return err_errno(e, ret, "cannot start the thread %s", name);
	}
	/* Until the loop runs, loop_call would run its function on the caller's thread. */
	while (sem_wait(&thread->started) < 0 && errno == EINTR)
		continue;
	*out = thread;
	return 0;
}

struct loop *loop_thread_loop(struct loop_thread *thread)
{
	return thread->loop;
}

void loop_thread_free(struct loop_thread *thread)
{
	if (!thread)
		return;
	loop_stop(thread->loop);
	pthread_join(thread->thread, NULL);
	loop_free(thread->loop);
	sem_destroy(&thread->started);
	free(thread);
}
