/* virtio-blk with much under way: late, out of order, failing, reset in the middle; and what
 * arrives is what was sent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk.h"
#include "tests.h"

#define CAPACITY (1u << 20)

static struct disk d;

static void begin(uint64_t features)
{
	struct disk_shape shape = {CAPACITY, 512, false, false};

	disk_init(&d, &shape);
	guest_bring_up(&d.g, features, 2, 64);
}

static uint8_t status_of(const struct disk_io *io)
{
	return *(uint8_t *)guest_at(&d.g, io->status, 1);
}

START_TEST(completions_out_of_order)
{
	struct disk_io io[8];
	uint16_t heads[8];
	uint32_t len;
	unsigned i;

	begin(DISK_FEATURES);
	d.fake->mode = FAKE_HOLD;
	for (i = 0; i < 8; i++) {
		io[i] = disk_io_new(&d, 512);
		heads[i] = disk_offer(&d, i % 2, &io[i], VIRTIO_BLK_T_IN, i);
	}
	guest_run(&d.g);
	ck_assert_uint_eq(d.fake->held_count, 8);
	ck_assert_int_eq(guest_reap(&d.g, 0, &len), -1);
	for (i = 0; i < 8; i++)
		fake_blk_complete(d.fake, d.fake->held_count - 1, i == 2 ? -EIO : 0);
	guest_run(&d.g);
	/* Both queues are served in turn: what was held last of queue 0 comes back first. */
	ck_assert_int_eq(guest_reap(&d.g, 0, &len), heads[6]);
	ck_assert_int_eq(guest_reap(&d.g, 1, &len), heads[7]);
	for (i = 0; i < 3; i++) {
		ck_assert_int_ge(guest_reap(&d.g, 0, &len), 0);
		ck_assert_int_ge(guest_reap(&d.g, 1, &len), 0);
	}
	for (i = 0, len = 0; i < 8; i++)
		len += status_of(&io[i]);
	ck_assert_uint_eq(len, VIRTIO_BLK_S_IOERR);
	guest_free(&d.g);
}
END_TEST

START_TEST(one_interrupt_for_a_batch)
{
	struct disk_io io;
	unsigned i, before;

	begin(1ull << VIRTIO_BLK_F_FLUSH);
	d.fake->mode = FAKE_HOLD;
	for (i = 0; i < 16; i++) {
		io = disk_io_new(&d, 512);
		disk_offer(&d, i % 2, &io, VIRTIO_BLK_T_IN, i);
	}
	guest_run(&d.g);
	before = d.g.irq.count;
	while (d.fake->held_count)
		fake_blk_complete(d.fake, 0, 0);
	guest_run(&d.g);
	ck_assert_uint_eq(d.g.irq.count, before + 1);
	guest_free(&d.g);
}
END_TEST

START_TEST(one_kick_for_a_batch)
{
	struct disk_io io;
	unsigned i;

	begin(DISK_FEATURES);
	guest_run(&d.g);
	d.fake->kicks = 0;
	for (i = 0; i < 16; i++) {
		io = disk_io_new(&d, 512);
		disk_offer(&d, 0, &io, VIRTIO_BLK_T_IN, i);
	}
	guest_run(&d.g);
	ck_assert_uint_eq(d.fake->kicks, 1);
	guest_free(&d.g);
}
END_TEST

START_TEST(event_idx_wakes_the_disk_again)
{
	struct disk_io io;
	unsigned i;

	begin(DISK_FEATURES);
	io = disk_io_new(&d, 512);
	for (i = 0; i < 300; i++) {
		/* A driver that heeds avail_event would notify here: the disk asked for it. */
		ck_assert_uint_eq(guest_avail_event(&d.g, 0), d.g.queues[0].avail_idx);
		ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 0, NULL), VIRTIO_BLK_S_OK);
	}
	guest_free(&d.g);
}
END_TEST

static void offer_many(struct disk_io *io, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		io[i] = disk_io_new(&d, 512);
		disk_offer(&d, i % 2, &io[i], VIRTIO_BLK_T_OUT, i);
	}
	guest_run(&d.g);
}

/* After the write of 0 has returned, neither rings nor buffers change any more. */
START_TEST(cve_2026_45782_reset_with_requests_in_flight)
{
	struct disk_io io[20];
	uint8_t *before = malloc(GUEST_RAM_BYTES);
	unsigned irqs;

	begin(0);
	d.fake->mode = FAKE_LATE;
	offer_many(io, 20);
	guest_set_reg(&d.g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(guest_reg(&d.g, VIRTIO_MMIO_STATUS), 0);
	ck_assert_uint_eq(d.fake->held_count, 0);
	ck_assert_uint_eq(d.fake->blk.in_flight, 0);
	/* Writes that need a flush had theirs, too. */
	ck_assert_uint_eq(d.fake->log_count, 40);
	irqs = d.g.irq.count;
	memcpy(before, guest_at(&d.g, 0, GUEST_RAM_BYTES), GUEST_RAM_BYTES);
	guest_run(&d.g);
	ck_assert_int_eq(memcmp(before, guest_at(&d.g, 0, GUEST_RAM_BYTES), GUEST_RAM_BYTES), 0);
	ck_assert_uint_eq(d.g.irq.count, irqs);
	d.fake->mode = FAKE_AT_ONCE;
	guest_bring_up(&d.g, DISK_FEATURES, 2, 64);
	ck_assert_int_eq(disk_do(&d, &io[0], VIRTIO_BLK_T_IN, 0, NULL), VIRTIO_BLK_S_OK);
	guest_free(&d.g);
	free(before);
}
END_TEST

START_TEST(stop_publishes_what_was_in_flight)
{
	struct disk_io io[4];
	uint32_t len;
	unsigned i;

	begin(DISK_FEATURES);
	d.fake->mode = FAKE_LATE;
	offer_many(io, 4);
	device_stop(d.g.dev);
	for (i = 0; i < 4; i++) {
		ck_assert_int_ge(guest_reap(&d.g, i % 2, &len), 0);
		ck_assert_uint_eq(status_of(&io[i]), VIRTIO_BLK_S_OK);
	}
	guest_free(&d.g);
}
END_TEST

START_TEST(destroy_with_requests_in_flight_closes_the_disk)
{
	struct disk_io io[4];
	bool closed = false;

	begin(DISK_FEATURES);
	d.fake->mode = FAKE_LATE;
	d.fake->closed = &closed;
	offer_many(io, 4);
	guest_free(&d.g);
	ck_assert(closed);
}
END_TEST

/* One of 16 requests of the integrity test, and where it acts. */
struct piece {
	struct disk_io io;
	uint64_t sector;
	uint32_t sectors;
	bool reads, busy;
	uint16_t head;
	unsigned queue;
};

static bool overlaps(const struct piece *pieces, uint64_t sector, uint32_t sectors)
{
	unsigned i;

	for (i = 0; i < 16; i++)
		if (pieces[i].busy && sector < pieces[i].sector + pieces[i].sectors &&
		    pieces[i].sector < sector + sectors)
			return true;
	return false;
}

static void begin_piece(struct piece *pieces, struct piece *p, uint8_t *model, uint64_t *seed)
{
	uint64_t r = unit_random(seed), i;
	uint8_t *data;

	p->sectors = (uint32_t)(r % 16) + 1;
	p->sector = (r >> 8) % (CAPACITY / 512 - p->sectors);
	if (overlaps(pieces, p->sector, p->sectors))
		return;
	p->reads = (r >> 40) % 2;
	p->queue = (r >> 41) % 2;
	p->io.data_len = p->sectors * 512;
	data = guest_at(&d.g, p->io.data, p->io.data_len);
	for (i = 0; i < p->io.data_len; i++)
		data[i] = (uint8_t)unit_random(seed);
	if (!p->reads)
		memcpy(model + p->sector * 512, data, p->io.data_len);
	p->busy = true;
	p->head = disk_offer(&d, p->queue, &p->io, p->reads ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			     p->sector);
}

static void end_pieces(struct piece *pieces, const uint8_t *model, unsigned queue)
{
	uint32_t len;
	int head;
	unsigned i;

	while ((head = guest_reap(&d.g, queue, &len)) >= 0) {
		for (i = 0; i < 16; i++)
			if (pieces[i].busy && pieces[i].queue == queue && pieces[i].head == head)
				break;
		ck_assert_uint_lt(i, 16);
		ck_assert_uint_eq(status_of(&pieces[i].io), VIRTIO_BLK_S_OK);
		if (pieces[i].reads)
			ck_assert_int_eq(
				memcmp(guest_at(&d.g, pieces[i].io.data, pieces[i].io.data_len),
				       model + pieces[i].sector * 512, pieces[i].io.data_len),
				0);
		pieces[i].busy = false;
	}
}

START_TEST(random_data_comes_back)
{
	struct piece pieces[16] = {0};
	uint8_t *model = calloc(1, CAPACITY);
	uint64_t seed = unit_seed();
	unsigned i, round;

	begin(DISK_FEATURES);
	d.fake->mode = FAKE_HOLD;
	for (i = 0; i < 16; i++)
		pieces[i].io = disk_io_new(&d, 16 * 512);
	for (round = 0; round < 3000; round++) {
		struct piece *p = &pieces[unit_random(&seed) % 16];

		if (!p->busy)
			begin_piece(pieces, p, model, &seed);
		guest_run(&d.g);
		if (d.fake->held_count && unit_random(&seed) % 2)
			fake_blk_complete(d.fake,
					  (unsigned)(unit_random(&seed) % d.fake->held_count), 0);
		guest_run(&d.g);
		end_pieces(pieces, model, 0);
		end_pieces(pieces, model, 1);
	}
	while (d.fake->held_count)
		fake_blk_complete(d.fake, 0, 0);
	guest_run(&d.g);
	ck_assert_int_eq(memcmp(model, d.fake->bytes, CAPACITY), 0);
	ck_assert_uint_gt(d.fake->log_count, 500);
	guest_free(&d.g);
	free(model);
}
END_TEST

TCase *blk_io_cases(void)
{
	TCase *tc = tcase_create("blk_io");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, completions_out_of_order);
	tcase_add_test(tc, one_interrupt_for_a_batch);
	tcase_add_test(tc, one_kick_for_a_batch);
	tcase_add_test(tc, event_idx_wakes_the_disk_again);
	tcase_add_test(tc, cve_2026_45782_reset_with_requests_in_flight);
	tcase_add_test(tc, stop_publishes_what_was_in_flight);
	tcase_add_test(tc, destroy_with_requests_in_flight_closes_the_disk);
	tcase_add_test(tc, random_data_comes_back);
	return tc;
}
