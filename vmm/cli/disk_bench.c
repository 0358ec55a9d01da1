/*
 * sarang disk bench: how fast a disk is with so many requests at a time. As qemu-img bench, whose
 * first and last lines it prints; a write leaves zeroes where it went.
 *
 * The requests go through the same back-end as a guest's. Each slot has one under way at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

#define DEPTH_MAX 4096u
#define SIZE_MAX_ MIB(64)
#define SEED      UINT64_C(0x9e3779b97f4a7c15)

struct bench;

struct slot {
	struct bench *bench;
	struct blk_req req;
	struct iovec iov;
	bool busy;
	uint64_t started_ns;
};

struct bench {
	struct blk *blk;
	uint64_t size, step, count, flush_every;
	bool write, random;
	uint64_t started, done, next, state;
	uint64_t latency_ns, worst_ns; /* of all requests, of the slowest */
	unsigned busy;
	bool flushing;
	int result;
	struct slot *slots, flush;
	unsigned depth;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void ended(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);
	struct bench *b = slot->bench;
	uint64_t took = now_ns() - slot->started_ns;

	if (result < 0 && !b->result)
		b->result = result;
	slot->busy = false;
	b->busy--;
	if (req->op == BLK_FLUSH) {
		b->flushing = false;
		return;
	}
	b->done++;
	b->latency_ns += took;
	b->worst_ns = MAX(b->worst_ns, took);
}

/* Where the next request goes: whole steps from 0 on, or any multiple of the request's size. */
static uint64_t next_offset(struct bench *b)
{
	uint64_t capacity = b->blk->info.capacity_bytes, at = b->next;

	if (b->random) {
		/* xorshift64*: the same places in every run. */
		b->state ^= b->state >> 12;
		b->state ^= b->state << 25;
		b->state ^= b->state >> 27;
		return (b->state * UINT64_C(0x2545f4914f6cdd1d) >> 8) % (capacity / b->size) *
		       b->size;
	}
	if (at > capacity - b->size)
		at = 0;
	b->next = at + b->step;
	return at;
}

static void start(struct bench *b, struct slot *slot)
{
	slot->req = (struct blk_req){.op = b->write ? BLK_WRITE : BLK_READ,
				     .offset_bytes = next_offset(b),
				     .len_bytes = b->size,
				     .iov = &slot->iov,
				     .iov_count = 1,
				     .done = ended};
	slot->started_ns = now_ns();
	slot->busy = true;
	b->busy++;
	b->started++;
	blk_submit(b->blk, &slot->req);
}

static void start_flush(struct bench *b)
{
	b->flush.req = (struct blk_req){.op = BLK_FLUSH, .done = ended};
	b->flush.started_ns = now_ns();
	b->flushing = true;
	b->busy++;
	blk_submit(b->blk, &b->flush.req);
}

static bool goes_on(const struct bench *b)
{
	return !b->result && !disk_interrupted() && b->started < b->count;
}

static void run_all(struct bench *b)
{
	unsigned i;

	while (b->busy || goes_on(b)) {
		for (i = 0; i < b->depth && goes_on(b); i++) {
			if (b->slots[i].busy)
				continue;
			start(b, &b->slots[i]);
			if (b->flush_every && !b->flushing && b->started % b->flush_every == 0)
				start_flush(b);
		}
		blk_kick(b->blk);
		if (b->busy)
			loop_run_once(b->blk->loop, 1000);
	}
}

static int check(const struct bench *b, const struct disk_settings *s, struct err *e)
{
	uint64_t block = b->blk->info.block_bytes;

	if (!b->depth || b->depth > DEPTH_MAX)
		return err_set(e, EINVAL, "--depth is from 1 to %u", DEPTH_MAX);
	if (!b->size || b->size % block || b->size > SIZE_MAX_)
		return err_set(e, EINVAL, "--size is a multiple of %" PRIu64 ", up to 64M", block);
	if (!b->step || b->step % block)
		return err_set(e, EINVAL, "--step is a multiple of %" PRIu64, block);
	if (b->size > b->blk->info.capacity_bytes)
		return err_set(e, EINVAL, "the disk is smaller than one request");
	if (!b->count)
		return err_set(e, EINVAL, "--count is at least 1");
	if (s->flush_every && !b->write)
		return err_set(e, EINVAL, "--flush-every says nothing without --write");
	if (b->random && s->step_bytes)
		return err_set(e, EINVAL, "--step says nothing with --pattern rand");
	return 0;
}

static int make_slots(struct bench *b)
{
	unsigned i;

	b->slots = calloc(b->depth, sizeof(*b->slots));
	for (i = 0; b->slots && i < b->depth; i++) {
		b->slots[i].bench = b;
		b->slots[i].iov =
			(struct iovec){aligned_alloc(4096, align_up(b->size, 4096)), b->size};
		if (!b->slots[i].iov.iov_base)
			return -ENOMEM;
		memset(b->slots[i].iov.iov_base, 0, b->size);
	}
	b->flush.bench = b;
	return b->slots ? 0 : -ENOMEM;
}

static void show(const struct bench *b, uint64_t took_ns, bool json)
{
	double seconds = (double)took_ns / 1e9, done = (double)b->done;
	double iops = done / seconds, mean_us = (double)b->latency_ns / done / 1e3;
	json_t *o;

	if (!json) {
		printf("Run completed in %.3f seconds.\n", seconds);
		printf("%.0f requests/s, %.1f MiB/s, a request took %.1f us, the slowest %.1f us\n",
		       iops, iops * (double)b->size / (double)MIB(1), mean_us,
		       (double)b->worst_ns / 1e3);
		return;
	}
	o = json_pack("{s:s, s:I, s:I, s:i, s:f, s:f, s:f, s:f, s:f}", "operation",
		      b->write ? "write" : "read", "count", (json_int_t)b->done, "size",
		      (json_int_t)b->size, "depth", (int)b->depth, "seconds", seconds, "iops", iops,
		      "bytes-per-second", iops * (double)b->size, "mean-latency-us", mean_us,
		      "max-latency-us", (double)b->worst_ns / 1e3);
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
}

static int bench(struct bench *b, const struct disk_settings *s, struct err *e)
{
	uint64_t from;
	unsigned i;
	int ret = check(b, s, e);

	if (ret < 0)
		return ret;
	if (make_slots(b) < 0)
		ret = err_set(e, ENOMEM, "out of memory");
	if (!ret && !s->json)
		printf("Sending %" PRIu64 " %s requests, %" PRIu64
		       " bytes each, %u in parallel (%s)\n",
		       b->count, b->write ? "write" : "read", b->size, b->depth,
		       b->random ? "anywhere" : "one after the other");
	fflush(stdout);
	from = now_ns();
	if (!ret)
		run_all(b);
	if (!ret && b->result)
		ret = err_errno(e, -b->result, "a request has failed");
	else if (!ret && disk_interrupted())
		ret = err_set(e, EINTR, "interrupted");
	if (!ret)
		show(b, now_ns() - from, s->json);
	for (i = 0; b->slots && i < b->depth; i++)
		free(b->slots[i].iov.iov_base);
	free(b->slots);
	return ret;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .read_only = !settings->write,
				      .direct = settings->direct,
				      .backing_ok = settings->backing_ok};
	struct bench b = {
		.size = settings->size_bytes ? settings->size_bytes : KIB(4),
		.count = settings->count,
		.depth = settings->depth,
		.flush_every = settings->flush_every,
		.write = settings->write,
		.random = settings->pattern && !strcmp(settings->pattern, "rand"),
		.state = SEED,
	};
	struct disk disk;
	int ret;

	(void)count;
	b.step = settings->step_bytes ? settings->step_bytes : b.size;
	options.format = settings->write ? disk_write_format(operands[0], settings->format, e)
					 : disk_read_format(operands[0], settings->format, e);
	ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
	if (ret < 0)
		return ret;
	b.blk = disk.blk;
	disk_catch_signals();
	ret = bench(&b, settings, e);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_bench = {
	.name = "bench",
	.usage = "[-f FORMAT] [--write] [--depth N] [--size SIZE] [--count N] [--step SIZE] "
		 "[--pattern seq|rand] [--direct] [--flush-every N] [--json] FILE",
	.options = " format write depth size count step pattern direct flush-every json "
		   "backing-ok ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run,
};
