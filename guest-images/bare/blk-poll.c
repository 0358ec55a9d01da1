/*
 * blk-poll: drives a virtio-blk device by polling its used ring, from CPL 3.
 *
 * No interrupt, no HLT, and while requests are under way no instruction that leaves the guest but
 * the doorbell: what is measured is the VMM's I/O path. On the command line:
 *
 *   blk=ADDRESS    the device's virtio-mmio registers; default: the first block device found
 *   span=BYTES     use only so much of the disk; default: all of it (verify: at most 16 MiB)
 *   depth=N        requests under way at once, 1 to 32; default 1 (verify: 8)
 *   mode=verify    (default) writes patterns, flushes, reads back, compares
 *   mode=bench     op=read|write pattern=rand|seq size=BYTES, for seconds=N (default 1) or count=N
 * requests tsc_khz=N      the rate of the time stamp counter, where the machine does not tell
 *
 * bench prints one line of NAME=VALUE. ns counts from the first submission to the last completion;
 * max_ns is the longest single request.
 */
#include "common/blk.h"

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t span_of(const struct blk *b, uint64_t size, uint64_t limit)
{
	uint64_t most = b->capacity_bytes < limit ? b->capacity_bytes : limit;
	uint64_t span = option_u64("span", most);

	if (span > b->capacity_bytes)
		panic("span=%lu is more than the disk's %lu bytes", span, b->capacity_bytes);
	span -= span % size;
	if (!span)
		panic("the disk (or span=) is smaller than one request of %lu bytes", size);
	return span;
}

/* verify: every 8 bytes of the disk get a value that says where they belong and in which pass. */
enum { VERIFY_BYTES = 16384, VERIFY_DEPTH = 8 };

static uint64_t expected(uint64_t offset, uint64_t pass)
{
	return (offset + 1) * 0x9e3779b97f4a7c15ull ^ pass << 56;
}

static void fill(struct blk_slot *slot, uint64_t pass)
{
	uint64_t *words = (uint64_t *)slot->buffer;

	for (uint64_t i = 0; i < slot->len_bytes / 8; i++)
		words[i] = expected(slot->offset_bytes + i * 8, pass);
}

static void check(const struct blk_slot *slot, uint64_t pass)
{
	const uint64_t *words = (const uint64_t *)slot->buffer;

	for (uint64_t i = 0; i < slot->len_bytes / 8; i++) {
		uint64_t offset = slot->offset_bytes + i * 8;

		if (words[i] != expected(offset, pass))
			panic("offset %lu of the disk holds %lx instead of %lx", offset, words[i],
			      expected(offset, pass));
	}
}

/* Writes, or reads and checks, the whole span once. */
static void sweep(struct blk *b, enum blk_op op, uint64_t span, uint64_t pass)
{
	uint64_t next = 0, done = 0;

	while (done < span) {
		struct blk_slot *slot;

		while (next < span && (slot = blk_free_slot(b))) {
			slot->op = op;
			slot->offset_bytes = next;
			slot->len_bytes = VERIFY_BYTES;
			if (op == BLK_WRITE)
				fill(slot, pass);
			else
				memset(slot->buffer, 0xa5, VERIFY_BYTES);
			next += VERIFY_BYTES;
			blk_submit(b, slot);
		}
		virtio_kick(&b->virtio);
		slot = blk_wait(b);
		if (op == BLK_READ)
			check(slot, pass);
		done += slot->len_bytes;
	}
}

static void flush(struct blk *b)
{
	struct blk_slot *slot = blk_free_slot(b);

	if (!virtio_has(&b->virtio, VIRTIO_BLK_F_FLUSH))
		return;
	*slot = (struct blk_slot){.op = BLK_FLUSH, .buffer = slot->buffer};
	blk_submit(b, slot);
	virtio_kick(&b->virtio);
	blk_wait(b);
}

static void verify(const struct start_info *start)
{
	enum { PASSES = 2, SPAN_MAX = 16 << 20 };
	struct blk b;
	uint64_t span;

	blk_start(&b, start, (unsigned)option_u64("depth", VERIFY_DEPTH));
	if (virtio_has(&b.virtio, VIRTIO_BLK_F_RO))
		panic("the disk is read-only: mode=verify writes to it");
	span = span_of(&b, VERIFY_BYTES, SPAN_MAX);
	for (uint64_t pass = 1; pass <= PASSES; pass++) {
		sweep(&b, BLK_WRITE, span, pass);
		flush(&b);
		sweep(&b, BLK_READ, span, pass);
	}
	print("blk-poll: verify ok capacity=%lu bytes=%lu passes=%d kicks=%lu flush=%s\n",
	      b.capacity_bytes, span, PASSES, b.virtio.kicks,
	      virtio_has(&b.virtio, VIRTIO_BLK_F_FLUSH) ? "yes" : "no");
}

struct bench {
	struct blk b;
	enum blk_op op;
	bool random;
	uint64_t size_bytes;
	uint64_t span_bytes;
	uint64_t count_limit;
	uint64_t end_ticks;
	uint64_t started, done;
	uint64_t max_ticks;
	uint64_t random_state;
};

static void bench_options(struct bench *n, const struct start_info *start)
{
	n->op = option_is("op", "write", false) ? BLK_WRITE : BLK_READ;
	n->random = option_is("pattern", "rand", true);
	n->size_bytes = option_u64("size", 4096);
	if (!n->size_bytes || n->size_bytes % BLK_SECTOR_BYTES || n->size_bytes > BLK_BUFFER_BYTES)
		panic("option size= takes multiples of %d up to %d", BLK_SECTOR_BYTES,
		      BLK_BUFFER_BYTES);
	n->count_limit = option_u64("count", 0);
	if (!n->count_limit && !tsc_khz())
		panic("the rate of the time stamp counter is unknown: give tsc_khz= or count=");
	n->random_state = 0x2545f4914f6cdd1dull;
	blk_start(&n->b, start, (unsigned)option_u64("depth", 1));
	if (n->op == BLK_WRITE && virtio_has(&n->b.virtio, VIRTIO_BLK_F_RO))
		panic("the disk is read-only: op=write writes to it");
	n->span_bytes = span_of(&n->b, n->size_bytes, UINT64_MAX);
}

/* Submits into every free slot until the limit is reached. */
static void bench_submit(struct bench *n, uint64_t now)
{
	uint64_t places = n->span_bytes / n->size_bytes;
	struct blk_slot *slot;

	while ((n->count_limit ? n->started < n->count_limit : now < n->end_ticks) &&
	       (slot = blk_free_slot(&n->b))) {
		uint64_t place = n->random ? random_next(&n->random_state) : n->started;

		slot->op = n->op;
		slot->offset_bytes = place % places * n->size_bytes;
		slot->len_bytes = (uint32_t)n->size_bytes;
		blk_submit(&n->b, slot);
		n->started++;
	}
	virtio_kick(&n->b.virtio);
}

static void bench_take(struct bench *n, const struct blk_slot *slot, uint64_t now)
{
	uint64_t took = now - slot->started_ticks;

	n->max_ticks = took > n->max_ticks ? took : n->max_ticks;
	n->done++;
}

static void bench_print(const struct bench *n, uint64_t elapsed)
{
	uint64_t ns = ticks_to_ns(elapsed);
	uint64_t us = ns / 1000 ? ns / 1000 : 1;

	print("blk-poll: op=%s pattern=%s size=%lu depth=%u ios=%lu bytes=%lu ns=%lu ticks=%lu "
	      "tsc_khz=%lu iops=%lu mib_s=%lu max_ns=%lu kicks=%lu\n",
	      n->op == BLK_READ ? "read" : "write", n->random ? "rand" : "seq", n->size_bytes,
	      n->b.depth, n->done, n->done * n->size_bytes, ns, elapsed, tsc_khz(),
	      ns ? n->done * 1000000 / us : 0,
	      ns ? n->done * n->size_bytes / us * 1000000 >> 20 : 0, ticks_to_ns(n->max_ticks),
	      n->b.virtio.kicks);
}

static void bench(const struct start_info *start)
{
	static struct bench n;
	uint64_t begin, now;

	bench_options(&n, start);
	for (unsigned i = 0; i < n.b.depth; i++)
		memset(n.b.slots[i].buffer, (int)(i + 1), n.size_bytes);
	begin = now = ticks();
	n.end_ticks = begin + ns_to_ticks(option_u64("seconds", 1) * 1000000000);
	bench_submit(&n, now);
	while (n.done < n.started) {
		struct blk_slot *slot = blk_wait(&n.b);

		now = ticks();
		/* All that has completed, then one kick for the whole batch. */
		do
			bench_take(&n, slot, now);
		while ((slot = blk_completed(&n.b)));
		bench_submit(&n, now);
	}
	bench_print(&n, now - begin);
}

void guest_main(const struct start_info *start)
{
	if (option_is("mode", "verify", true))
		verify(start);
	else if (option_is("mode", "bench", false))
		bench(start);
	else
		panic("option mode= takes verify or bench");
}
