/*
 * The one event loop: epoll for descriptors, a timerfd for timers, an eventfd for work posted from
 * other threads. A loop is run by one thread at a time; its callbacks all run there, one after the
 * other, so what only they touch needs no lock.
 *
 * Thread-safe: loop_post, loop_call, loop_stop. Everything else is called on the loop's thread, or
 * before the loop runs, or after it has ended.
 */
#ifndef SARANG_LOOP_LOOP_H
#define SARANG_LOOP_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

struct loop;

/* Makes a loop; owned by the caller, freed with loop_free. 0 or -errno. */
int loop_new(struct loop **out, struct err *e);

/* Frees a loop that does not run. Sources and timers must be gone. NULL is fine. */
void loop_free(struct loop *loop);

/* Runs callbacks until loop_stop; returns then. Work posted before the stop is still done. */
void loop_run(struct loop *loop);

/*
 * Runs what is ready now, waiting for it up to @timeout_ms (-1: for ever, 0: not at all). For
 * callers that own a private loop, such as a command-line tool waiting for one request; also from
 * inside a callback of the loop, to wait there for what other callbacks do.
 */
void loop_run_once(struct loop *loop, int timeout_ms);

/* Makes loop_run return, at once or the next time it is called. */
void loop_stop(struct loop *loop);

/* Whether the calling thread is the one inside loop_run (or loop_run_once) of @loop. */
_Bool loop_is_current(const struct loop *loop);

/* A descriptor that is watched. Embedded in its owner, which keeps it alive until loop_del_fd. */
struct loop_fd {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT ...: what is waited for; 0: nothing, not even a
			    hang-up */
	void (*ready)(void *opaque, uint32_t events);
	void *opaque;
	_Bool watched; /* the loop's own */
};

/* Starts watching @source, whose fields are filled. Returns 0 or -errno (-EPERM: a regular file).
 */
int loop_add_fd(struct loop *loop, struct loop_fd *source);

/* Waits for other @events from now on. */
void loop_mod_fd(struct loop *loop, struct loop_fd *source, uint32_t events);

/* Stops watching; the callback does not run again, also when it was ready already. Repeatable. */
void loop_del_fd(struct loop *loop, struct loop_fd *source);

/* A one-shot timer. Embedded in its owner; @fired and @opaque are set before it is armed. */
struct loop_timer {
	void (*fired)(void *opaque);
	void *opaque;
	uint64_t deadline_ns;    /* the loop's own, as are the rest */
	struct loop_timer *next; /* in the order of deadlines */
	_Bool armed;
};

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now_ns(void);

/* Fires @timer once, @delay_ns from now; one that is armed already is moved. */
void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns);

/* Disarms; repeatable. */
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/*
 * A piece of work run once on the loop's thread. Embedded in its owner, which keeps it alive until
 * it has run. Posting one that is waiting already changes nothing: it runs once. Never fails.
 */
struct loop_work {
	void (*run)(void *opaque);
	void *opaque;
	struct loop_work *next; /* the loop's own */
	_Bool queued;
};

/* Work posted by work waits for the next round, after the descriptors and timers that are ready. */
void loop_post(struct loop *loop, struct loop_work *work);

/*
 * A call made each time before the loop waits: for what the callbacks of a round have gathered and
 * is cheaper done once (publishing completions, submitting a batch), and for a short look at
 * something no descriptor tells about. It returns true when the loop must not sleep now but come
 * round again, which it does after the descriptors that are ready; whoever returns true for long
 * burns a processor. Embedded in its owner, which keeps it alive until loop_del_hook.
 */
struct loop_hook {
	_Bool (*before_wait)(void *opaque);
	void *opaque;
	struct loop_hook *next; /* the loop's own */
};

/* On the loop's thread, not from inside a hook. Removing one that was never added is fine. */
void loop_add_hook(struct loop *loop, struct loop_hook *hook);
void loop_del_hook(struct loop *loop, struct loop_hook *hook);

/*
 * Runs @run(@opaque) on the loop's thread and returns when it has ended. On that thread, or where
 * no thread runs the loop, it is called directly, and loop_run or the next call waits for it. The
 * caller holds no lock that @run takes.
 */
void loop_call(struct loop *loop, void (*run)(void *opaque), void *opaque);

/* A thread that runs a loop of its own: what a device with its own data path has. */
struct loop_thread;

/* Starts it under @name (at most 15 characters count). *@out is ended with loop_thread_free. */
int loop_thread_new(struct loop_thread **out, const char *name, struct err *e);

/* Its loop; on no other thread than that one is anything but the thread-safe calls allowed. */
struct loop *loop_thread_loop(struct loop_thread *thread);

/* Stops the loop, joins the thread, frees both. NULL is fine. */
void loop_thread_free(struct loop_thread *thread);

#endif
