/* A block back-end in memory for tests: see fake_blk.h. */
#include "fake_blk.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static void perform(struct fake_blk *f, const struct blk_req *req)
{
	uint8_t *at = f->bytes + req->offset_bytes;
	int i;

	if (req->op == BLK_WRITE_ZEROES || req->op == BLK_DISCARD)
		memset(at, 0, req->len_bytes);
	for (i = 0; i < req->iov_count && (req->op == BLK_READ || req->op == BLK_WRITE); i++) {
		void *piece = req->iov[i].iov_base;

		if (req->op == BLK_READ)
			memcpy(piece, at, req->iov[i].iov_len);
		else
			memcpy(at, piece, req->iov[i].iov_len);
		at += req->iov[i].iov_len;
	}
}

void fake_blk_complete(struct fake_blk *f, unsigned index, int result)
{
	struct blk_req *req = f->held[index];

	f->held_count--;
	memmove(&f->held[index], &f->held[index + 1], (f->held_count - index) * sizeof(f->held[0]));
	if (!result)
		perform(f, req);
	blk_complete(&f->blk, req, result);
}

static void late_fired(void *opaque)
{
	struct fake_blk *f = opaque;

	while (f->held_count)
		fake_blk_complete(f, f->held_count - 1, f->fail_with);
}

static void fake_submit(struct blk *blk, struct blk_req *req)
{
	struct fake_blk *f = container_of(blk, struct fake_blk, blk);

	f->log[f->log_count++ % FAKE_LOG_MAX] = (struct fake_record){
		.op = req->op,
		.flags = req->flags,
		.offset_bytes = req->offset_bytes,
		.len_bytes = req->len_bytes,
	};
	if (f->mode == FAKE_AT_ONCE) {
		if (!f->fail_with)
			perform(f, req);
		blk_complete_later(blk, req, f->fail_with);
		return;
	}
	if (f->held_count == FAKE_HELD_MAX)
		abort();
	f->held[f->held_count++] = req;
	if (f->mode == FAKE_LATE && !f->late.armed)
		loop_timer_arm(blk->loop, &f->late, 100000);
}

static void fake_kick(struct blk *blk)
{
	container_of(blk, struct fake_blk, blk)->kicks++;
}

static void fake_close(struct blk *blk)
{
	struct fake_blk *f = container_of(blk, struct fake_blk, blk);

	loop_timer_cancel(blk->loop, &f->late);
	if (f->closed)
		*f->closed = true;
	free(f->bytes);
	free(f);
}

static const struct blk_ops fake_ops = {
	.submit = fake_submit,
	.kick = fake_kick,
	.close = fake_close,
};

struct fake_blk *fake_blk_new(struct loop *loop, uint64_t capacity, uint32_t block_bytes)
{
	struct fake_blk *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	blk_init(&f->blk, &fake_ops, loop);
	f->bytes = calloc(1, capacity);
	f->late = (struct loop_timer){.fired = late_fired, .opaque = f};
	f->blk.info = (struct blk_info){
		.capacity_bytes = capacity,
		.block_bytes = block_bytes,
		.physical_bytes = 4096,
		.align_bytes = 1,
		.discard_bytes = 4096,
		.format = "fake",
	};
	return f;
}
