/*
 * The thread engine: preadv, pwritev and the like on a small pool, for hosts without io_uring.
 *
 * Requests wait in a list; a worker takes the first, does it whole, and puts it on the list of
 * ended ones. An eventfd tells the loop, where all callbacks run. Workers are started when a
 * request finds none idle, up to WORKERS_MAX, and stay until the file is closed.
 *
 * The loop's thread and the workers share what the mutex guards, and a request belongs to one of
 * them at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/thread.h"
#include "base/util.h"
#include "block/engine.h"

#define WORKERS_MAX  8u
#define WORKER_STACK KIB(128)

struct req_list {
	struct file_req *head, **tail;
};

struct threads_file {
	struct fd_file base;
	bool borrowed; /* the descriptor is somebody else's */
	struct loop_fd bell;
	pthread_t workers[WORKERS_MAX];
	unsigned worker_count;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work;
	struct req_list todo, ended;
	unsigned idle; /* workers that wait */
	unsigned todo_count;
	bool stopping;
};

static void list_init(struct req_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static void list_add(struct req_list *list, struct file_req *req)
{
	req->next = NULL;
	*list->tail = req;
	list->tail = &req->next;
}

static struct file_req *list_take(struct req_list *list)
{
	struct file_req *req = list->head;

	list->head = req->next;
	if (!list->head)
		list->tail = &list->head;
	return req;
}

static struct threads_file *threads_of(struct file *file)
{
	return container_of(file, struct threads_file, base.file);
}

static int64_t transfer(int fd, const struct file_req *req)
{
	off_t offset = (off_t)(req->offset_bytes + req->moved_bytes);
	struct engine_span span;

	engine_span_left(req, &span);
	if (req->op == FILE_READ)
		return preadv(fd, span.iov, span.count, offset);
	return pwritev(fd, span.iov, span.count, offset);
}

/* One system call for @req: bytes moved, 0, or -errno. */
static int64_t attempt(const struct file_desc *desc, const struct file_req *req)
{
	uint64_t range[2] = {req->offset_bytes, req->len_bytes};
	int64_t ret;

	switch (req->op) {
	case FILE_READ:
	case FILE_WRITE:
		ret = transfer(desc->fd, req);
		break;
	case FILE_SYNC:
		ret = fdatasync(desc->fd);
		break;
	default:
		if (req->op == FILE_DISCARD && desc->block_device)
			ret = ioctl(desc->fd, BLKDISCARD, range);
		else
			ret = fallocate(desc->fd, engine_fallocate_mode(req->op), (off_t)range[0],
					(off_t)range[1]);
		break;
	}
	return ret < 0 ? -errno : ret;
}

/* Does all of @req, waiting; leaves the result where reap finds it. */
static void perform(const struct file_desc *desc, struct file_req *req)
{
	int result;

	while (!engine_step(req, attempt(desc, req), &result))
		sched_yield();
	req->moved_bytes = (uint64_t)(int64_t)result;
}

static void *worker_main(void *opaque)
{
	struct threads_file *t = opaque;
	struct file_req *req;
	bool first;

	pthread_setname_np(pthread_self(), "disk-worker");
	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (!t->todo.head && !t->stopping) {
			t->idle++;
			pthread_cond_wait(&t->work, &t->lock);
			t->idle--;
		}
		if (!t->todo.head)
			break;
		req = list_take(&t->todo);
		t->todo_count--;
		pthread_mutex_unlock(&t->lock);
		perform(&t->base.desc, req);
		pthread_mutex_lock(&t->lock);
		first = !t->ended.head;
		list_add(&t->ended, req);
		if (first)
			fd_event_signal(t->bell.fd);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Starts one more worker; where the host refuses, those that are there go on alone. */
static void start_worker(struct threads_file *t)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	if (thread_create(&t->workers[t->worker_count], &attr, worker_main, t) == 0)
		t->worker_count++;
	pthread_attr_destroy(&attr);
}

static void threads_submit(struct file *file, struct file_req *req)
{
	struct threads_file *t = threads_of(file);
	bool short_of_workers;

	req->moved_bytes = 0;
	req->stalled = 0;
	pthread_mutex_lock(&t->lock);
	list_add(&t->todo, req);
	short_of_workers = ++t->todo_count > t->idle;
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
	if (short_of_workers && t->worker_count < WORKERS_MAX)
		start_worker(t);
	if (t->worker_count)
		return;
	/* Not even one: the request fails, and from the loop. */
	pthread_mutex_lock(&t->lock);
	req = list_take(&t->todo);
	t->todo_count--;
	req->moved_bytes = (uint64_t)(int64_t)-EAGAIN;
	list_add(&t->ended, req);
	pthread_mutex_unlock(&t->lock);
	fd_event_signal(t->bell.fd);
}

static void threads_kick(struct file *file)
{
	(void)file;
}

static void reap(void *opaque, uint32_t events)
{
	struct threads_file *t = opaque;
	struct file_req *req;

	(void)events;
	fd_event_clear(t->bell.fd);
	pthread_mutex_lock(&t->lock);
	req = t->ended.head;
	list_init(&t->ended);
	pthread_mutex_unlock(&t->lock);
	while (req) {
		struct file_req *next = req->next;

		req->done(req, (int)(int64_t)req->moved_bytes);
		req = next;
	}
}

static void threads_close(struct file *file)
{
	struct threads_file *t = threads_of(file);
	unsigned i;

	pthread_mutex_lock(&t->lock);
	t->stopping = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (i = 0; i < t->worker_count; i++)
		pthread_join(t->workers[i], NULL);
	loop_del_fd(file->loop, &t->bell);
	fd_close(&t->bell.fd);
	pthread_cond_destroy(&t->work);
	pthread_mutex_destroy(&t->lock);
	if (!t->borrowed)
		file_desc_close(&t->base.desc);
	free(t);
}

static const struct file_ops threads_ops = {
	.submit = threads_submit,
	.kick = threads_kick,
	.extent = fd_file_extent,
	.size = fd_file_size,
	.resize = fd_file_resize,
	.close = threads_close,
};

int engine_threads_borrow(const struct file_desc *desc, struct loop *loop, struct file **out)
{
	struct threads_file *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return -ENOMEM;
	t->borrowed = true;
	t->base.desc = *desc;
	t->base.file = (struct file){.ops = &threads_ops, .loop = loop, .desc = &t->base.desc};
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	list_init(&t->todo);
	list_init(&t->ended);
	t->bell = (struct loop_fd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				   .events = EPOLLIN,
				   .ready = reap,
				   .opaque = t};
	ret = t->bell.fd < 0 ? -errno : loop_add_fd(loop, &t->bell);
	if (ret < 0) {
		threads_close(&t->base.file);
		return ret;
	}
	*out = &t->base.file;
	return 0;
}

int engine_threads_new(const struct file_desc *desc, struct loop *loop, struct file **out)
{
	int ret = engine_threads_borrow(desc, loop, out);

	if (!ret)
		threads_of(*out)->borrowed = false;
	return ret;
}
