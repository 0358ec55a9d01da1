/*
 * The io_uring engine: see io_uring(7) and engine.h.
 *
 * One small ring a file. A request becomes an SQE at once while the ring has room and waits in a
 * list otherwise; kick hands all new SQEs over in one system call. As no more requests are in the
 * ring than it has submission entries, and it has twice as many completion entries, neither side
 * can overflow. The loop watches the ring's own descriptor: a completion costs no further system
 * call.
 *
 * A short transfer and an interrupted one (EINTR, EAGAIN) are started again for the rest, an EAGAIN
 * on a kernel worker, which may wait. When the kernel has no memory for a submission, it is
 * repeated a little later; when it refuses for good, what it has not taken fails with an I/O error,
 * as does all that follows.
 *
 * The image is not registered with the ring (IORING_REGISTER_FILES): a ring that its process leaves
 * behind, at a crash, is torn down some time later, and would hold the image's lock until then.
 *
 * Runs on the loop's thread. The ring is bound to no thread: a disk may be opened on one and used
 * on another.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "block/engine.h"

#define RING_ENTRIES 128u
#define REAP_BATCH   32u
#define EARLY_KICK   4u
#define LONG_COPY    KIB(256)
#define RETRY_NS     UINT64_C(1000000)

struct uring_file {
	struct fd_file base;
	struct io_uring ring;
	struct loop_fd ring_ready;
	unsigned queued;    /* SQEs written, not yet taken by the kernel */
	unsigned under_way; /* these and what the kernel works on */
	struct file_req *waiting_head, **waiting_tail;
	struct loop_timer retry;
	struct loop_hook before_wait;
	int broken;          /* -errno that every request fails with from now on */
	struct file *helper; /* threads, for what io_uring has no operation for */
};

static struct uring_file *uring_of(struct file *file)
{
	return container_of(file, struct uring_file, base.file);
}

static void prepare(struct io_uring_sqe *sqe, int fd, const struct file_req *req)
{
	if (req->op == FILE_SYNC)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else
		io_uring_prep_fallocate(sqe, fd, engine_fallocate_mode(req->op),
					(off_t)req->offset_bytes, (off_t)req->len_bytes);
}

/*
 * The kernel copies the iovec array while it takes the SQE, unless it must put the request off; so
 * a rest in the middle of a piece goes as a plain read or write, which needs no array.
 */
static void prepare_transfer(struct io_uring_sqe *sqe, int fd, const struct file_req *req)
{
	uint64_t offset = req->offset_bytes + req->moved_bytes;
	bool write = req->op == FILE_WRITE;
	struct engine_span span;

	engine_span_left(req, &span);
	if (span.count == 1)
		io_uring_prep_rw(write ? IORING_OP_WRITE : IORING_OP_READ, sqe, fd,
				 span.iov->iov_base, (unsigned)span.iov->iov_len, offset);
	else
		io_uring_prep_rw(write ? IORING_OP_WRITEV : IORING_OP_READV, sqe, fd, span.iov,
				 (unsigned)span.count, offset);
}

/*
 * Through the page cache the kernel copies while it takes the request. Long copies are left to its
 * workers, which do several at a time and do not hold up the loop.
 */
static bool is_long_copy(const struct uring_file *u, const struct file_req *req)
{
	return !u->base.desc.direct && (req->op == FILE_READ || req->op == FILE_WRITE) &&
	       req->len_bytes >= LONG_COPY;
}

static void enqueue(struct uring_file *u, struct file_req *req)
{
	/* There is one: fewer are under way than the ring has entries. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	if (req->op == FILE_READ || req->op == FILE_WRITE)
		prepare_transfer(sqe, u->base.desc.fd, req);
	else
		prepare(sqe, u->base.desc.fd, req);
	if (req->stalled || is_long_copy(u, req))
		sqe->flags |= IOSQE_ASYNC;
	io_uring_sqe_set_data(sqe, req);
	u->queued++;
	u->under_way++;
}

static void wait_for_room(struct uring_file *u, struct file_req *req)
{
	req->next = NULL;
	*u->waiting_tail = req;
	u->waiting_tail = &req->next;
}

static struct file_req *take_waiting(struct uring_file *u)
{
	struct file_req *req = u->waiting_head;

	if (req) {
		u->waiting_head = req->next;
		if (!u->waiting_head)
			u->waiting_tail = &u->waiting_head;
	}
	return req;
}

/* The kernel takes no more: what waits fails, outside of any submit. */
static void fail_all(struct uring_file *u)
{
	struct file_req *req = u->waiting_head;

	/* Taken whole: what a callback submits in its turn fails in the next round of the loop. */
	u->waiting_head = NULL;
	u->waiting_tail = &u->waiting_head;
	while (req) {
		struct file_req *next = req->next;

		req->done(req, u->broken);
		req = next;
	}
}

/* The kernel refuses for good: the SQEs it has not taken go back to being requests. */
static void give_up(struct uring_file *u, int error)
{
	unsigned first = *u->ring.sq.khead, i;

	log_error("disk %s: io_uring failed: %s", u->base.desc.path, strerror(-error));
	for (i = 0; i < u->queued; i++) {
		unsigned slot = u->ring.sq.array[(first + i) & u->ring.sq.ring_mask];
		void *req;

		static_assert(sizeof(req) == sizeof(u->ring.sq.sqes[slot].user_data), "64 bit");
		memcpy(&req, &u->ring.sq.sqes[slot].user_data, sizeof(req));
		wait_for_room(u, req);
	}
	u->under_way -= u->queued;
	u->queued = 0;
	u->broken = -EIO;
	loop_timer_arm(u->base.file.loop, &u->retry, 0);
}

static void uring_kick(struct file *file)
{
	struct uring_file *u = uring_of(file);
	int ret;

	while (u->queued) {
		ret = io_uring_submit(&u->ring);
		if (ret > 0) {
			u->queued -= (unsigned)ret;
		} else if (ret == 0 || ret == -EAGAIN || ret == -EBUSY) {
			loop_timer_arm(file->loop, &u->retry, RETRY_NS);
			return;
		} else if (ret != -EINTR) {
			give_up(u, ret);
			return;
		}
	}
}

/* Nothing that was submitted stays behind when the loop goes to sleep, kicked or not. */
static bool before_wait(void *opaque)
{
	struct uring_file *u = opaque;

	if (u->queued && !u->retry.armed)
		uring_kick(&u->base.file);
	return false;
}

static void retry_fired(void *opaque)
{
	struct uring_file *u = opaque;

	if (u->broken)
		fail_all(u);
	else
		uring_kick(&u->base.file);
}

static void complete(struct uring_file *u, struct file_req *req, int res)
{
	int result;

	u->under_way--;
	if (engine_step(req, res, &result)) {
		req->done(req, result);
		return;
	}
	req->stalled = res == -EAGAIN;
	wait_for_room(u, req);
}

static void ring_ready(void *opaque, uint32_t events)
{
	struct uring_file *u = opaque;
	struct io_uring_cqe *cqes[REAP_BATCH];
	struct file_req *reqs[REAP_BATCH];
	int res[REAP_BATCH];
	unsigned count, i;

	(void)events;
	while ((count = io_uring_peek_batch_cqe(&u->ring, cqes, REAP_BATCH))) {
		/* Copied, so that the ring is in order whatever the callbacks do. */
		for (i = 0; i < count; i++) {
			reqs[i] = io_uring_cqe_get_data(cqes[i]);
			res[i] = cqes[i]->res;
		}
		io_uring_cq_advance(&u->ring, count);
		for (i = 0; i < count; i++)
			complete(u, reqs[i], res[i]);
	}
	if (u->broken) {
		fail_all(u);
		return;
	}
	while (u->waiting_head && u->under_way < RING_ENTRIES)
		enqueue(u, take_waiting(u));
	uring_kick(&u->base.file);
}

static void uring_submit(struct file *file, struct file_req *req)
{
	struct uring_file *u = uring_of(file);

	req->moved_bytes = 0;
	req->stalled = 0;
	if (u->broken) {
		wait_for_room(u, req);
		loop_timer_arm(file->loop, &u->retry, 0);
	} else if (req->op == FILE_DISCARD && u->helper) {
		file_submit(u->helper, req);
	} else if (u->under_way < RING_ENTRIES && !u->waiting_head) {
		enqueue(u, req);
		if (u->queued >= EARLY_KICK)
			uring_kick(file);
	} else {
		wait_for_room(u, req);
	}
}

static void uring_close(struct file *file)
{
	struct uring_file *u = uring_of(file);

	file_close(u->helper);
	loop_del_hook(file->loop, &u->before_wait);
	loop_timer_cancel(file->loop, &u->retry);
	loop_del_fd(file->loop, &u->ring_ready);
	io_uring_queue_exit(&u->ring);
	file_desc_close(&u->base.desc);
	free(u);
}

static const struct file_ops uring_ops = {
	.submit = uring_submit,
	.kick = uring_kick,
	.extent = fd_file_extent,
	.size = fd_file_size,
	.resize = fd_file_resize,
	.close = uring_close,
};

/* A ring with what makes it cheap where the kernel has that, or a plain one. 0 or -errno. */
static int make_ring(struct io_uring *ring)
{
	struct io_uring_params params = {.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CLAMP};
	int ret = io_uring_queue_init_params(RING_ENTRIES, ring, &params);

	if (ret == -EINVAL) {
		params = (struct io_uring_params){.flags = IORING_SETUP_CLAMP};
		ret = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
	}
	if (ret < 0)
		return ret;
	/* Linux 5.7: from there on all operations used here are known to be there. */
	if (!(params.features & IORING_FEAT_FAST_POLL) || params.sq_entries < RING_ENTRIES) {
		io_uring_queue_exit(ring);
		return -ENOSYS;
	}
	return 0;
}

int engine_uring_new(const struct file_desc *desc, struct loop *loop, struct file **out)
{
	struct uring_file *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return -ENOMEM;
	ret = make_ring(&u->ring);
	if (ret < 0)
		goto out_free;
	u->base.desc = *desc;
	u->base.file = (struct file){.ops = &uring_ops, .loop = loop, .desc = &u->base.desc};
	u->waiting_tail = &u->waiting_head;
	u->retry = (struct loop_timer){.fired = retry_fired, .opaque = u};
	u->ring_ready = (struct loop_fd){.fd = u->ring.ring_fd,
					 .events = EPOLLIN,
					 .ready = ring_ready,
					 .opaque = u};
	ret = loop_add_fd(loop, &u->ring_ready);
	if (!ret && desc->block_device)
		ret = engine_threads_borrow(desc, loop, &u->helper);
	if (!ret) {
		u->before_wait = (struct loop_hook){.before_wait = before_wait, .opaque = u};
		loop_add_hook(loop, &u->before_wait);
		*out = &u->base.file;
		return 0;
	}
	loop_del_fd(loop, &u->ring_ready);
	io_uring_queue_exit(&u->ring);
out_free:
	free(u);
	return ret;
}
