/*
 * blk-journal: writes numbered records all over a virtio-blk disk and says which are stable, for a
 * host that kills this machine at any moment and looks afterwards.
 *
 * Record N is 4 KiB at a place of its own, filled with N. On the command line:
 *
 *   mode=write   (default) from=N: writes records from N on, in batches, a flush after each, and
 *                prints "flushed N" when all up to N are stable; ends when the disk is full
 *   mode=check   from=N to=M: reads records N to M and compares them
 *   depth=N      requests under way at once, 1 to 32; default 8
 *   batch=N      records between flushes; default 16
 */
#include "common/blk.h"

enum { RECORD_BYTES = 4096 };

/* Odd, so that records of a disk of 2^n places have different ones, far apart. */
#define STEP 0x9e3779b1ull

static uint64_t places;

static uint64_t place_of(uint64_t record)
{
	return record * STEP % places * RECORD_BYTES;
}

static void start_record(struct blk *b, enum blk_op op, uint64_t record)
{
	struct blk_slot *slot = blk_free_slot(b);
	uint64_t *words = (uint64_t *)slot->buffer;

	slot->op = op;
	slot->offset_bytes = place_of(record);
	slot->len_bytes = RECORD_BYTES;
	for (unsigned i = 0; i < RECORD_BYTES / 8; i++)
		words[i] = op == BLK_WRITE ? record : 0;
	blk_submit(b, slot);
}

static void compare(const struct blk_slot *slot, uint64_t from, uint64_t to)
{
	const uint64_t *words = (const uint64_t *)slot->buffer;
	uint64_t record = words[0];

	if (record < from || record > to || place_of(record) != slot->offset_bytes)
		panic("offset %lu of the disk holds record %lu, which belongs elsewhere",
		      slot->offset_bytes, record);
	for (unsigned i = 1; i < RECORD_BYTES / 8; i++)
		if (words[i] != record)
			panic("record %lu is torn at byte %u", record, i * 8);
}

/* Writes, or reads and compares, records @from to @to. */
static void sweep(struct blk *b, enum blk_op op, uint64_t from, uint64_t to)
{
	uint64_t next = from, left = to - from + 1;

	while (left) {
		struct blk_slot *slot;

		while (next <= to && blk_free_slot(b))
			start_record(b, op, next++);
		virtio_kick(&b->virtio);
		slot = blk_wait(b);
		if (op == BLK_READ)
			compare(slot, from, to);
		left--;
	}
}

static void flush(struct blk *b)
{
	struct blk_slot *slot = blk_free_slot(b);

	*slot = (struct blk_slot){.op = BLK_FLUSH, .buffer = slot->buffer};
	blk_submit(b, slot);
	virtio_kick(&b->virtio);
	blk_wait(b);
}

static void write_records(struct blk *b)
{
	uint64_t from = option_u64("from", 1), batch = option_u64("batch", 16);

	if (!virtio_has(&b->virtio, VIRTIO_BLK_F_FLUSH))
		panic("the disk has no flush");
	while (from + batch <= places) {
		sweep(b, BLK_WRITE, from, from + batch - 1);
		flush(b);
		from += batch;
		print("flushed %lu\n", from - 1);
	}
	print("blk-journal: the disk is full\n");
}

void guest_main(const struct start_info *start)
{
	static struct blk b;

	blk_start(&b, start, (unsigned)option_u64("depth", 8));
	places = b.capacity_bytes / RECORD_BYTES;
	if (!places || places & (places - 1))
		panic("the disk's size is no power of two");
	if (option_is("mode", "write", true)) {
		write_records(&b);
	} else if (option_is("mode", "check", false)) {
		sweep(&b, BLK_READ, option_u64("from", 1), option_u64("to", 1));
		print("blk-journal: all records are there\n");
	} else {
		panic("option mode= takes write or check");
	}
}
