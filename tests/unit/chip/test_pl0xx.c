/* The PL031 clock and the PL061 GPIO with the power button. Register offsets by their manuals. */
#include <errno.h>
#include <string.h>

#include "chip/pl031.h"
#include "chip/pl061.h"
#include "fake_board.h"
#include "suite.h"
#include "unit.h"

#define SECOND_NS 1000000000ull

static struct fake_board board;
static struct device *dev;
static uint64_t clock_ns;

static uint64_t fake_now(void *opaque)
{
	(void)opaque;
	return clock_ns;
}

static uint32_t get(unsigned offset)
{
	return (uint32_t)bus_read(board.env.bus, BUS_MMIO, board.place.base[0] + offset, 4);
}

static void put(unsigned offset, uint32_t value)
{
	bus_write(board.env.bus, BUS_MMIO, board.place.base[0] + offset, 4, value);
}

static void begin(void)
{
	ck_assert_int_eq(device_map(dev, NULL), 0);
	ck_assert_int_eq(device_start(dev, NULL), 0);
	loop_run_once(board.env.loop, 0);
}

static void teardown(void)
{
	device_stop(dev);
	device_destroy(dev);
	fake_board_free(&board);
}

/* --- PL031 --------------------------------------------------------------------------------- */

enum {
	RTC_DR = 0,
	RTC_MR = 4,
	RTC_LR = 8,
	RTC_CR = 0xc,
	RTC_IMSC = 0x10,
	RTC_RIS = 0x14,
	RTC_MIS = 0x18,
	RTC_ICR = 0x1c
};

static void setup_rtc(void)
{
	struct pl031_settings settings = {.id = "rtc0", .now_ns = fake_now};

	clock_ns = 1700000000ull * SECOND_NS + SECOND_NS / 2;
	fake_board_init(&board);
	ck_assert_int_eq(pl031_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	begin();
}

START_TEST(the_clock_is_the_hosts)
{
	static const uint8_t ids[] = {0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
	unsigned i;

	ck_assert_uint_eq(get(RTC_DR), 1700000000);
	clock_ns += 10 * SECOND_NS;
	ck_assert_uint_eq(get(RTC_DR), 1700000010);
	ck_assert_uint_eq(get(RTC_CR), 1);
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(get(0xfe0 + i * 4), ids[i]);
}
END_TEST

START_TEST(a_guest_that_sets_it_has_its_own)
{
	put(RTC_LR, 5);
	ck_assert_uint_eq(get(RTC_DR), 5);
	clock_ns += 10 * SECOND_NS;
	ck_assert_uint_eq(get(RTC_DR), 15);
	/* 32 bits that wrap. */
	put(RTC_LR, UINT32_MAX);
	clock_ns += SECOND_NS;
	ck_assert_uint_eq(get(RTC_DR), 0);
	/* Reset is not a dead battery. */
	device_reset(dev);
	ck_assert_uint_eq(get(RTC_DR), 0);
}
END_TEST

START_TEST(the_alarm_goes_off_in_its_second)
{
	put(RTC_IMSC, 1);
	put(RTC_MR, get(RTC_DR) + 1);
	loop_run_once(board.env.loop, 0);
	ck_assert(!board.level);
	/* Half a second of real time until the timer; the guest's clock has moved by then, or not.
	 */
	if (_i)
		clock_ns += SECOND_NS;
	loop_run_once(board.env.loop, 2000);
	ck_assert_int_eq(board.level, _i);
	clock_ns += SECOND_NS;
	if (!_i)
		loop_run_once(board.env.loop, 2000);
	ck_assert(board.level);
	ck_assert_uint_eq(get(RTC_MIS), 1);
	put(RTC_ICR, 1);
	ck_assert(!board.level);
	ck_assert_uint_eq(get(RTC_RIS), 0);
}
END_TEST

START_TEST(an_alarm_for_now_or_before_is_due)
{
	put(RTC_MR, get(RTC_DR) - (uint32_t)_i * 1000);
	loop_run_once(board.env.loop, 0);
	ck_assert_uint_eq(get(RTC_RIS), 1);
	ck_assert_uint_eq(get(RTC_MIS), 0);
	ck_assert(!board.level);
	put(RTC_IMSC, 1);
	ck_assert(board.level);
	device_reset(dev);
	ck_assert(!board.level);
}
END_TEST

START_TEST(nobody_is_waken_after_stop)
{
	put(RTC_IMSC, 1);
	put(RTC_MR, get(RTC_DR) + 1);
	loop_run_once(board.env.loop, 0);
	device_stop(dev);
	clock_ns += 5 * SECOND_NS;
	loop_run_once(board.env.loop, 700);
	ck_assert(!board.level);
	/* The alarm was missed, not forgotten. */
	device_start(dev, NULL);
	loop_run_once(board.env.loop, 0);
	ck_assert(board.level);
}
END_TEST

/* --- PL061 --------------------------------------------------------------------------------- */

enum {
	GPIO_DIR = 0x400,
	GPIO_IS = 0x404,
	GPIO_IBE = 0x408,
	GPIO_IEV = 0x40c,
	GPIO_IE = 0x410,
	GPIO_RIS = 0x414,
	GPIO_MIS = 0x418,
	GPIO_IC = 0x41c,
	GPIO_AFSEL = 0x420
};
#define ALL_LINES (0xff << 2)
#define BUTTON    (1u << PL061_POWER_LINE)

static void setup_gpio(void)
{
	struct pl061_settings settings = {.id = "gpio0"};

	fake_board_init(&board);
	ck_assert_int_eq(pl061_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	begin();
}

static void press(void)
{
	pl061_press_power_button(dev);
	loop_run_once(board.env.loop, 0);
}

START_TEST(data_is_masked_by_the_address)
{
	static const uint8_t ids[] = {0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
	unsigned i;

	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(get(0xfe0 + i * 4), ids[i]);
	put(GPIO_DIR, 0xf0);
	put(ALL_LINES, 0xff);
	ck_assert_uint_eq(get(ALL_LINES), 0xf0);
	put(0x30 << 2, 0x00);
	ck_assert_uint_eq(get(ALL_LINES), 0xc0);
	ck_assert_uint_eq(get(0x40 << 2), 0x40);
	/* What was written to inputs shows when they become outputs. */
	put(GPIO_DIR, 0xff);
	ck_assert_uint_eq(get(ALL_LINES), 0xcf);
}
END_TEST

/* gpio-keys asks for both edges, and looks at the line some milliseconds after each. */
START_TEST(the_button_is_held_and_let_go)
{
	put(GPIO_IBE, BUTTON);
	put(GPIO_IE, BUTTON);
	press();
	ck_assert(board.level);
	ck_assert_uint_eq(get(GPIO_MIS), BUTTON);
	put(GPIO_IC, BUTTON);
	ck_assert(!board.level);
	ck_assert_uint_eq(get(ALL_LINES), BUTTON);
	loop_run_once(board.env.loop, 2000);
	ck_assert_uint_eq(get(ALL_LINES), 0);
	ck_assert(board.level);
	put(GPIO_IC, BUTTON);
	ck_assert(!board.level);
	press();
	ck_assert(board.level);
}
END_TEST

START_TEST(one_edge_is_told_by_its_direction)
{
	put(GPIO_IE, BUTTON);
	put(GPIO_IEV, _i ? BUTTON : 0);
	press();
	ck_assert_int_eq(board.level, _i);
	put(GPIO_IC, BUTTON);
	loop_run_once(board.env.loop, 2000);
	ck_assert_int_eq(board.level, !_i);
}
END_TEST

START_TEST(a_level_lasts_as_long_as_it_does)
{
	put(GPIO_IS, BUTTON);
	put(GPIO_IEV, BUTTON);
	put(GPIO_IE, BUTTON);
	ck_assert(!board.level);
	press();
	ck_assert(board.level);
	put(GPIO_IC, BUTTON);
	ck_assert(board.level);
	loop_run_once(board.env.loop, 2000);
	ck_assert(!board.level);
}
END_TEST

START_TEST(a_masked_interrupt_is_remembered)
{
	put(GPIO_IEV, BUTTON);
	press();
	ck_assert_uint_eq(get(GPIO_RIS), BUTTON);
	ck_assert_uint_eq(get(GPIO_MIS), 0);
	ck_assert(!board.level);
	put(GPIO_IE, BUTTON);
	ck_assert(board.level);
	device_reset(dev);
	ck_assert(!board.level);
	ck_assert_uint_eq(get(GPIO_RIS), 0);
}
END_TEST

START_TEST(a_button_pressed_after_stop_does_nothing)
{
	put(GPIO_IBE, BUTTON);
	put(GPIO_IE, BUTTON);
	device_stop(dev);
	press();
	ck_assert_uint_eq(board.edges, 0);
	ck_assert_uint_eq(get(ALL_LINES), 0);
}
END_TEST

/* Against the manual's equations, kept here bit by bit. */
START_TEST(random_accesses_agree_with_the_manual)
{
	static const unsigned registers[] = {ALL_LINES, GPIO_DIR, GPIO_IS, GPIO_IBE,
					     GPIO_IEV,  GPIO_IE,  GPIO_IC};
	uint8_t value[7] = {0}, edges = 0, before = 0;
	uint64_t seed = unit_seed();
	int i, bit;

	for (i = 0; i < 20000; i++) {
		unsigned which = unit_random(&seed) % 7;
		uint8_t written = (uint8_t)unit_random(&seed), lines = 0, raw = 0;

		put(registers[which], written);
		value[which] = written;
		for (bit = 0; bit < 8; bit++) {
			bool out = value[1] >> bit & 1, level = value[2] >> bit & 1;
			bool both = value[3] >> bit & 1, high = value[4] >> bit & 1;
			bool now = out && (value[0] >> bit & 1), was = before >> bit & 1;

			if (which == 6 && (written >> bit & 1))
				edges &= (uint8_t) ~(1u << bit);
			if (!level && now != was && (both || now == high))
				edges |= (uint8_t)(1u << bit);
			lines |= (uint8_t)(now << bit);
			raw |= (uint8_t)((level ? now == high : edges >> bit & 1) << bit);
		}
		before = lines;
		ck_assert_uint_eq(get(ALL_LINES), lines);
		ck_assert_uint_eq(get(GPIO_RIS), raw);
		ck_assert_uint_eq(get(GPIO_MIS), raw & value[5]);
		ck_assert_int_eq(board.level, (raw & value[5]) != 0);
	}
	ck_assert_uint_eq(board.redundant, 0);
}
END_TEST

TCase *pl031_case(void)
{
	TCase *tc = tcase_create("pl031");

	tcase_add_checked_fixture(tc, setup_rtc, teardown);
	tcase_add_test(tc, the_clock_is_the_hosts);
	tcase_add_test(tc, a_guest_that_sets_it_has_its_own);
	tcase_add_loop_test(tc, the_alarm_goes_off_in_its_second, 0, 2);
	tcase_add_loop_test(tc, an_alarm_for_now_or_before_is_due, 0, 2);
	tcase_add_test(tc, nobody_is_waken_after_stop);
	return tc;
}

TCase *pl061_case(void)
{
	TCase *tc = tcase_create("pl061");

	tcase_add_checked_fixture(tc, setup_gpio, teardown);
	tcase_add_test(tc, data_is_masked_by_the_address);
	tcase_add_test(tc, the_button_is_held_and_let_go);
	tcase_add_loop_test(tc, one_edge_is_told_by_its_direction, 0, 2);
	tcase_add_test(tc, a_level_lasts_as_long_as_it_does);
	tcase_add_test(tc, a_masked_interrupt_is_remembered);
	tcase_add_test(tc, a_button_pressed_after_stop_does_nothing);
	tcase_add_test(tc, random_accesses_agree_with_the_manual);
	return tc;
}
