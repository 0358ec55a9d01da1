/*
 * The event loop: see loop.h.
 *
 * Timers are a list sorted by deadline; a loop has a handful. The timeout of epoll_wait is too
 * coarse for them (milliseconds), so one timerfd carries the nearest deadline. Posted work is a
 * list under a mutex with an eventfd as bell. A descriptor that was removed while its event waits
 * in the batch returned by epoll_wait is skipped: the batch is searched when a source is removed.
 */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

#define LOOP_BATCH 32

struct loop {
	int epoll_fd;
	struct loop_fd bell;     /* eventfd: posted work or a stop */
	struct loop_fd timer_fd; /* timerfd: the nearest deadline */
	struct loop_timer *timers;
	struct loop_hook *hooks;
	struct epoll_event batch[LOOP_BATCH];
	int batch_count;

	_Atomic bool stopping;
	pthread_mutex_t lock; /* guards what follows */
	struct loop_work *work_head, **work_tail;
	size_t work_count;
	bool running;
	pthread_t runner;
	pthread_cond_t ended; /* nobody runs it any more */
};

uint64_t loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Takes the work at @place out of the queue; the lock is held. */
static struct loop_work *unlink_work(struct loop *loop, struct loop_work **place)
{
	struct loop_work *work = *place;

	*place = work->next;
	if (!work->next)
		loop->work_tail = place;
	work->queued = false;
	loop->work_count--;
	return work;
}

static struct loop_work *take_work(struct loop *loop)
{
	struct loop_work *work;

	pthread_mutex_lock(&loop->lock);
	work = loop->work_head ? unlink_work(loop, &loop->work_head) : NULL;
	pthread_mutex_unlock(&loop->lock);
	return work;
}

/* What is posted meanwhile waits for the next round: nobody keeps the others from their turn. */
static void run_queued_work(struct loop *loop)
{
	struct loop_work *work;
	size_t left;

	pthread_mutex_lock(&loop->lock);
	left = loop->work_count;
	pthread_mutex_unlock(&loop->lock);
	while (left-- && (work = take_work(loop)))
		work->run(work->opaque);
}

static void bell_rung(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;

	(void)events;
	fd_event_clear(loop->bell.fd);
	run_queued_work(loop);
}

static void timer_program(struct loop *loop)
{
	struct itimerspec when = {0};

	if (loop->timers) {
		uint64_t ns = loop->timers->deadline_ns;

		when.it_value.tv_sec = (time_t)(ns / 1000000000u);
		when.it_value.tv_nsec = (long)(ns % 1000000000u);
	}
	timerfd_settime(loop->timer_fd.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void timer_rung(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	uint64_t now_ns = loop_now_ns();

	(void)events;
	fd_event_clear(loop->timer_fd.fd);
	while (loop->timers && loop->timers->deadline_ns <= now_ns) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->armed = false;
		timer->fired(timer->opaque);
	}
	timer_program(loop);
}

static int add_internal(struct loop *loop, struct loop_fd *source,
			void (*ready)(void *opaque, uint32_t events))
{
	if (source->fd < 0)
		return -errno;
	source->events = EPOLLIN;
	source->ready = ready;
	source->opaque = loop;
	return loop_add_fd(loop, source);
}

int loop_new(struct loop **out, struct err *e)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->ended, NULL);
	loop->work_tail = &loop->work_head;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->timer_fd.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ret = loop->epoll_fd < 0 ? -errno : add_internal(loop, &loop->bell, bell_rung);
	if (!ret)
		ret = add_internal(loop, &loop->timer_fd, timer_rung);
	if (ret < 0) {
		loop_free(loop);
		return err_errno(e, -ret, "cannot make an event loop");
	}
	*out = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	fd_close(&loop->bell.fd);
	fd_close(&loop->timer_fd.fd);
	fd_close(&loop->epoll_fd);
	pthread_cond_destroy(&loop->ended);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

struct loop_call {
	struct loop_work work;
	void (*run)(void *opaque);
	void *opaque;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;
};

static void call_run(void *opaque)
{
	struct loop_call *call = opaque;

	call->run(call->opaque);
	pthread_mutex_lock(&call->lock);
	call->done = true;
	pthread_cond_signal(&call->ended);
	pthread_mutex_unlock(&call->lock);
}

/* The lock is held. */
static bool runs_here(const struct loop *loop)
{
	return loop->running && pthread_equal(loop->runner, pthread_self());
}

/* The lock is held. */
static void claim(struct loop *loop)
{
	loop->running = true;
	loop->runner = pthread_self();
}

/* The calling thread runs the loop from now on; returns whether it did before. */
static bool begin_running(struct loop *loop)
{
	bool nested;

	pthread_mutex_lock(&loop->lock);
	nested = runs_here(loop);
	/* Somebody may be inside a direct call. */
	while (loop->running && !nested)
		pthread_cond_wait(&loop->ended, &loop->lock);
	claim(loop);
	pthread_mutex_unlock(&loop->lock);
	return nested;
}

/* The next loop_call in the queue, whose caller waits for it; the lock is held. */
static struct loop_work *take_call(struct loop *loop)
{
	struct loop_work **place = &loop->work_head;

	while (*place && (*place)->run != call_run)
		place = &(*place)->next;
	return *place ? unlink_work(loop, place) : NULL;
}

/*
 * Nobody runs the loop from now on, and calls are direct. Said under the lock under which none is
 * left in the queue: no call waits for ever, and none runs beside another.
 */
static void end_running(struct loop *loop)
{
	struct loop_work *call;

	do {
		pthread_mutex_lock(&loop->lock);
		call = take_call(loop);
		if (!call) {
			loop->running = false;
			pthread_cond_signal(&loop->ended);
		}
		pthread_mutex_unlock(&loop->lock);
		if (call)
			call->run(call->opaque);
	} while (call);
}

static bool run_hooks(struct loop *loop)
{
	struct loop_hook *hook;
	bool busy = false;

	for (hook = loop->hooks; hook; hook = hook->next)
		busy |= hook->before_wait(hook->opaque);
	return busy;
}

static void run_batch(struct loop *loop, int timeout_ms)
{
	int i;

	if (run_hooks(loop))
		timeout_ms = 0;
	loop->batch_count = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, timeout_ms);
	for (i = 0; i < loop->batch_count; i++) {
		struct loop_fd *source = loop->batch[i].data.ptr;

		if (source)
			source->ready(source->opaque, loop->batch[i].events);
	}
	loop->batch_count = 0;
}

void loop_run_once(struct loop *loop, int timeout_ms)
{
	bool nested = begin_running(loop);

	/* Posted work behind the one that runs now has lost its bell: it is rung again. */
	if (nested)
		fd_event_signal(loop->bell.fd);
	run_batch(loop, timeout_ms);
	if (!nested)
		end_running(loop);
}

void loop_run(struct loop *loop)
{
	begin_running(loop);
	while (!atomic_load(&loop->stopping))
		run_batch(loop, -1);
	atomic_store(&loop->stopping, false);
	run_queued_work(loop);
	end_running(loop);
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	fd_event_signal(loop->bell.fd);
}

bool loop_is_current(const struct loop *loop)
{
	struct loop *l = (struct loop *)loop;
	bool current;

	pthread_mutex_lock(&l->lock);
	current = runs_here(l);
	pthread_mutex_unlock(&l->lock);
	return current;
}

int loop_add_fd(struct loop *loop, struct loop_fd *source)
{
	struct epoll_event event = {.events = source->events, .data.ptr = source};

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	/* epoll cannot mask hang-ups: waiting for nothing is not being there. */
	if (!source->events)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->watched = true;
	return 0;
}

/* Takes from the batch under way what @source does not wait for any more. */
static void trim_batch(struct loop *loop, struct loop_fd *source, uint32_t events)
{
	int i;

	for (i = 0; i < loop->batch_count; i++) {
		struct epoll_event *ready = &loop->batch[i];

		if (ready->data.ptr != source)
			continue;
		ready->events &= events ? events | EPOLLERR | EPOLLHUP : 0;
		if (!ready->events)
			ready->data.ptr = NULL;
	}
}

void loop_mod_fd(struct loop *loop, struct loop_fd *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	int op = EPOLL_CTL_MOD;

	if (!source->watched || source->events == events)
		return;
	if (!source->events)
		op = EPOLL_CTL_ADD;
	else if (!events)
		op = EPOLL_CTL_DEL;
	source->events = events;
	epoll_ctl(loop->epoll_fd, op, source->fd, &event);
	trim_batch(loop, source, events);
}

void loop_del_fd(struct loop *loop, struct loop_fd *source)
{
	if (!source->watched)
		return;
	source->watched = false;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	trim_batch(loop, source, 0);
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns)
{
	struct loop_timer **place = &loop->timers;

	loop_timer_cancel(loop, timer);
	if (!add_u64(loop_now_ns(), delay_ns, &timer->deadline_ns))
		timer->deadline_ns = UINT64_MAX;
	while (*place && (*place)->deadline_ns <= timer->deadline_ns)
		place = &(*place)->next;
	timer->next = *place;
	timer->armed = true;
	*place = timer;
	if (loop->timers == timer)
		timer_program(loop);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **place = &loop->timers;

	if (!timer->armed)
		return;
	while (*place != timer)
		place = &(*place)->next;
	*place = timer->next;
	timer->armed = false;
	timer_program(loop);
}

void loop_add_hook(struct loop *loop, struct loop_hook *hook)
{
	hook->next = loop->hooks;
	loop->hooks = hook;
}

void loop_del_hook(struct loop *loop, struct loop_hook *hook)
{
	struct loop_hook **place = &loop->hooks;

	while (*place && *place != hook)
		place = &(*place)->next;
	if (*place)
		*place = hook->next;
}

static void queue_work(struct loop *loop, struct loop_work *work)
{
	work->queued = true;
	work->next = NULL;
	*loop->work_tail = work;
	loop->work_tail = &work->next;
	loop->work_count++;
}

void loop_post(struct loop *loop, struct loop_work *work)
{
	bool ring = false;

	pthread_mutex_lock(&loop->lock);
	if (!work->queued) {
		queue_work(loop, work);
		ring = true;
	}
	pthread_mutex_unlock(&loop->lock);
	if (ring)
		fd_event_signal(loop->bell.fd);
}

void loop_call(struct loop *loop, void (*run)(void *opaque), void *opaque)
{
	struct loop_call call = {.run = run, .opaque = opaque};
	bool nested, direct;

	call.work.run = call_run;
	call.work.opaque = &call;
	pthread_mutex_init(&call.lock, NULL);
	pthread_cond_init(&call.ended, NULL);
	/* Queued under the lock under which the loop says that it no longer runs: none is lost. */
	pthread_mutex_lock(&loop->lock);
	nested = runs_here(loop);
	direct = nested || !loop->running;
	/* Who calls directly runs the loop meanwhile: others wait their turn, as for any callback.
	 */
	if (!direct)
		queue_work(loop, &call.work);
	else if (!nested)
		claim(loop);
	pthread_mutex_unlock(&loop->lock);
	if (direct) {
		run(opaque);
		if (!nested)
			end_running(loop);
	} else {
		fd_event_signal(loop->bell.fd);
		pthread_mutex_lock(&call.lock);
		while (!call.done)
			pthread_cond_wait(&call.ended, &call.lock);
		pthread_mutex_unlock(&call.lock);
	}
	pthread_cond_destroy(&call.ended);
	pthread_mutex_destroy(&call.lock);
}
