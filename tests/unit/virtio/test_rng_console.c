/* virtio-rng and virtio-console, the latter on a fake character back-end: these are its three
 * calls. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "char/chr.h"
#include "driver.h"
#include "tests.h"
#include "virtio/console.h"
#include "virtio/rng.h"

struct chr {
	struct chr_client client;
	char out[8192];
	size_t out_len, out_room;
	unsigned accepts;
};

int chr_start(struct chr *chr, const struct chr_client *client, struct err *e)
{
	(void)e;
	chr->client = *client;
	return 0;
}

size_t chr_write(struct chr *chr, const uint8_t *bytes, size_t len)
{
	size_t n = MIN(len, chr->out_room);

	memcpy(chr->out + chr->out_len, bytes, n);
	chr->out_len += n;
	chr->out_room -= n;
	return n;
}

void chr_accept(struct chr *chr)
{
	chr->accepts++;
}

static struct guest g;
static struct chr chr;

static void plug_rng(void)
{
	struct virtio_rng_settings settings = {.id = "rng0"};
	struct device *dev;

	guest_init(&g);
	ck_assert_int_eq(virtio_rng_new(&g.env, &g.place, &settings, &dev, NULL), 0);
	guest_plug(&g, dev);
	guest_bring_up(&g, 0, 1, 32);
}

static void plug_console_sized(uint16_t queue_size)
{
	struct virtio_console_settings settings = {.id = "console0", .chr = &chr};
	struct device *dev;

	memset(&chr, 0, sizeof(chr));
	guest_init(&g);
	ck_assert_int_eq(virtio_console_new(&g.env, &g.place, &settings, &dev, NULL), 0);
	guest_plug(&g, dev);
	guest_bring_up(&g, 1ull << VIRTIO_F_EVENT_IDX, 2, queue_size);
}

static void plug_console(void)
{
	plug_console_sized(16);
}

START_TEST(rng_fills_buffers)
{
	uint64_t gpa;
	uint32_t len;
	unsigned i, zeroes = 0;

	plug_rng();
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	gpa = guest_alloc(&g, 2048, 16);
	guest_add(&g, 0, (struct guest_buf[]){{gpa, 1000, true}, {gpa + 1024, 24, true}}, 2);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
	ck_assert_uint_eq(len, 1024);
	for (i = 0; i < 1000; i++)
		zeroes += !*(uint8_t *)guest_at(&g, gpa + i, 1);
	ck_assert_uint_lt(zeroes, 100);
	ck_assert_uint_eq(*(uint8_t *)guest_at(&g, gpa + 1000, 1), 0);
	ck_assert_uint_eq(g.irq.count, 1);
	guest_free(&g);
}
END_TEST

START_TEST(rng_bounds_a_request)
{
	uint64_t gpa;
	uint32_t len;

	plug_rng();
	gpa = guest_alloc(&g, 1u << 20, 16);
	guest_add(&g, 0, (struct guest_buf[]){{gpa, 1u << 20, true}}, 1);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
	ck_assert_uint_eq(len, 4096);
	ck_assert_uint_eq(*(uint64_t *)guest_at(&g, gpa + 4096, 8), 0);
	guest_free(&g);
}
END_TEST

START_TEST(rng_serves_more_than_one_round)
{
	uint64_t gpa;
	uint32_t len;
	unsigned i;

	plug_rng();
	gpa = guest_alloc(&g, 32, 16);
	for (i = 0; i < 32; i++)
		guest_add(&g, 0, (struct guest_buf[]){{gpa + i, 1, true}}, 1);
	guest_kick(&g, 0);
	guest_run(&g);
	for (i = 0; i < 32; i++)
		ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
	guest_free(&g);
}
END_TEST

START_TEST(rng_refuses_a_buffer_it_cannot_write)
{
	plug_rng();
	guest_add(&g, 0, (struct guest_buf[]){{0x1000, 64, false}}, 1);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_uint_eq(guest_reg(&g, VIRTIO_MMIO_STATUS), 15 | VIRTIO_NEEDS_RESET);
	guest_free(&g);
}
END_TEST

START_TEST(console_output_waits_for_room)
{
	uint64_t gpa;
	uint32_t len;

	plug_console();
	gpa = guest_alloc(&g, 16, 16);
	memcpy(guest_at(&g, gpa, 16), "hello, host 1234", 16);
	guest_add(&g, 1, (struct guest_buf[]){{gpa, 7, false}, {gpa + 7, 9, false}}, 2);
	chr.out_room = 9;
	guest_kick(&g, 1);
	guest_run(&g);
	ck_assert_int_eq(guest_reap(&g, 1, &len), -1);
	chr.out_room = 100;
	chr.client.writable(chr.client.opaque);
	ck_assert_int_ge(guest_reap(&g, 1, &len), 0);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(chr.out_len, 16);
	ck_assert_int_eq(memcmp(chr.out, "hello, host 1234", 16), 0);
	guest_free(&g);
}
END_TEST

START_TEST(cve_2020_16843_input_goes_on_when_both_ends_were_full)
{
	uint64_t gpa;
	uint32_t len;
	unsigned accepts;

	plug_console();
	guest_run(&g);
	accepts = chr.accepts;
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 0);
	/* The console has asked for a notification when it found no buffer. */
	ck_assert_uint_eq(guest_avail_event(&g, 0), 0);
	gpa = guest_alloc(&g, 16, 16);
	guest_add(&g, 0, (struct guest_buf[]){{gpa, 3, true}, {gpa + 3, 13, true}}, 2);
	guest_kick(&g, 0);
	guest_run(&g);
	ck_assert_uint_gt(chr.accepts, accepts);
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 16);
	chr.client.receive(chr.client.opaque, (const uint8_t *)"typed", 5);
	ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_int_eq(memcmp(guest_at(&g, gpa, 5), "typed", 5), 0);
	ck_assert_uint_eq(*(uint8_t *)guest_at(&g, gpa + 5, 1), 0);
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 0);
	ck_assert_uint_eq(guest_avail_event(&g, 0), 1);
	guest_free(&g);
}
END_TEST

START_TEST(console_reset_forgets_chains_it_kept)
{
	uint64_t gpa;
	uint32_t len;

	plug_console();
	gpa = guest_alloc(&g, 32, 16);
	guest_add(&g, 0, (struct guest_buf[]){{gpa, 16, true}}, 1);
	guest_add(&g, 1, (struct guest_buf[]){{gpa + 16, 16, false}}, 1);
	guest_kick(&g, 1);
	guest_run(&g);
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 16);
	guest_set_reg(&g, VIRTIO_MMIO_STATUS, 0);
	chr.out_room = 100;
	chr.client.writable(chr.client.opaque);
	chr.client.receive(chr.client.opaque, (const uint8_t *)"late", 4);
	ck_assert_uint_eq(chr.out_len, 0);
	ck_assert_int_eq(guest_reap(&g, 0, &len), -1);
	ck_assert_int_eq(guest_reap(&g, 1, &len), -1);
	ck_assert_int_eq(memcmp(guest_at(&g, gpa, 4), "\0\0\0\0", 4), 0);
	guest_free(&g);
}
END_TEST

/* A driver that refills its queue as fast as it is emptied would keep the main loop for ever. */
START_TEST(console_ends_its_round_when_buffers_have_no_room)
{
	uint64_t gpa;
	uint32_t len;
	unsigned i, accepts;

	plug_console_sized(64);
	guest_run(&g);
	gpa = guest_alloc(&g, 16, 16);
	for (i = 0; i < 64; i++)
		guest_add(&g, 0, (struct guest_buf[]){{gpa, 0, true}}, 1);
	accepts = chr.accepts;
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 0);
	for (i = 0; i < 64; i++)
		ck_assert_int_ge(guest_reap(&g, 0, &len), 0);
	guest_add(&g, 0, (struct guest_buf[]){{gpa, 16, true}}, 1);
	/* Without a notification: it has promised itself to look again. */
	guest_run(&g);
	ck_assert_uint_gt(chr.accepts, accepts);
	ck_assert_uint_eq(chr.client.can_receive(chr.client.opaque), 16);
	guest_free(&g);
}
END_TEST

TCase *rng_console_cases(void)
{
	TCase *tc = tcase_create("rng_console");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rng_fills_buffers);
	tcase_add_test(tc, rng_bounds_a_request);
	tcase_add_test(tc, rng_serves_more_than_one_round);
	tcase_add_test(tc, rng_refuses_a_buffer_it_cannot_write);
	tcase_add_test(tc, console_output_waits_for_room);
	tcase_add_test(tc, cve_2020_16843_input_goes_on_when_both_ends_were_full);
	tcase_add_test(tc, console_reset_forgets_chains_it_kept);
	tcase_add_test(tc, console_ends_its_round_when_buffers_have_no_room);
	return tc;
}
