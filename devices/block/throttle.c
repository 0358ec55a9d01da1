/*
 * The throttle: see throttle.h. Runs on the thread of the loop that the disk below is attached to.
 */
#include "block/throttle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bucket.h"
#include "base/util.h"

/* Without a burst of the user's: what goes in a tenth of a second, as QEMU has it. */
#define BURST_PART 10

/* A request on its way below. */
struct passed {
	struct blk_req req;
	struct blk_req *from;
	struct throttle *throttle;
	struct passed *next; /* in the list of unused ones */
};

struct throttle {
	struct blk blk;
	struct blk *below;
	struct bucket ops, bytes;
	struct blk_req *first, **end; /* held back, in order */
	struct loop_timer timer;
	struct passed *unused;
};

static struct throttle *throttle_of(struct blk *blk)
{
	return container_of(blk, struct throttle, blk);
}

static uint64_t bytes_of(const struct blk_req *req)
{
	return req->op == BLK_READ || req->op == BLK_WRITE ? req->len_bytes : 0;
}

static void ended(struct blk_req *req, int result)
{
	struct passed *p = container_of(req, struct passed, req);
	struct throttle *t = p->throttle;
	struct blk_req *from = p->from;

	p->next = t->unused;
	t->unused = p;
	t->blk.unstable = t->below->unstable;
	blk_complete(&t->blk, from, result);
}

static void pass(struct throttle *t, struct blk_req *req)
{
	struct passed *p = t->unused;

	if (p)
		t->unused = p->next;
	else
		p = malloc(sizeof(*p));
	if (!p) {
		blk_complete_later(&t->blk, req, -ENOMEM);
		return;
	}
	p->throttle = t;
	p->from = req;
	p->req = (struct blk_req){
		.op = req->op,
		.flags = req->flags,
		.offset_bytes = req->offset_bytes,
		.len_bytes = req->len_bytes,
		.iov = req->iov,
		.iov_count = req->iov_count,
		.done = ended,
	};
	blk_submit(t->below, &p->req);
}

static void charge(struct throttle *t, const struct blk_req *req, uint64_t now_ns)
{
	bucket_take(&t->ops, now_ns, 1);
	bucket_take(&t->bytes, now_ns, bytes_of(req));
}

static uint64_t wait_of(struct throttle *t, const struct blk_req *req, uint64_t now_ns)
{
	uint64_t ops_ns = bucket_wait(&t->ops, now_ns, 1);
	uint64_t bytes_ns = bucket_wait(&t->bytes, now_ns, bytes_of(req));

	return MAX(ops_ns, bytes_ns);
}

/* Passes on what is held back: all of it where @forced, else what may go by now. */
static void release(struct throttle *t, bool forced)
{
	uint64_t now_ns = loop_now_ns();

	while (t->first) {
		struct blk_req *req = t->first;
		uint64_t wait_ns = forced ? 0 : wait_of(t, req, now_ns);

		if (wait_ns) {
			loop_timer_arm(t->blk.loop, &t->timer, wait_ns);
			return;
		}
		t->first = req->next;
		if (!t->first)
			t->end = &t->first;
		charge(t, req, now_ns);
		pass(t, req);
	}
}

static void timer_fired(void *opaque)
{
	struct throttle *t = opaque;

	release(t, false);
	blk_kick(t->below);
}

static void throttle_submit(struct blk *blk, struct blk_req *req)
{
	struct throttle *t = throttle_of(blk);

	if (req->op == BLK_FLUSH) {
		pass(t, req);
		return;
	}
	req->next = NULL;
	*t->end = req;
	t->end = &req->next;
	/* Behind others it waits for the timer as they do. */
	if (t->first == req)
		release(t, false);
}

static void throttle_kick(struct blk *blk)
{
	blk_kick(throttle_of(blk)->below);
}

static void throttle_hurry(struct blk *blk)
{
	struct throttle *t = throttle_of(blk);

	loop_timer_cancel(blk->loop, &t->timer);
	release(t, true);
}

static int throttle_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
			   enum blk_extent_kind *kind)
{
	return blk_extent(throttle_of(blk)->below, offset_bytes, len_bytes, kind);
}

static int throttle_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e)
{
	struct throttle *t = throttle_of(blk);
	int ret = blk_resize(t->below, capacity_bytes, e);

	blk->info.capacity_bytes = t->below->info.capacity_bytes;
	return ret;
}

static void throttle_close(struct blk *blk)
{
	struct throttle *t = throttle_of(blk);

	loop_timer_cancel(blk->loop, &t->timer);
	blk_close(t->below);
	while (t->unused) {
		struct passed *p = t->unused;

		t->unused = p->next;
		free(p);
	}
	free(t);
}

static const struct blk_ops throttle_ops = {
	.submit = throttle_submit,
	.kick = throttle_kick,
	.hurry = throttle_hurry,
	.extent = throttle_extent,
	.resize = throttle_resize,
	.close = throttle_close,
};

bool throttle_wanted(const struct blk_limits *limits)
{
	return limits->iops || limits->bps;
}

static uint64_t burst_of(uint64_t rate, uint64_t max)
{
	return max ? max : MAX(rate / BURST_PART, UINT64_C(1));
}

int throttle_open(struct blk *below, const struct blk_limits *limits, struct blk **out,
		  struct err *e)
{
	struct throttle *t = calloc(1, sizeof(*t));
	uint64_t now_ns = loop_now_ns();

	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	blk_init(&t->blk, &throttle_ops, below->loop);
	t->blk.info = below->info;
	t->below = below;
	t->end = &t->first;
	t->timer = (struct loop_timer){.fired = timer_fired, .opaque = t};
	bucket_init(&t->ops, limits->iops, burst_of(limits->iops, limits->iops_max), now_ns);
	bucket_init(&t->bytes, limits->bps, burst_of(limits->bps, limits->bps_max), now_ns);
	*out = &t->blk;
	return 0;
}
