/*
 * Requests on an image, as `qemu-img bench` makes them: the same offsets, as many under way, one
 * line with the seconds it took. tests/bench/disk runs both side by side.
 *
 *   disk-io FORMAT FILE COUNT DEPTH SIZE STEP read|write|read-direct|write-direct
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/blk.h"

struct bench;

struct slot {
	struct blk_req req;
	struct iovec iov;
	struct bench *bench;
};

struct bench {
	struct blk *blk;
	enum blk_op op;
	uint64_t count, size, step, offset;
	uint64_t started, ended;
	int error;
};

static void slot_done(struct blk_req *req, int result);

/* The next request, if there is one to be made. */
static void next(struct slot *slot)
{
	struct bench *b = slot->bench;

	if (b->started == b->count)
		return;
	b->started++;
	slot->req = (struct blk_req){
		.op = b->op,
		.offset_bytes = b->offset,
		.len_bytes = b->size,
		.iov = &slot->iov,
		.iov_count = 1,
		.done = slot_done,
	};
	b->offset += b->step;
	b->offset %= b->blk->info.capacity_bytes;
	if (b->offset + b->size > b->blk->info.capacity_bytes)
		b->offset = 0;
	blk_submit(b->blk, &slot->req);
}

static void slot_done(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);

	slot->bench->ended++;
	if (result < 0)
		slot->bench->error = result;
	next(slot);
}

static int run(struct bench *b, unsigned depth)
{
	struct slot *slots = calloc(depth, sizeof(*slots));
	unsigned i;

	if (!slots)
		return -1;
	for (i = 0; i < depth; i++) {
		slots[i].bench = b;
		slots[i].iov =
			(struct iovec){aligned_alloc(4096, align_up(b->size, 4096)), b->size};
		if (!slots[i].iov.iov_base)
			return -1;
		memset(slots[i].iov.iov_base, 0x55, b->size);
	}
	for (i = 0; i < depth; i++)
		next(&slots[i]);
	while (b->ended < b->count) {
		blk_kick(b->blk);
		loop_run_once(b->blk->loop, -1);
	}
	for (i = 0; i < depth; i++)
		free(slots[i].iov.iov_base);
	free(slots);
	return b->error;
}

int main(int argc, char **argv)
{
	struct blk_options options = {0};
	struct bench b = {0};
	struct loop *loop;
	struct err e = {0};
	uint64_t start_ns, end_ns;

	if (argc != 8) {
		fprintf(stderr, "usage: disk-io FORMAT FILE COUNT DEPTH SIZE STEP WHAT\n");
		return 1;
	}
	options.format = argv[1];
	options.path = argv[2];
	b.count = strtoull(argv[3], NULL, 10);
	b.size = strtoull(argv[5], NULL, 10);
	b.step = strtoull(argv[6], NULL, 10);
	b.op = strncmp(argv[7], "write", 5) ? BLK_READ : BLK_WRITE;
	options.read_only = b.op == BLK_READ;
	options.direct = strstr(argv[7], "direct");
	if (loop_new(&loop, &e) < 0 || blk_open(&options, loop, &b.blk, &e) < 0) {
		fprintf(stderr, "disk-io: %s\n", e.text);
		return 1;
	}
	start_ns = loop_now_ns();
	if (run(&b, (unsigned)strtoul(argv[4], NULL, 10)) < 0) {
		fprintf(stderr, "disk-io: failed: %s\n", strerror(-b.error));
		return 1;
	}
	end_ns = loop_now_ns();
	blk_close(b.blk);
	loop_free(loop);
	printf("%.6f seconds\n", (double)(end_ns - start_ns) / 1e9);
	return 0;
}
