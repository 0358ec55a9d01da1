/* The virtio-mmio register file and the status machine, on a disk with a fake back-end.
 * Virtio 1.2, 3.1, 4.2. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "driver.h"
#include "fake_blk.h"
#include "tables/aml.h"
#include "tests.h"
#include "virtio/blk.h"

#define CAPACITY (1u << 20)

static struct guest g;
static struct fake_blk *fake;

static struct guest_bells bells;

static void set_up(void)
{
	struct virtio_blk_settings settings = {.id = "disk0", .queues = 2};
	struct device *dev;

	guest_init(&g);
	guest_catch_doorbells(&g, &bells);
	fake = fake_blk_new(g.loop, CAPACITY, 512);
	settings.blk = &fake->blk;
	ck_assert_int_eq(virtio_blk_new(&g.env, &g.place, &settings, &dev, NULL), 0);
	guest_plug(&g, dev);
}

static void tear_down(void)
{
	guest_free(&g);
	ck_assert_uint_eq(bells.present, 0);
}

static uint64_t rd(uint64_t reg, unsigned size)
{
	return bus_read(g.bus, BUS_MMIO, GUEST_DEV_BASE + reg, size);
}

START_TEST(identification)
{
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_MAGIC), 0x74726976);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_VERSION), 2);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_ID), 2);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_VENDOR_ID), VIRTIO_MMIO_VENDOR_VALUE);
}
END_TEST

START_TEST(device_features_by_word)
{
	guest_set_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES), 1);
	guest_set_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	/* Bit numbers, not masks: INDIRECT 28, EVENT_IDX 29, and the disk's own. */
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES),
			  1u << 28 | 1u << 29 | 1u << 2 | 1u << 6 | 1u << 9 | 1u << 10 | 1u << 12 |
				  1u << 13 | 1u << 14);
	guest_set_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	guest_set_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, UINT32_MAX);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}
END_TEST

START_TEST(every_other_register_reads_as_specified)
{
	uint64_t reg;

	for (reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += 4) {
		uint32_t value = guest_reg(&g, reg);

		switch (reg) {
		case VIRTIO_MMIO_MAGIC:
		case VIRTIO_MMIO_VERSION:
		case VIRTIO_MMIO_DEVICE_ID:
		case VIRTIO_MMIO_VENDOR_ID:
		case VIRTIO_MMIO_DEVICE_FEATURES:
			ck_assert_uint_ne(value, 0);
			break;
		case VIRTIO_MMIO_QUEUE_SIZE_MAX:
			ck_assert_uint_eq(value, VIRTIO_BLK_QUEUE_SIZE);
			break;
		case VIRTIO_MMIO_SHM_LEN_LOW:
		case VIRTIO_MMIO_SHM_LEN_HIGH:
		case VIRTIO_MMIO_SHM_BASE_LOW:
		case VIRTIO_MMIO_SHM_BASE_HIGH:
			ck_assert_uint_eq(value, UINT32_MAX);
			break;
		default:
			ck_assert_uint_eq(value, 0);
		}
	}
}
END_TEST

START_TEST(odd_register_accesses_reach_nothing)
{
	ck_assert_uint_eq(rd(VIRTIO_MMIO_MAGIC, 1), 0xff);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_MAGIC, 2), 0xffff);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_MAGIC, 8), UINT64_MAX);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_MAGIC + 2, 4), UINT32_MAX);
	bus_write(g.bus, BUS_MMIO, GUEST_DEV_BASE + VIRTIO_MMIO_STATUS, 1, 1);
	bus_write(g.bus, BUS_MMIO, GUEST_DEV_BASE + VIRTIO_MMIO_STATUS, 8, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
}
END_TEST

START_TEST(config_space_in_every_size)
{
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG, 8), CAPACITY / 512);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG, 4), CAPACITY / 512);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + 1, 1), CAPACITY / 512 >> 8);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + 12, 4), VIRTIO_BLK_QUEUE_SIZE - 2);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + 20, 4), 512);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + 24, 1), 3);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + 34, 2), 2);
}
END_TEST

START_TEST(cve_2021_45464_config_past_the_struct)
{
	unsigned at;

	for (at = 57; at < 0x100; at++)
		ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG + at, 4), UINT32_MAX);
	bus_write(g.bus, BUS_MMIO, GUEST_DEV_BASE + VIRTIO_MMIO_CONFIG, 8, 12345);
	ck_assert_uint_eq(rd(VIRTIO_MMIO_CONFIG, 8), CAPACITY / 512);
}
END_TEST

START_TEST(cve_2021_45464_queue_sel_out_of_range)
{
	static const uint32_t bad[] = {2, 16, 255, 0x80000000u, UINT32_MAX};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SEL, bad[i]);
		ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_SIZE_MAX), 0);
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SIZE, 16);
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 0);
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 0);
	}
}
END_TEST

START_TEST(cve_2011_2512_notify_index)
{
	static const uint32_t bad[] = {2, 3, 16, 0x7fffffff, 0x80000000u, UINT32_MAX};
	unsigned i;

	guest_bring_up(&g, 0, 2, 16);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
	guest_run(&g);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
}
END_TEST

START_TEST(status_step_by_step)
{
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
	ck_assert(guest_negotiate(&g, 0));
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 11);
	guest_driver_ok(&g);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
	/* Bits are not taken back one by one, and the device's own is not the driver's. */
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 11);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 15 | VIRTIO_NEEDS_RESET);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 15 | VIRTIO_FAILED);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15 | VIRTIO_FAILED);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
}
END_TEST

START_TEST(status_steps_that_cannot_be_skipped)
{
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, VIRTIO_DRIVER_OK);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, VIRTIO_FEATURES_OK);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0x100);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
}
END_TEST

START_TEST(features_ok_needs_version_1)
{
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 3);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES, 1u << 9);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 3 | VIRTIO_FEATURES_OK);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 3);
}
END_TEST

START_TEST(features_not_offered_are_refused)
{
	ck_assert(!guest_negotiate(&g, 1ull << 34)); /* PACKED */
	ck_assert(!guest_negotiate(&g, 1ull << 40)); /* RING_RESET */
	ck_assert(!guest_negotiate(&g, 1ull << 5));  /* RO, on a writable disk */
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 11);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 3);
}
END_TEST

START_TEST(features_are_settled_by_features_ok)
{
	ck_assert(guest_negotiate(&g, 1ull << VIRTIO_BLK_F_FLUSH));
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	guest_set_reg(&g, VIRTIO_MMIO_DRIVER_FEATURES, 4);
	guest_driver_ok(&g);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
}
END_TEST

START_TEST(unsound_queue_does_not_become_ready)
{
	static const uint32_t sizes[] = {0, 3, 100, 512, 65536, 65536 + 16, UINT32_MAX};
	unsigned i;

	ck_assert(guest_negotiate(&g, 0));
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SEL, 1);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DRIVER_LOW, 0x2000);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DEVICE_LOW, 0x3000);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SIZE, sizes[i]);
		guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 1);
		ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SIZE, 16);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DESC_HIGH, 1);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 0);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 1);
}
END_TEST

/* A flush, for showing that the queue still works. */
static void offer_flush(unsigned queue)
{
	uint64_t gpa = guest_alloc(&g, 32, 16);
	struct guest_buf bufs[] = {{gpa, 16, false}, {gpa + 16, 1, true}};

	*(uint8_t *)guest_at(&g, gpa, 1) = 4;
	*(uint8_t *)guest_at(&g, gpa + 16, 1) = 0xee;
	guest_add(&g, queue, bufs, 2);
	guest_kick(&g, queue);
}

static void check_flush(unsigned queue)
{
	uint32_t len;

	offer_flush(queue);
	guest_run(&g);
	ck_assert_int_ge(guest_reap(&g, queue, &len), 0);
	ck_assert_uint_eq(len, 1);
}

START_TEST(cve_2026_5747_queue_changed_after_activation)
{
	static const uint64_t regs[] = {
		VIRTIO_MMIO_QUEUE_SIZE,        VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_DESC_HIGH,   VIRTIO_MMIO_QUEUE_DRIVER_LOW,
		VIRTIO_MMIO_QUEUE_DRIVER_HIGH, VIRTIO_MMIO_QUEUE_DEVICE_LOW,
		VIRTIO_MMIO_QUEUE_DEVICE_HIGH,
	};
	static const uint32_t values[] = {0, 1, 3, 256, UINT32_MAX};
	unsigned i, k;

	guest_bring_up(&g, 0, 1, 8);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		for (k = 0; k < ARRAY_SIZE(values); k++) {
			guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SEL, 0);
			guest_set_reg(&g, regs[i], values[k]);
			check_flush(0);
		}
	/* Nor does a queue come to life behind DRIVER_OK. */
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SEL, 1);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x1000);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 0);
}
END_TEST

START_TEST(rings_untouched_before_driver_ok)
{
	uint32_t len;

	ck_assert(guest_negotiate(&g, 0));
	guest_setup_queue(&g, 0, 8);
	offer_flush(0);
	guest_run(&g);
	ck_assert_int_eq(guest_reap(&g, 0, &len), -1);
	/* What was offered before counts from DRIVER_OK on, without another notification. */
	guest_driver_ok(&g);
	guest_run(&g);
	ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
}
END_TEST

START_TEST(interrupt_status_and_ack)
{
	guest_bring_up(&g, 0, 1, 8);
	check_flush(0);
	ck_assert_uint_eq(g.irq.count, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_CAUSE_USED);
	guest_set_reg(&g, VIRTIO_MMIO_INTERRUPT_ACK, 2);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_CAUSE_USED);
	guest_set_reg(&g, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	check_flush(0);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}
END_TEST

START_TEST(malformed_chain_needs_reset)
{
	uint32_t generation, len;

	guest_bring_up(&g, 0, 2, 8);
	generation = guest_reg(&g, VIRTIO_MMIO_CONFIG_GENERATION);
	guest_offer(&g, 0, 77);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15 | VIRTIO_NEEDS_RESET);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_CAUSE_CONFIG);
	ck_assert_uint_eq(g.irq.count, 1);
	ck_assert_uint_ne(guest_reg(&g, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	/* No queue is served any more, and nobody is told again. */
	offer_flush(1);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_int_eq(guest_reap(&g, 1, &len), -1);
	ck_assert_uint_eq(g.irq.count, 1);
	/* A reset mends it. */
	guest_bring_up(&g, 0, 2, 8);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15);
	check_flush(0);
	check_flush(1);
}
END_TEST

START_TEST(queue_ready_0_takes_one_queue_away)
{
	uint32_t len;

	guest_bring_up(&g, 0, 2, 8);
	check_flush(0);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_SEL, 0);
	guest_set_reg(&g, VIRTIO_MMIO_QUEUE_READY, 0);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_QUEUE_READY), 0);
	offer_flush(0);
	guest_run(&g);
	ck_assert_int_eq(guest_reap(&g, 0, &len), -1);
	check_flush(1);
}
END_TEST

START_TEST(cve_2024_4693_doorbells_follow_the_queues)
{
	ck_assert_uint_eq(bells.added, 0);
	guest_bring_up(&g, 0, 2, 8);
	ck_assert_uint_eq(bells.present, 3);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(bells.present, 0);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(bells.removed, 2);
	guest_bring_up(&g, 0, 1, 8);
	ck_assert_uint_eq(bells.present, 1);
	device_stop(g.dev);
	ck_assert_uint_eq(bells.present, 0);
	device_stop(g.dev);
	ck_assert_int_eq(device_start(g.dev, NULL), 0);
	ck_assert_uint_eq(bells.present, 1);
	check_flush(0);
}
END_TEST

START_TEST(doorbells_refused_still_work)
{
	bells.refuse = -ENOSPC;
	guest_bring_up(&g, 0, 2, 8);
	check_flush(0);
	check_flush(1);
}
END_TEST

START_TEST(stopped_device_serves_again_after_start)
{
	uint32_t len;

	guest_bring_up(&g, 1ull << VIRTIO_F_EVENT_IDX, 1, 8);
	check_flush(0);
	device_stop(g.dev);
	offer_flush(0);
	guest_run(&g);
	ck_assert_int_eq(guest_reap(&g, 0, &len), -1);
	ck_assert_int_eq(device_start(g.dev, NULL), 0);
	guest_run(&g);
	ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
}
END_TEST

START_TEST(reset_in_every_state)
{
	static const uint8_t states[] = {0, 1, 3, 11, 15, 15 | VIRTIO_FAILED};
	unsigned i, k;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (states[i] & VIRTIO_FEATURES_OK)
			ck_assert(guest_negotiate(&g, 0));
		guest_set_reg(&g, VIRTIO_MMIO_STATUS, states[i]);
		ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), states[i]);
		for (k = 0; k < 2; k++) {
			device_reset(g.dev);
			ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 0);
			ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
		}
	}
	guest_bring_up(&g, 0, 1, 8);
	check_flush(0);
}
END_TEST

START_TEST(where_and_what)
{
	struct virtio_mmio_where where;
	struct aml aml;

	ck_assert_int_eq(virtio_mmio_where(g.dev, &where), 0);
	ck_assert_uint_eq(where.base, GUEST_DEV_BASE);
	ck_assert_uint_eq(where.len, 0x200);
	ck_assert_uint_eq(where.gsi, 5);
	ck_assert_str_eq(g.dev->id, "disk0");
	ck_assert_str_eq(g.dev->detail, "virtio-blk, 1M, fake");
	aml_init(&aml);
	g.dev->class->describe_acpi(g.dev, &aml);
	ck_assert_ptr_nonnull(memmem(aml.out.data, aml.out.len, "LNRO0005", 9));
	ck_assert_ptr_nonnull(memmem(aml.out.data, aml.out.len, "VR00", 4));
	ck_assert_uint_eq(aml.depth, 0);
	aml_free(&aml);
}
END_TEST

TCase *mmio_cases(void)
{
	TCase *tc = tcase_create("mmio");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, identification);
	tcase_add_test(tc, device_features_by_word);
	tcase_add_test(tc, every_other_register_reads_as_specified);
	tcase_add_test(tc, odd_register_accesses_reach_nothing);
	tcase_add_test(tc, config_space_in_every_size);
	tcase_add_test(tc, cve_2021_45464_config_past_the_struct);
	tcase_add_test(tc, cve_2021_45464_queue_sel_out_of_range);
	tcase_add_test(tc, cve_2011_2512_notify_index);
	tcase_add_test(tc, status_step_by_step);
	tcase_add_test(tc, status_steps_that_cannot_be_skipped);
	tcase_add_test(tc, features_ok_needs_version_1);
	tcase_add_test(tc, features_not_offered_are_refused);
	tcase_add_test(tc, features_are_settled_by_features_ok);
	tcase_add_test(tc, unsound_queue_does_not_become_ready);
	tcase_add_test(tc, cve_2026_5747_queue_changed_after_activation);
	tcase_add_test(tc, rings_untouched_before_driver_ok);
	tcase_add_test(tc, interrupt_status_and_ack);
	tcase_add_test(tc, malformed_chain_needs_reset);
	tcase_add_test(tc, queue_ready_0_takes_one_queue_away);
	tcase_add_test(tc, cve_2024_4693_doorbells_follow_the_queues);
	tcase_add_test(tc, doorbells_refused_still_work);
	tcase_add_test(tc, stopped_device_serves_again_after_start);
	tcase_add_test(tc, reset_in_every_state);
	tcase_add_test(tc, where_and_what);
	return tc;
}
