/* A host that fails: what the guest gets to hear, and what is in the file afterwards. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "image_case.h"
#include "wrapped_calls.h"

#define IMAGE_BYTES MIB(1)

START_TEST(the_nth_operation_fails_and_only_that)
{
	static const int errors[] = {-EIO, -ENOSPC, -EDQUOT, -ENOMEM};
	unsigned char buf[512] = {3};
	struct fault fault;
	struct image_case c;
	size_t e;
	unsigned i;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&fault, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		fault = (struct fault){.op = FILE_WRITE, .nth = 3, .times = 1, .error = errors[e]};
		for (i = 1; i <= 5; i++)
			ck_assert_int_eq(blk_pwrite(c.blk, 512 * i, buf, 512),
					 i == 3 ? errors[e] : 0);
		fault = (struct fault){.op = FILE_READ, .nth = 2, .times = 2, .error = errors[e]};
		for (i = 1; i <= 5; i++)
			ck_assert_int_eq(blk_pread(c.blk, 0, buf, 512),
					 i == 2 || i == 3 ? errors[e] : 0);
		buf[0] = 3;
	}
	ck_assert_uint_eq(c.blk->in_flight, 0);
	image_free(&c);
}
END_TEST

/* Each step of a request that takes several may be the one that fails; it completes once, and no
 * more steps follow. */
START_TEST(a_bounced_request_fails_at_any_step)
{
	static unsigned char buf[MIB(1) + 1];
	struct fault fault;
	struct image_case c;
	unsigned nth;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&fault, 1};
	if (!image_open(&c, (enum image_way)_i)) {
		image_free(&c);
		return;
	}
	for (nth = 1; nth <= 4; nth++) {
		fault = (struct fault){.op = FILE_WRITE, .nth = nth, .times = 1, .error = -ENOSPC};
		ck_assert_int_eq(blk_pwrite(c.blk, 0, buf + 1, MIB(1)), -ENOSPC);
		ck_assert_uint_eq(fault.seen, nth);
		fault = (struct fault){.op = FILE_READ, .nth = nth, .times = 1, .error = -EIO};
		ck_assert_int_eq(blk_pread(c.blk, 0, buf + 1, MIB(1)), -EIO);
		ck_assert_uint_eq(fault.seen, nth);
	}
	image_free(&c);
}
END_TEST

START_TEST(a_torn_write_is_an_error_and_leaves_its_beginning)
{
	struct fault torn = {.op = FILE_WRITE,
			     .nth = 1,
			     .times = 1,
			     .kind = FAULT_TORN,
			     .amount = 1024,
			     .error = -EIO};
	unsigned char buf[4096], back[4096], zero[4096] = {0};
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&torn, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	memset(buf, 7, sizeof(buf));
	ck_assert_int_eq(blk_pwrite(c.blk, 8192, buf, sizeof(buf)), -EIO);
	ck_assert_int_eq(blk_pread(c.blk, 8192, back, sizeof(back)), 0);
	ck_assert_mem_eq(back, buf, 1024);
	ck_assert_mem_eq(back + 1024, zero, sizeof(back) - 1024);
	image_free(&c);
}
END_TEST

/* Linux forgets which pages it could not write: a later fdatasync succeeds without them. */
START_TEST(after_a_failed_flush_none_succeeds)
{
	struct fault fault = {.op = FILE_SYNC, .nth = 2, .times = 1, .error = -EIO};
	unsigned char buf[512] = {1};
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&fault, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(blk_flush(c.blk), 0);
	ck_assert_int_eq(blk_flush(c.blk), -EIO);
	ck_assert_int_eq(blk_flush(c.blk), -EIO);
	ck_assert_int_eq(image_do(&c, BLK_FLUSH, 0, 0), -EIO);
	/* Data still moves: it is for the guest to decide what it does without flushes. */
	ck_assert_int_eq(blk_pwrite(c.blk, 0, buf, 512), 0);
	image_free(&c);
}
END_TEST

START_TEST(a_discard_the_host_cannot_do_succeeds)
{
	struct fault fault = {.op = FILE_DISCARD, .nth = 1, .times = 9, .error = -EINVAL};
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&fault, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	/* This range it will not: others may do. */
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 4096), 0);
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 4096), 0);
	ck_assert_uint_eq(fault.seen, 2);
	/* None at all: it is not asked again. */
	fault.error = -EOPNOTSUPP;
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 4096), 0);
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 4096), 0);
	ck_assert_uint_eq(fault.seen, 3);
	image_free(&c);
}
END_TEST

START_TEST(a_discard_that_fails_on_the_medium_is_an_error)
{
	struct fault fault = {.op = FILE_DISCARD, .nth = 1, .times = 1, .error = -EIO};
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&fault, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 4096), -EIO);
	image_free(&c);
}
END_TEST

START_TEST(a_file_cut_short_behind_our_back_is_an_io_error)
{
	unsigned char buf[8192];
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(truncate(c.path, 4096), 0);
	ck_assert_int_eq(blk_pread(c.blk, 0, buf, 4096), 0);
	/* The first half is there: a short read, resumed, finds the end. */
	ck_assert_int_eq(blk_pread(c.blk, 0, buf, 8192), -EIO);
	ck_assert_int_eq(blk_pread(c.blk, 65536, buf, 512), -EIO);
	image_free(&c);
}
END_TEST

/* The kernel's own short write: up to the limit of file sizes, and then the error. */
START_TEST(a_short_write_is_resumed_until_the_real_error)
{
	struct rlimit limit = {KIB(32), KIB(32)};
	static unsigned char buf[KIB(32)], back[KIB(32)];
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	memset(buf, 6, sizeof(buf));
	ck_assert_int_eq(blk_pwrite(c.blk, KIB(16), buf, sizeof(buf)), -EFBIG);
	ck_assert_int_eq(blk_pread(c.blk, KIB(16), back, sizeof(back)), 0);
	ck_assert_mem_eq(back, buf, KIB(16));
	ck_assert_uint_eq(back[KIB(16)], 0);
	image_free(&c);
}
END_TEST

START_TEST(a_submission_the_kernel_puts_off_is_repeated)
{
	unsigned char buf[512] = {4}, back[512];
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, IMAGE_URING));
	wrapped_fail_submit(-EAGAIN, 2);
	ck_assert_int_eq(blk_pwrite(c.blk, 0, buf, 512), 0);
	wrapped_fail_submit(-EBUSY, 1);
	ck_assert_int_eq(blk_pread(c.blk, 0, back, 512), 0);
	wrapped_fail_submit(-EINTR, 3);
	ck_assert_int_eq(blk_flush(c.blk), 0);
	ck_assert_uint_eq(wrapped_submit_failures(), 6);
	ck_assert_mem_eq(buf, back, 512);
	image_free(&c);
}
END_TEST

#define SOME 200

static void submit_some(struct image_case *c, struct image_req *reqs)
{
	static unsigned char buf[512 * SOME];
	static struct iovec iov[SOME];
	unsigned i;

	for (i = 0; i < SOME; i++) {
		iov[i] = (struct iovec){buf + 512 * i, 512};
		reqs[i].req = (struct blk_req){.op = BLK_WRITE,
					       .offset_bytes = 512 * i,
					       .len_bytes = 512,
					       .iov = &iov[i],
					       .iov_count = 1};
		image_submit(c, &reqs[i]);
	}
	blk_drain(c->blk);
}

START_TEST(more_than_the_ring_holds_waits_while_the_kernel_takes_none)
{
	static struct image_req reqs[SOME];
	struct image_case c;
	unsigned i;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, IMAGE_URING));
	wrapped_fail_submit(-EAGAIN, SOME + 3);
	submit_some(&c, reqs);
	ck_assert_uint_eq(wrapped_submit_failures(), SOME + 3);
	for (i = 0; i < SOME; i++) {
		ck_assert_uint_eq(reqs[i].completions, 1);
		ck_assert_int_eq(reqs[i].result, 0);
	}
	image_free(&c);
}
END_TEST

START_TEST(a_ring_that_breaks_fails_everything_and_hangs_nothing)
{
	static struct image_req reqs[SOME];
	unsigned char buf[512];
	struct image_case c;
	unsigned i;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, IMAGE_URING));
	wrapped_fail_submit(-EPERM, 1);
	submit_some(&c, reqs);
	ck_assert_uint_eq(wrapped_submit_failures(), 1);
	for (i = 0; i < SOME; i++) {
		ck_assert_uint_eq(reqs[i].completions, 1);
		ck_assert_int_eq(reqs[i].result, -EIO);
	}
	ck_assert_int_eq(blk_pread(c.blk, 0, buf, 512), -EIO);
	ck_assert_int_eq(blk_flush(c.blk), -EIO);
	image_free(&c);
}
END_TEST

static void resubmit(struct blk_req *req, int result)
{
	struct image_req *r = container_of(req, struct image_req, req);

	ck_assert_int_eq(result, -EIO);
	r->completions++;
	if (r->completions < 1000)
		blk_submit(r->owner->blk, req);
}

/* Who tries again at every error gets the loop back in between. */
START_TEST(retries_on_a_broken_ring_do_not_hold_the_loop)
{
	struct image_case c;
	unsigned char buf[512];
	struct iovec iov = {buf, sizeof(buf)};
	struct image_req r = {.owner = &c};

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, IMAGE_URING));
	r.req = (struct blk_req){
		.op = BLK_READ, .len_bytes = 512, .iov = &iov, .iov_count = 1, .done = resubmit};
	wrapped_fail_submit(-EPERM, 1);
	blk_submit(c.blk, &r.req);
	blk_kick(c.blk);
	while (!r.completions)
		loop_run_once(c.loop, -1);
	ck_assert_uint_lt(r.completions, 1000);
	blk_drain(c.blk);
	ck_assert_uint_eq(r.completions, 1000);
	image_free(&c);
}
END_TEST

TCase *faults_case(void)
{
	TCase *tc = tcase_create("faults");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_nth_operation_fails_and_only_that, 0, 2);
	tcase_add_loop_test(tc, a_bounced_request_fails_at_any_step, IMAGE_URING_DIRECT,
			    IMAGE_WAYS);
	tcase_add_loop_test(tc, a_torn_write_is_an_error_and_leaves_its_beginning, 0, 2);
	tcase_add_loop_test(tc, after_a_failed_flush_none_succeeds, 0, 2);
	tcase_add_loop_test(tc, a_discard_the_host_cannot_do_succeeds, 0, 2);
	tcase_add_loop_test(tc, a_discard_that_fails_on_the_medium_is_an_error, 0, 2);
	tcase_add_loop_test(tc, a_file_cut_short_behind_our_back_is_an_io_error, 0, 2);
	tcase_add_loop_test(tc, a_short_write_is_resumed_until_the_real_error, 0, 2);
	tcase_add_test(tc, a_submission_the_kernel_puts_off_is_repeated);
	tcase_add_test(tc, more_than_the_ring_holds_waits_while_the_kernel_takes_none);
	tcase_add_test(tc, a_ring_that_breaks_fails_everything_and_hangs_nothing);
	tcase_add_test(tc, retries_on_a_broken_ring_do_not_hold_the_loop);
	return tc;
}
