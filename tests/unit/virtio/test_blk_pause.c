/* virtio-blk that keeps what the host fails: what is raised, what is tried again, what is not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "disk.h"
#include "tests.h"

#define CAPACITY (1u << 20)

static struct disk d;

static struct {
	struct machine_events events;
	unsigned count;
	enum machine_event last;
	char detail[200];
} machine;

static void raised(struct machine_events *events, enum machine_event event, const char *detail)
{
	(void)events;
	machine.count++;
	machine.last = event;
	snprintf(machine.detail, sizeof(machine.detail), "%s", detail);
}

static void begin(void)
{
	struct disk_shape shape = {CAPACITY, 512, false, true};

	disk_init(&d, &shape);
	machine.events.raise = raised;
	d.g.env.events = &machine.events;
	guest_bring_up(&d.g, DISK_FEATURES, 2, 64);
}

static uint8_t status_of(const struct disk_io *io)
{
	return *(uint8_t *)guest_at(&d.g, io->status, 1);
}

static void nothing_ended(void)
{
	uint32_t len;

	guest_run(&d.g);
	ck_assert_int_eq(guest_reap(&d.g, 0, &len), -1);
	ck_assert_int_eq(guest_reap(&d.g, 1, &len), -1);
}

START_TEST(what_failed_is_done_on_retry)
{
	struct disk_io io[6];
	uint32_t len;
	unsigned i, before;

	begin();
	d.fake->fail_with = -ENOSPC;
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		io[i] = disk_io_new(&d, 512);
		memset(guest_at(&d.g, io[i].data, 512), (int)(i + 1), 512);
		disk_offer(&d, i % 2, &io[i], VIRTIO_BLK_T_OUT, i);
	}
	nothing_ended();
	/* Said once, and whose fault it is. */
	ck_assert_uint_eq(machine.count, 1);
	ck_assert_int_eq(machine.last, MACHINE_IO_FAILED);
	ck_assert_msg(strstr(machine.detail, "disk0") && strstr(machine.detail, "No space left"),
		      "%s", machine.detail);
	/* The same again: kept again, said again. */
	device_retry(d.g.dev);
	nothing_ended();
	ck_assert_uint_eq(machine.count, 2);
	d.fake->fail_with = 0;
	before = d.fake->log_count;
	device_retry(d.g.dev);
	guest_run(&d.g);
	ck_assert_uint_eq(d.fake->log_count, before + ARRAY_SIZE(io));
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		ck_assert_int_ge(guest_reap(&d.g, i % 2, &len), 0);
		ck_assert_uint_eq(d.fake->bytes[512 * i + 100], i + 1);
	}
	for (i = 0; i < ARRAY_SIZE(io); i++)
		ck_assert_uint_eq(status_of(&io[i]), VIRTIO_BLK_S_OK);
	/* For nothing. */
	before = d.fake->log_count;
	device_retry(d.g.dev);
	guest_run(&d.g);
	ck_assert_uint_eq(d.fake->log_count, before);
	ck_assert_uint_eq(machine.count, 2);
	guest_free(&d.g);
}
END_TEST

START_TEST(what_failed_first_is_tried_first)
{
	struct disk_io io[4];
	unsigned i;

	begin();
	d.fake->mode = FAKE_HOLD;
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		io[i] = disk_io_new(&d, 512);
		disk_offer(&d, 0, &io[i], VIRTIO_BLK_T_IN, i);
	}
	guest_run(&d.g);
	fake_blk_complete(d.fake, 2, -EIO);
	fake_blk_complete(d.fake, 0, -EIO);
	nothing_ended();
	device_retry(d.g.dev);
	ck_assert_uint_eq(d.fake->held_count, 4);
	ck_assert_uint_eq(d.fake->held[2]->offset_bytes, 2 * 512);
	ck_assert_uint_eq(d.fake->held[3]->offset_bytes, 0);
	while (d.fake->held_count)
		fake_blk_complete(d.fake, 0, 0);
	guest_free(&d.g);
}
END_TEST

START_TEST(a_flush_that_failed_for_good_is_reported)
{
	struct disk_io io;
	uint32_t len;

	begin();
	io = disk_io_new(&d, 0);
	d.fake->fail_with = -EIO;
	/* One that may succeed another time is kept. */
	disk_offer(&d, 0, &io, VIRTIO_BLK_T_FLUSH, 0);
	nothing_ended();
	d.fake->blk.unstable = true;
	device_retry(d.g.dev);
	guest_run(&d.g);
	ck_assert_int_ge(guest_reap(&d.g, 0, &len), 0);
	ck_assert_uint_eq(status_of(&io), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(machine.count, 1);
	guest_free(&d.g);
}
END_TEST

/* A guest that resets its disk, and a machine that ends, wait for no retry. */
START_TEST(a_reset_gives_up_what_was_kept)
{
	struct disk_io io[3];
	unsigned i;

	begin();
	d.fake->fail_with = -ENOSPC;
	for (i = 0; i < ARRAY_SIZE(io); i++) {
		io[i] = disk_io_new(&d, 512);
		disk_offer(&d, 0, &io[i], VIRTIO_BLK_T_OUT, i);
	}
	nothing_ended();
	guest_bring_up(&d.g, DISK_FEATURES, 2, 64);
	d.fake->fail_with = 0;
	i = d.fake->log_count;
	device_retry(d.g.dev);
	guest_run(&d.g);
	ck_assert_uint_eq(d.fake->log_count, i);
	io[0] = disk_io_new(&d, 512);
	ck_assert_int_eq(disk_do(&d, &io[0], VIRTIO_BLK_T_IN, 0, NULL), VIRTIO_BLK_S_OK);
	guest_free(&d.g);
}
END_TEST

START_TEST(the_end_of_the_machine_reports_what_was_kept)
{
	struct disk_io io;
	uint32_t len;

	begin();
	io = disk_io_new(&d, 512);
	d.fake->fail_with = -ENOSPC;
	disk_offer(&d, 0, &io, VIRTIO_BLK_T_OUT, 0);
	nothing_ended();
	device_stop(d.g.dev);
	ck_assert_int_ge(guest_reap(&d.g, 0, &len), 0);
	ck_assert_uint_eq(status_of(&io), VIRTIO_BLK_S_IOERR);
	guest_free(&d.g);
}
END_TEST

/* A guest's own mistakes are answered as ever. */
START_TEST(mistakes_of_the_guest_pause_nobody)
{
	struct disk_io io;

	begin();
	io = disk_io_new(&d, 512);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, CAPACITY / 512, NULL),
			 VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(disk_do(&d, &io, 0x77, 0, NULL), VIRTIO_BLK_S_UNSUPP);
	d.fake->fail_with = -EROFS;
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, 0, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(machine.count, 0);
	guest_free(&d.g);
}
END_TEST

TCase *blk_pause_cases(void)
{
	TCase *tc = tcase_create("blk_pause");

	tcase_add_test(tc, what_failed_is_done_on_retry);
	tcase_add_test(tc, what_failed_first_is_tried_first);
	tcase_add_test(tc, a_flush_that_failed_for_good_is_reported);
	tcase_add_test(tc, a_reset_gives_up_what_was_kept);
	tcase_add_test(tc, the_end_of_the_machine_reports_what_was_kept);
	tcase_add_test(tc, mistakes_of_the_guest_pause_nobody);
	return tc;
}
