/*
 * The throttle as a filter: order, flushes, what waits for the disk to be idle, and closing. How
 * much goes when is the bucket's: tests/unit/base/test_bucket.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/throttle.h"
#include "image_case.h"

#define COUNT 64

/* A disk below that notes the order in which requests come, and does nothing. */
struct below {
	struct blk blk;
	uint64_t offsets[COUNT * 2];
	unsigned count, flushes;
	int fail_with;
	bool *closed;
};

struct case_req {
	struct blk_req req;
	struct throttle_case *owner;
	int result;
	bool done;
};

struct throttle_case {
	struct loop *loop;
	struct below *below;
	struct blk *blk;
	struct case_req reqs[COUNT];
	unsigned order[COUNT * 2], ended;
	bool closed;
};

static char data[4096];
static const struct iovec data_iov = {data, sizeof(data)};

static void below_submit(struct blk *blk, struct blk_req *req)
{
	struct below *b = container_of(blk, struct below, blk);

	if (req->op == BLK_FLUSH)
		b->flushes++;
	else
		b->offsets[b->count++] = req->offset_bytes;
	blk_complete_later(blk, req, b->fail_with);
}

static void below_close(struct blk *blk)
{
	struct below *b = container_of(blk, struct below, blk);

	*b->closed = true;
	free(b);
}

static const struct blk_ops below_ops = {.submit = below_submit, .close = below_close};

static void make(struct throttle_case *c, const struct blk_limits *limits)
{
	struct err e;

	*c = (struct throttle_case){0};
	ck_assert_int_eq(loop_new(&c->loop, &e), 0);
	c->below = calloc(1, sizeof(*c->below));
	ck_assert_ptr_nonnull(c->below);
	blk_init(&c->below->blk, &below_ops, c->loop);
	c->below->blk.info = (struct blk_info){.capacity_bytes = MIB(16), .block_bytes = 512};
	c->below->closed = &c->closed;
	ck_assert(throttle_wanted(limits));
	ck_assert_int_eq(throttle_open(&c->below->blk, limits, &c->blk, &e), 0);
}

static void finish(struct throttle_case *c)
{
	blk_close(c->blk);
	ck_assert(c->closed);
	loop_free(c->loop);
}

static void req_done(struct blk_req *req, int result)
{
	struct case_req *r = container_of(req, struct case_req, req);

	ck_assert(!r->done);
	r->done = true;
	r->result = result;
	/* A case that uses its requests again does not ask for their order. */
	if (r->owner->ended < ARRAY_SIZE(r->owner->order))
		r->owner->order[r->owner->ended] = (unsigned)(r - r->owner->reqs);
	r->owner->ended++;
}

static void submit(struct throttle_case *c, unsigned n, enum blk_op op)
{
	struct case_req *r = &c->reqs[n];
	bool moves = op == BLK_READ || op == BLK_WRITE;

	*r = (struct case_req){
		.owner = c,
		.req = {.op = op,
			.offset_bytes = op == BLK_FLUSH ? 0 : n * sizeof(data),
			.len_bytes = op == BLK_FLUSH ? 0 : sizeof(data),
			.iov = moves ? &data_iov : NULL,
			.iov_count = moves,
			.done = req_done},
	};
	blk_submit(c->blk, &r->req);
	ck_assert(!r->done);
}

START_TEST(held_back_requests_keep_their_order)
{
	static const struct blk_limits limits[] = {
		{.iops = 5000, .iops_max = 3},
		{.bps = 20000000, .bps_max = 9000},
		{.iops = 6000, .bps = 30000000, .iops_max = 8, .bps_max = 4096},
	};
	struct throttle_case c;
	unsigned n;

	make(&c, &limits[_i]);
	for (n = 0; n < COUNT; n++)
		submit(&c, n, n % 3 ? BLK_WRITE : BLK_READ);
	/* Some must wait, so that the timer is what lets them go. */
	ck_assert_uint_lt(c.below->count, COUNT);
	while (c.ended < COUNT)
		loop_run_once(c.loop, -1);
	for (n = 0; n < COUNT; n++) {
		ck_assert_uint_eq(c.below->offsets[n], n * sizeof(data));
		ck_assert_uint_eq(c.order[n], n);
		ck_assert_int_eq(c.reqs[n].result, 0);
	}
	finish(&c);
}
END_TEST

START_TEST(only_what_the_limit_allows_goes_at_once)
{
	struct throttle_case c;
	unsigned n;

	/* The next read would have to wait for more than an hour. */
	make(&c, &(struct blk_limits){.bps = 1, .bps_max = 3 * sizeof(data)});
	for (n = 0; n < COUNT; n++)
		submit(&c, n, n < 8 ? BLK_WRITE_ZEROES : BLK_READ);
	/* Zeroes are no bytes. */
	ck_assert_uint_eq(c.below->count, 8 + 3);
	finish(&c);
	ck_assert_uint_eq(c.ended, COUNT);
}
END_TEST

START_TEST(a_flush_waits_for_nobody)
{
	struct throttle_case c;
	unsigned n;

	make(&c, &(struct blk_limits){.bps = 1, .bps_max = sizeof(data)});
	for (n = 0; n < 4; n++)
		submit(&c, n, BLK_WRITE);
	submit(&c, 4, BLK_FLUSH);
	while (!c.reqs[4].done)
		loop_run_once(c.loop, -1);
	ck_assert_uint_eq(c.below->flushes, 1);
	ck_assert_uint_eq(c.below->count, 1);
	finish(&c);
}
END_TEST

START_TEST(who_waits_for_an_idle_disk_does_not_wait_for_limits)
{
	struct throttle_case c;
	unsigned n;

	make(&c, &(struct blk_limits){.iops = 1, .iops_max = 1});
	for (n = 0; n < COUNT; n++)
		submit(&c, n, BLK_WRITE);
	blk_drain(c.blk);
	ck_assert_uint_eq(c.ended, COUNT);
	for (n = 0; n < COUNT; n++)
		ck_assert_uint_eq(c.below->offsets[n], n * sizeof(data));
	/* It is paid for: nothing goes for about a minute. */
	submit(&c, 0, BLK_WRITE);
	loop_run_once(c.loop, 0);
	ck_assert_uint_eq(c.below->count, COUNT);
	finish(&c);
}
END_TEST

START_TEST(errors_and_sizes_pass_through)
{
	struct throttle_case c;
	struct err e = {0};

	make(&c, &(struct blk_limits){.iops = 1000000});
	ck_assert_uint_eq(c.blk->info.capacity_bytes, MIB(16));
	c.below->fail_with = -ENOSPC;
	c.below->blk.unstable = true;
	submit(&c, 0, BLK_WRITE);
	while (!c.reqs[0].done)
		loop_run_once(c.loop, -1);
	ck_assert_int_eq(c.reqs[0].result, -ENOSPC);
	ck_assert(c.blk->unstable);
	ck_assert_int_eq(blk_resize(c.blk, MIB(32), &e), -ENOTSUP);
	finish(&c);
}
END_TEST

TCase *throttle_case(void)
{
	TCase *c = tcase_create("throttle");

	tcase_add_loop_test(c, held_back_requests_keep_their_order, 0, 3);
	tcase_add_test(c, only_what_the_limit_allows_goes_at_once);
	tcase_add_test(c, a_flush_waits_for_nobody);
	tcase_add_test(c, who_waits_for_an_idle_disk_does_not_wait_for_limits);
	tcase_add_test(c, errors_and_sizes_pass_through);
	return c;
}
