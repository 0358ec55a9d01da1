/* The contract of blk.h: what is refused, when completions come, what drain and close wait for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image_case.h"

#define IMAGE_BYTES MIB(1)

static int transfer(struct image_case *c, enum blk_op op, uint64_t offset, uint64_t len,
		    struct iovec iov)
{
	struct image_req r = {.req = {.op = op,
				      .offset_bytes = offset,
				      .len_bytes = len,
				      .iov = &iov,
				      .iov_count = 1}};

	image_submit(c, &r);
	blk_drain(c->blk);
	ck_assert_uint_eq(r.completions, 1);
	return r.result;
}

START_TEST(cve_2017_5931_ranges_that_overflow_are_refused)
{
	static const uint64_t offsets[] = {
		IMAGE_BYTES, IMAGE_BYTES - 512,      UINT64_MAX - 511, UINT64_MAX - 1023, 1,
		513,         (uint64_t)INT64_MAX + 1};
	static const enum blk_op ops[] = {BLK_READ, BLK_WRITE, BLK_DISCARD, BLK_WRITE_ZEROES};
	unsigned char buf[1024];
	struct image_case c;
	size_t i, k;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		for (k = 0; k < ARRAY_SIZE(ops); k++)
			ck_assert_int_eq(transfer(&c, ops[k], offsets[i], sizeof(buf),
						  (struct iovec){buf, sizeof(buf)}),
					 -EINVAL);
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 512, UINT64_MAX - 511), -EINVAL);
	ck_assert_int_eq(image_do(&c, BLK_DISCARD, 0, 511), -EINVAL);
	/* Nothing of all that may have reached the file. */
	ck_assert_uint_eq(c.record.count, 0);
	image_free(&c);
}
END_TEST

START_TEST(length_and_buffers_must_agree)
{
	unsigned char buf[2048];
	struct image_case c;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(transfer(&c, BLK_READ, 0, 1024, (struct iovec){buf, 512}), -EINVAL);
	ck_assert_int_eq(transfer(&c, BLK_WRITE, 0, 1024, (struct iovec){buf, 2048}), -EINVAL);
	ck_assert_int_eq(transfer(&c, BLK_READ, 0, 1024, (struct iovec){buf, 1024}), 0);
	ck_assert_int_eq(image_do(&c, BLK_READ, 0, 0), 0);
	image_free(&c);
}
END_TEST

START_TEST(a_read_only_disk_is_not_written)
{
	static const enum blk_op ops[] = {BLK_WRITE, BLK_DISCARD, BLK_WRITE_ZEROES};
	unsigned char buf[512] = {1};
	struct image_case c;
	struct err e;
	size_t i;

	image_make(&c, IMAGE_BYTES);
	ck_assert_int_eq(blk_open(&(struct blk_options){.path = c.path, .read_only = true}, c.loop,
				  &c.blk, &e),
			 0);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		ck_assert_int_eq(transfer(&c, ops[i], 0, 512, (struct iovec){buf, 512}), -EROFS);
	ck_assert_int_eq(blk_flush(c.blk), 0);
	ck_assert_int_eq(blk_pread(c.blk, 0, buf, 512), 0);
	ck_assert_uint_eq(buf[0], 0);
	ck_assert_int_eq(c.blk->ops->resize(c.blk, MIB(2), &e), -EROFS);
	image_free(&c);
}
END_TEST

#define MANY 600

/* More than the ring or the pool takes at once. image_submit checks that none ends inside submit.
 */
static struct image_req *submit_many(struct image_case *c, unsigned char *buf, struct iovec *iov)
{
	struct image_req *reqs = calloc(MANY, sizeof(*reqs));
	size_t i;

	ck_assert_ptr_nonnull(reqs);
	for (i = 0; i < MANY; i++) {
		iov[i] = (struct iovec){buf + 512 * i, 512};
		reqs[i].req = (struct blk_req){.op = BLK_WRITE,
					       .offset_bytes = 512 * i,
					       .len_bytes = 512,
					       .iov = &iov[i],
					       .iov_count = 1};
		image_submit(c, &reqs[i]);
	}
	return reqs;
}

START_TEST(drain_waits_for_all_that_is_under_way)
{
	static unsigned char buf[512 * MANY], back[512 * MANY];
	static struct iovec iov[MANY];
	struct image_req *reqs;
	struct image_case c;
	size_t i;

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i / 512 + 1);
	reqs = submit_many(&c, buf, iov);
	ck_assert_uint_eq(c.blk->in_flight, MANY);
	ck_assert_uint_eq(c.completions, 0);
	blk_drain(c.blk);
	ck_assert_uint_eq(c.blk->in_flight, 0);
	for (i = 0; i < MANY; i++) {
		ck_assert_uint_eq(reqs[i].completions, 1);
		ck_assert_int_eq(reqs[i].result, 0);
	}
	ck_assert_int_eq(blk_pread(c.blk, 0, back, sizeof(back)), 0);
	ck_assert_mem_eq(back, buf, sizeof(buf));
	free(reqs);
	image_free(&c);
}
END_TEST

/* CVE-2026-45782: a completion that arrives after its disk was freed. Close waits, late ones too.
 */
START_TEST(cve_2026_45782_close_waits_for_completions)
{
	struct fault late = {.op = FILE_WRITE,
			     .nth = 3,
			     .times = MANY / 2,
			     .kind = FAULT_DELAY,
			     .amount = 5000000};
	static unsigned char buf[512 * MANY];
	static struct iovec iov[MANY];
	struct image_req *reqs;
	struct image_case c;
	size_t i;

	image_make(&c, IMAGE_BYTES);
	c.plan = (struct file_faults){&late, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	reqs = submit_many(&c, buf, iov);
	image_close(&c);
	ck_assert_uint_eq(c.completions, MANY);
	for (i = 0; i < MANY; i++)
		ck_assert_uint_eq(reqs[i].completions, 1);
	/* Nothing is left that would still fire. */
	loop_run_once(c.loop, 0);
	ck_assert_uint_eq(c.completions, MANY);
	free(reqs);
	image_free(&c);
}
END_TEST

/* A caller may submit from its own completion, for as long as it likes. */
struct chain {
	struct blk_req req;
	struct image_case *c;
	struct iovec iov;
	unsigned left;
};

static void chain_done(struct blk_req *req, int result)
{
	struct chain *chain = container_of(req, struct chain, req);

	ck_assert_int_eq(result, 0);
	if (!--chain->left)
		return;
	req->offset_bytes += 512;
	blk_submit(chain->c->blk, req);
}

START_TEST(nothing_needs_a_kick_to_get_done)
{
	unsigned char buf[512];
	struct image_case c;
	struct chain chain = {.c = &c, .iov = {buf, 512}, .left = 50};

	image_make(&c, IMAGE_BYTES);
	ck_assert(image_open(&c, (enum image_way)_i));
	chain.req = (struct blk_req){.op = BLK_READ,
				     .len_bytes = 512,
				     .iov = &chain.iov,
				     .iov_count = 1,
				     .done = chain_done};
	blk_submit(c.blk, &chain.req);
	while (chain.left)
		loop_run_once(c.loop, -1);
	ck_assert_uint_eq(c.blk->in_flight, 0);
	image_free(&c);
}
END_TEST

TCase *requests_case(void)
{
	TCase *tc = tcase_create("requests");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, cve_2017_5931_ranges_that_overflow_are_refused, 0, 2);
	tcase_add_loop_test(tc, length_and_buffers_must_agree, 0, 2);
	tcase_add_test(tc, a_read_only_disk_is_not_written);
	tcase_add_loop_test(tc, drain_waits_for_all_that_is_under_way, 0, 2);
	tcase_add_loop_test(tc, cve_2026_45782_close_waits_for_completions, 0, 2);
	tcase_add_loop_test(tc, nothing_needs_a_kick_to_get_done, 0, 2);
	return tc;
}
