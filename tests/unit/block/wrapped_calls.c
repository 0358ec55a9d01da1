/* See wrapped_calls.h. Called from engine threads too: hence the atomics. */
#include "wrapped_calls.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <sys/uio.h>

ssize_t __real_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
unsigned __real_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count);
unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params);

static atomic_uint erratic_unit, calls, changed, submit_times, submit_failures;
static atomic_int submit_error, ring_error;

void wrapped_make_erratic(uint32_t unit)
{
	atomic_store(&erratic_unit, unit);
}

unsigned wrapped_erratic_count(void)
{
	return atomic_load(&changed);
}

void wrapped_fail_submit(int error, unsigned times)
{
	atomic_store(&submit_error, error);
	atomic_store(&submit_times, times);
}

unsigned wrapped_submit_failures(void)
{
	return atomic_load(&submit_failures);
}

/* What to say in place of @ret. To have moved less than one did is as true: it is moved again. */
static int64_t distort(int64_t ret)
{
	unsigned unit = atomic_load(&erratic_unit), turn;

	if (!unit || ret <= 0)
		return ret;
	turn = atomic_fetch_add(&calls, 1) % 8;
	if (turn == 1 || turn == 5) {
		atomic_fetch_add(&changed, 1);
		return turn == 1 ? -EINTR : -EAGAIN;
	}
	if (turn % 2 == 0 && ret > unit) {
		atomic_fetch_add(&changed, 1);
		return ret >= 2 * (int64_t)unit ? ret / 2 / unit * unit : unit;
	}
	return ret;
}

static ssize_t answer(ssize_t ret)
{
	int64_t told = distort(ret);

	if (ret > 0 && told < 0) {
		errno = (int)-told;
		return -1;
	}
	return (ssize_t)told;
}

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	return answer(__real_preadv(fd, iov, count, offset));
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return answer(__real_pwritev(fd, iov, count, offset));
}

unsigned __wrap_io_uring_peek_batch_cqe(struct io_uring *ring, struct io_uring_cqe **cqes,
					unsigned count)
{
	unsigned got = __real_io_uring_peek_batch_cqe(ring, cqes, count), i;

	for (i = 0; i < got; i++)
		cqes[i]->res = (int)distort(cqes[i]->res);
	return got;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	unsigned left = atomic_load(&submit_times);

	if (!left)
		return __real_io_uring_submit(ring);
	atomic_store(&submit_times, left - 1);
	atomic_fetch_add(&submit_failures, 1);
	return atomic_load(&submit_error);
}

void wrapped_refuse_rings(int error)
{
	atomic_store(&ring_error, error);
}

int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
				      struct io_uring_params *params)
{
	int error = atomic_load(&ring_error);

	return error ? error : __real_io_uring_queue_init_params(entries, ring, params);
}
