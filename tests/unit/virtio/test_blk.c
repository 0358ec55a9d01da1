/* virtio-blk requests one at a time: what each type does, and what is refused. Virtio 1.2, 5.2.6.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "disk.h"
#include "tests.h"

#define CAPACITY (1u << 20)
#define SECTORS  (CAPACITY / 512)

static struct disk d;

static void begin(uint32_t block_bytes, bool read_only, uint64_t features)
{
	struct disk_shape shape = {CAPACITY, block_bytes, read_only, false};
	uint64_t i;

	disk_init(&d, &shape);
	for (i = 0; i < CAPACITY; i++)
		d.fake->bytes[i] = (uint8_t)(i * 7 + i / 512);
	guest_bring_up(&d.g, features, 2, 64);
}

static uint8_t *data_of(const struct disk_io *io)
{
	return guest_at(&d.g, io->data, io->data_len);
}

static struct fake_record last_op(void)
{
	return d.fake->log[d.fake->log_count - 1];
}

START_TEST(read_and_write)
{
	struct disk_io io;
	uint32_t len;

	begin(512, false, DISK_FEATURES);
	io = disk_io_new(&d, 1024);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 5, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 1025);
	ck_assert_int_eq(memcmp(data_of(&io), d.fake->bytes + 5 * 512, 1024), 0);
	memset(data_of(&io), 0xa5, 1024);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, SECTORS - 2, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 1);
	ck_assert_uint_eq(d.fake->bytes[CAPACITY - 1], 0xa5);
	ck_assert_uint_eq(d.fake->bytes[CAPACITY - 1024], 0xa5);
	ck_assert_uint_ne(d.fake->bytes[CAPACITY - 1025], 0xa5);
	guest_free(&d.g);
}
END_TEST

START_TEST(out_of_range_and_misaligned)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{SECTORS, 512},           {SECTORS - 1, 1024},
		{UINT64_MAX, 512},        {1ull << 55, 512},
		{(1ull << 55) + 1, 512},  {0, 511},
		{UINT64_MAX / 512, 1024}, {0, 100},
	};
	unsigned i;

	begin(512, false, DISK_FEATURES);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct disk_io io = disk_io_new(&d, bad[i].len);

		ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, bad[i].sector, NULL),
				 VIRTIO_BLK_S_IOERR);
		ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, bad[i].sector, NULL),
				 VIRTIO_BLK_S_IOERR);
	}
	ck_assert_uint_eq(d.fake->log_count, 0);
	guest_free(&d.g);
}
END_TEST

START_TEST(block_of_4096)
{
	struct disk_io io;

	begin(4096, false, DISK_FEATURES);
	io = disk_io_new(&d, 4096);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 8, NULL), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 4, NULL), VIRTIO_BLK_S_IOERR);
	io.data_len = 512;
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 8, NULL), VIRTIO_BLK_S_IOERR);
	guest_free(&d.g);
}
END_TEST

START_TEST(read_only_refuses_every_change)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
					 VIRTIO_BLK_T_WRITE_ZEROES};
	struct disk_io io;
	unsigned i;

	begin(512, true, 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_FLUSH);
	io = disk_io_new(&d, 512);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		ck_assert_int_eq(disk_do(&d, &io, types[i], 0, NULL), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(d.fake->log_count, 0);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 0, NULL), VIRTIO_BLK_S_OK);
	guest_free(&d.g);
}
END_TEST

START_TEST(flush)
{
	struct disk_io io;

	begin(512, false, DISK_FEATURES);
	io = disk_io_new(&d, 0);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_FLUSH, 0, NULL), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(last_op().op, BLK_FLUSH);
	ck_assert_uint_eq(d.fake->log_count, 1);
	ck_assert_uint_gt(d.fake->kicks, 0);
	guest_free(&d.g);
}
END_TEST

START_TEST(writes_are_stable_for_a_driver_without_flush)
{
	struct disk_io io;

	begin(512, false, 0);
	io = disk_io_new(&d, 512);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, 0, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(d.fake->log_count, 2);
	ck_assert_int_eq(d.fake->log[0].op, BLK_WRITE);
	ck_assert_int_eq(last_op().op, BLK_FLUSH);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 0, NULL), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(d.fake->log_count, 3);
	guest_free(&d.g);
}
END_TEST

START_TEST(cve_2021_3545_get_id_gives_the_serial_and_no_more)
{
	struct disk_io io;
	uint32_t len;

	begin(512, false, DISK_FEATURES);
	io = disk_io_new(&d, 64);
	memset(data_of(&io), 0x77, 64);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_GET_ID, 0, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 20);
	ck_assert_int_eq(memcmp(data_of(&io), "serial-0123456789-to", 20), 0);
	ck_assert_uint_eq(data_of(&io)[20], 0x77);
	io.data_len = 6;
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_GET_ID, 0, &len), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(len, 7);
	guest_free(&d.g);
}
END_TEST

START_TEST(unknown_types_are_unsupported)
{
	static const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 15, 0x80000000u, UINT32_MAX};
	struct disk_io io;
	unsigned i;

	begin(512, false, DISK_FEATURES);
	io = disk_io_new(&d, 512);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		ck_assert_int_eq(disk_do(&d, &io, types[i], 0, NULL), VIRTIO_BLK_S_UNSUPP);
	guest_free(&d.g);
}
END_TEST

static int ranges(uint32_t type, const struct virtio_blk_range *r, unsigned count)
{
	struct disk_io io = disk_io_new(&d, count * 16);
	struct virtio_blk_range raw;
	unsigned i;

	for (i = 0; i < count; i++) {
		raw = (struct virtio_blk_range){htole64(r[i].sector), htole32(r[i].num_sectors),
						htole32(r[i].flags)};
		memcpy(data_of(&io) + 16 * i, &raw, 16);
	}
	return disk_do(&d, &io, type, 0, NULL);
}

START_TEST(discard_and_write_zeroes)
{
	struct virtio_blk_range r[3] = {{8, 8, 0}, {16, 0, 0}, {24, 8, 0}};

	begin(512, false, DISK_FEATURES);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 3), VIRTIO_BLK_S_OK);
	/* The empty range in the middle is nothing to do. */
	ck_assert_uint_eq(d.fake->log_count, 2);
	ck_assert_int_eq(last_op().op, BLK_DISCARD);
	ck_assert_uint_eq(last_op().offset_bytes, 24 * 512);
	ck_assert_uint_eq(last_op().len_bytes, 8 * 512);
	r[0].flags = 1;
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 1), VIRTIO_BLK_S_OK);
	ck_assert_int_eq(last_op().op, BLK_WRITE_ZEROES);
	ck_assert_uint_eq(last_op().flags, BLK_REQ_UNMAP);
	ck_assert_uint_eq(d.fake->bytes[8 * 512], 0);
	r[0].flags = 0;
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 1), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(last_op().flags, 0);
	r[0].num_sectors = 0;
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 1), VIRTIO_BLK_S_OK);
	guest_free(&d.g);
}
END_TEST

START_TEST(ranges_are_all_checked_before_the_first_is_touched)
{
	struct virtio_blk_range r[17] = {{8, 8, 0}, {SECTORS, 1, 0}};

	begin(512, false, DISK_FEATURES);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 2), VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 2), VIRTIO_BLK_S_IOERR);
	r[1] = (struct virtio_blk_range){UINT64_MAX, 8, 0};
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 2), VIRTIO_BLK_S_IOERR);
	r[1] = (struct virtio_blk_range){0, UINT32_MAX, 0};
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 2), VIRTIO_BLK_S_IOERR);
	r[1] = (struct virtio_blk_range){0, 8, 2};
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, r, 2), VIRTIO_BLK_S_UNSUPP);
	r[1] = (struct virtio_blk_range){0, 8, 1};
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 2), VIRTIO_BLK_S_UNSUPP);
	r[1] = (struct virtio_blk_range){0, 8, 0};
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 17), VIRTIO_BLK_S_IOERR);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 0), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(d.fake->log_count, 0);
	guest_free(&d.g);
}
END_TEST

START_TEST(ranges_not_negotiated_are_unsupported)
{
	struct virtio_blk_range r = {8, 8, 0};

	begin(512, false, 1ull << VIRTIO_BLK_F_FLUSH);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, &r, 1), VIRTIO_BLK_S_UNSUPP);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_WRITE_ZEROES, &r, 1), VIRTIO_BLK_S_UNSUPP);
	guest_free(&d.g);
}
END_TEST

START_TEST(host_errors_become_guest_errors)
{
	struct virtio_blk_range r[2] = {{8, 8, 0}, {16, 8, 0}};
	struct disk_io io;
	uint32_t len;

	begin(512, false, DISK_FEATURES);
	d.fake->fail_with = -ENOSPC;
	io = disk_io_new(&d, 512);
	memset(data_of(&io), 0x11, 512);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_IN, 0, &len), VIRTIO_BLK_S_IOERR);
	/* Nothing of the data part counts as written. */
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(data_of(&io)[0], 0x11);
	ck_assert_int_eq(disk_do(&d, &io, VIRTIO_BLK_T_OUT, 0, &len), VIRTIO_BLK_S_IOERR);
	ck_assert_uint_eq(len, 1);
	ck_assert_int_eq(ranges(VIRTIO_BLK_T_DISCARD, r, 2), VIRTIO_BLK_S_IOERR);
	/* The second range was not begun. */
	ck_assert_uint_eq(d.fake->log_count, 3);
	guest_free(&d.g);
}
END_TEST

START_TEST(any_layout_of_descriptors)
{
	struct virtio_blk_req_header header = {.type = htole32(VIRTIO_BLK_T_OUT),
					       .sector = htole64(3)};
	struct guest_buf bufs[20];
	uint64_t out;
	uint32_t len;
	unsigned i;

	begin(512, false, DISK_FEATURES);
	out = guest_alloc(&d.g, 16 + 512 + 1, 1);
	memcpy(guest_at(&d.g, out, 16), &header, 16);
	memset(guest_at(&d.g, out + 16, 512), 0x3c, 512);
	/* The header byte by byte, its last piece with the data; an empty buffer; the status. */
	for (i = 0; i < 15; i++)
		bufs[i] = (struct guest_buf){out + i, 1, false};
	bufs[15] = (struct guest_buf){out + 15, 101, false};
	bufs[16] = (struct guest_buf){out, 0, false};
	bufs[17] = (struct guest_buf){out + 116, 412, false};
	bufs[18] = (struct guest_buf){out + 528, 1, true};
	guest_add(&d.g, 0, bufs, 19);
	guest_kick(&d.g, 0);
	guest_run(&d.g);
	ck_assert_int_ge(guest_reap(&d.g, 0, &len), 0);
	ck_assert_uint_eq(*(uint8_t *)guest_at(&d.g, out + 528, 1), VIRTIO_BLK_S_OK);
	for (i = 0; i < 512; i++)
		ck_assert_uint_eq(d.fake->bytes[3 * 512 + i], 0x3c);

	/* A read whose status shares a buffer with the data. */
	header.type = htole32(VIRTIO_BLK_T_IN);
	memcpy(guest_at(&d.g, out, 16), &header, 16);
	bufs[0] = (struct guest_buf){out, 16, false};
	bufs[1] = (struct guest_buf){out + 16, 513, true};
	memset(guest_at(&d.g, out + 16, 513), 0xee, 513);
	guest_add(&d.g, 0, bufs, 2);
	guest_kick(&d.g, 0);
	guest_run(&d.g);
	ck_assert_int_ge(guest_reap(&d.g, 0, &len), 0);
	ck_assert_uint_eq(len, 513);
	ck_assert_uint_eq(*(uint8_t *)guest_at(&d.g, out + 528, 1), VIRTIO_BLK_S_OK);
	ck_assert_uint_eq(*(uint8_t *)guest_at(&d.g, out + 527, 1), 0x3c);
	guest_free(&d.g);
}
END_TEST

START_TEST(bhyve_pci_vtblk_proc_chain_without_header_or_status)
{
	static const struct {
		uint32_t out, in;
	} bad[] = {{15, 1}, {16, 0}, {0, 1}, {0, 0}, {1, 513}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct guest_buf bufs[2];
		uint64_t gpa;

		begin(512, false, DISK_FEATURES);
		gpa = guest_alloc(&d.g, 1024, 16);
		bufs[0] = (struct guest_buf){gpa, bad[i].out, false};
		bufs[1] = (struct guest_buf){gpa + 64, bad[i].in, true};
		guest_add(&d.g, 0, bufs, 2);
		guest_kick(&d.g, 0);
		guest_run(&d.g);
		ck_assert_uint_eq(guest_reg(&d.g, VIRTIO_MMIO_STATUS), 15 | VIRTIO_NEEDS_RESET);
		guest_free(&d.g);
	}
}
END_TEST

TCase *blk_cases(void)
{
	TCase *tc = tcase_create("blk");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, read_and_write);
	tcase_add_test(tc, out_of_range_and_misaligned);
	tcase_add_test(tc, block_of_4096);
	tcase_add_test(tc, read_only_refuses_every_change);
	tcase_add_test(tc, flush);
	tcase_add_test(tc, writes_are_stable_for_a_driver_without_flush);
	tcase_add_test(tc, cve_2021_3545_get_id_gives_the_serial_and_no_more);
	tcase_add_test(tc, unknown_types_are_unsupported);
	tcase_add_test(tc, discard_and_write_zeroes);
	tcase_add_test(tc, ranges_are_all_checked_before_the_first_is_touched);
	tcase_add_test(tc, ranges_not_negotiated_are_unsupported);
	tcase_add_test(tc, host_errors_become_guest_errors);
	tcase_add_test(tc, any_layout_of_descriptors);
	tcase_add_test(tc, bhyve_pci_vtblk_proc_chain_without_header_or_status);
	return tc;
}
