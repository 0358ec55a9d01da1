/* The clock: reading, setting as Linux does, modes of writing, flags and the alarm. */
#include <time.h>

#include "base/util.h"
#include "chip/rtc.h"
#include "chip/rtc_time.h"
#include "fake_board.h"
#include "suite.h"
#include "unit.h"

#define S 1000000000ull

/* 2024-02-29 23:59:58.25 UTC, a Thursday. */
#define LEAP_EVENING (1709251198ull * S + S / 4)

static struct fake_board board;
static uint64_t host_ns;

static uint64_t fake_clock(void *opaque)
{
	return *(uint64_t *)opaque;
}

static struct device *new_rtc(void)
{
	struct rtc_settings settings = {.id = "rtc0", .now_ns = fake_clock, .opaque = &host_ns};
	struct device *dev;

	fake_board_init(&board);
	host_ns = LEAP_EVENING;
	ck_assert_int_eq(rtc_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	ck_assert_int_eq(device_map(dev, NULL), 0);
	ck_assert_int_eq(device_start(dev, NULL), 0);
	return dev;
}

static void finish(struct device *dev)
{
	device_stop(dev);
	device_destroy(dev);
	fake_board_free(&board);
}

static uint8_t get(uint8_t reg)
{
	fake_out(&board, 0, reg);
	return fake_in(&board, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	fake_out(&board, 0, reg);
	fake_out(&board, 1, value);
}

static void expect_time(const uint8_t expected[7])
{
	static const uint8_t registers[] = {0x32, 9, 8, 7, 4, 2, 0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(registers); i++)
		ck_assert_msg(get(registers[i]) == expected[i], "register %#x: %#x, not %#x",
			      registers[i], get(registers[i]), expected[i]);
}

START_TEST(shows_the_hosts_time_in_bcd)
{
	struct device *dev = new_rtc();

	expect_time((const uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58});
	ck_assert_uint_eq(get(6), 5);
	ck_assert_uint_eq(get(0x0d), 0x80);
	host_ns += 2 * S;
	expect_time((const uint8_t[]){0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00});
	finish(dev);
}
END_TEST

/* mc146818_set_time() of drivers/rtc: SET, divider in reset, the registers, and both back. */
START_TEST(linux_sets_the_time)
{
	struct device *dev = new_rtc();
	uint8_t control = get(0x0b), freq = get(0x0a);

	set(0x0b, control | 0x80);
	set(0x0a, freq | 0x70);
	set(9, 0x99);
	set(8, 0x12);
	set(7, 0x31);
	set(4, 0x23);
	set(2, 0x59);
	set(0, 0x59);
	set(0x32, 0x19);
	host_ns += 5 * S; /* the clock stands still meanwhile */
	expect_time((const uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59});
	set(0x0b, control);
	set(0x0a, freq);
	expect_time((const uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59});
	host_ns += S / 2 - 1;
	expect_time((const uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59});
	host_ns += 1; /* half a second after the divider started */
	expect_time((const uint8_t[]){0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00});
	/* What the guest set survives its reset. */
	device_reset(dev);
	host_ns += S;
	expect_time((const uint8_t[]){0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x01});
	finish(dev);
}
END_TEST

START_TEST(setting_one_register_of_a_running_clock)
{
	struct device *dev = new_rtc();

	set(4, 0x07);
	expect_time((const uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x07, 0x59, 0x58});
	host_ns += 3 * S / 4;
	expect_time((const uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x07, 0x59, 0x59});
	finish(dev);
}
END_TEST

START_TEST(twelve_hours_and_binary)
{
	struct device *dev = new_rtc();

	set(0x0b, 0x00);
	ck_assert_uint_eq(get(4), 0x91); /* 11 pm */
	host_ns += 2 * S;
	ck_assert_uint_eq(get(4), 0x12); /* 12 am */
	set(0x0b, 0x06);
	host_ns += 23 * 3600 * S;
	ck_assert_uint_eq(get(4), 23);
	ck_assert_uint_eq(get(9), 24);
	ck_assert_uint_eq(get(0x32), 20);
	finish(dev);
}
END_TEST

START_TEST(encoding_and_decoding_agree)
{
	uint64_t seed = unit_seed();
	uint8_t cmos[128];
	unsigned i;

	for (i = 0; i < 20000; i++) {
		int64_t s = (int64_t)(unit_random(&seed) % 253402300800ull); /* up to year 9999 */

		cmos[RTC_REGISTER_B] = (uint8_t)(unit_random(&seed) & 0x06);
		rtc_time_encode(cmos, s);
		ck_assert_int_eq(rtc_time_decode(cmos), s);
	}
}
END_TEST

START_TEST(update_in_progress_leaves_time_to_read)
{
	struct device *dev = new_rtc();

	host_ns = LEAP_EVENING / S * S;
	ck_assert_uint_eq(get(0x0a) & 0x80, 0);
	host_ns += S - 244001;
	ck_assert_uint_eq(get(0x0a) & 0x80, 0);
	host_ns += 1;
	ck_assert_uint_eq(get(0x0a) & 0x80, 0x80);
	/* Nothing is in progress while the guest holds the clock. */
	set(0x0b, 0x82);
	ck_assert_uint_eq(get(0x0a) & 0x80, 0);
	finish(dev);
}
END_TEST

START_TEST(flags_tell_of_seconds_and_of_the_alarm)
{
	struct device *dev = new_rtc();

	set(5, 0x00);
	set(3, 0x00);
	set(1, 0x01);
	ck_assert_uint_eq(get(0x0c), 0);
	host_ns += 2 * S;
	ck_assert_uint_eq(get(0x0c), 0x10);
	ck_assert_uint_eq(get(0x0c), 0);
	host_ns += S; /* 00:00:01 */
	ck_assert_uint_eq(get(0x0c), 0x30);
	ck_assert(!board.level);
	/* Any minute, any hour. */
	set(5, 0xff);
	set(3, 0xc0);
	host_ns += 60 * S;
	ck_assert_uint_eq(get(0x0c), 0x30);
	/* Not looked at for a long time, and no alarm that could have been. */
	set(5, 0x24);
	get(0x0c);
	host_ns += 400 * 86400 * S;
	ck_assert_uint_eq(get(0x0c), 0x10);
	finish(dev);
}
END_TEST

START_TEST(alarm_interrupts_until_it_is_read)
{
	struct device *dev = new_rtc();
	unsigned i;

	set(5, 0xff);
	set(3, 0xff);
	set(1, 0x59);
	host_ns = (LEAP_EVENING / S) * S + S - 1000000; /* a millisecond before the second 59 */
	set(0x0b, 0x22);
	host_ns += 2000000;
	for (i = 0; i < 100 && !board.level; i++)
		loop_run_once(board.env.loop, 1000);
	ck_assert(board.level);
	ck_assert_uint_eq(get(0x0c), 0xb0);
	ck_assert(!board.level);
	ck_assert_uint_eq(board.redundant, 0);
	finish(dev);
}
END_TEST

START_TEST(any_register_content_is_survived)
{
	struct device *dev = new_rtc();
	uint64_t seed = unit_seed();
	unsigned i;

	for (i = 0; i < 5000; i++) {
		uint64_t r = unit_random(&seed);

		host_ns = r % 7 ? host_ns + (r >> 40) : r;
		if (r & 1)
			set((uint8_t)(r >> 8), (uint8_t)(r >> 16));
		else
			get((uint8_t)(r >> 8));
	}
	ck_assert_uint_eq(board.redundant, 0);
	finish(dev);
}
END_TEST

TCase *rtc_case(void)
{
	TCase *tcase = tcase_create("clock");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, shows_the_hosts_time_in_bcd);
	tcase_add_test(tcase, linux_sets_the_time);
	tcase_add_test(tcase, setting_one_register_of_a_running_clock);
	tcase_add_test(tcase, twelve_hours_and_binary);
	tcase_add_test(tcase, encoding_and_decoding_agree);
	tcase_add_test(tcase, update_in_progress_leaves_time_to_read);
	tcase_add_test(tcase, flags_tell_of_seconds_and_of_the_alarm);
	tcase_add_test(tcase, alarm_interrupts_until_it_is_read);
	tcase_add_test(tcase, any_register_content_is_survived);
	return tcase;
}
