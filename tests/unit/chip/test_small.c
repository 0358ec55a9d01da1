/* i8042, pvpanic and ACPI power: what they raise, and what they do not. */
#include <string.h>

#include "chip/i8042.h"
#include "chip/power.h"
#include "chip/pvpanic.h"
#include "chip/rtc.h"
#include "chip/uart16550.h"
#include "fake_board.h"
#include "suite.h"
#include "tables/aml.h"
#include "unit.h"

static struct fake_board board;

static struct device *map(struct device *dev)
{
	struct err e;

	ck_assert_int_eq(device_map(dev, &e), 0);
	ck_assert_int_eq(device_start(dev, &e), 0);
	return dev;
}

static struct device *new_i8042(void)
{
	struct i8042_settings settings = {.id = "i8042"};
	struct device *dev;

	ck_assert_int_eq(i8042_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	return map(dev);
}

static struct device *new_pvpanic(void)
{
	struct pvpanic_settings settings = {.id = "pvpanic0"};
	struct device *dev;

	ck_assert_int_eq(pvpanic_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	return map(dev);
}

static struct device *new_power(void)
{
	struct power_settings settings = {.id = "power0"};
	struct device *dev;

	ck_assert_int_eq(power_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	return map(dev);
}

static void finish(struct device *dev)
{
	device_stop(dev);
	device_destroy(dev);
	fake_board_free(&board);
}

START_TEST(i8042_resets_by_pulse_and_by_output_port)
{
	struct device *dev;
	unsigned command, expected = 0;

	fake_board_init(&board);
	dev = new_i8042();
	for (command = 0xf0; command <= 0xff; command++) {
		fake_out(&board, 4, (uint8_t)command);
		expected += !(command & 1);
		ck_assert_uint_eq(board.raised[MACHINE_RESET], expected);
	}
	fake_out(&board, 4, 0xd1);
	fake_out(&board, 0, 0x03);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], expected);
	fake_out(&board, 4, 0xd1);
	fake_out(&board, 0, 0x02);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], expected + 1);
	/* Data without a command is for a keyboard. */
	fake_out(&board, 0, 0xfe);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], expected + 1);
	finish(dev);
}
END_TEST

static uint8_t i8042_answer(uint8_t command)
{
	fake_out(&board, 4, command);
	ck_assert_uint_eq(fake_in(&board, 4) & 0x03, 0x01);
	return fake_in(&board, 0);
}

/* What Linux's i8042 driver asks gets an answer at once, and says that there is no mouse port. */
START_TEST(i8042_probe_ends_without_a_time_out)
{
	struct device *dev;
	uint8_t config;

	fake_board_init(&board);
	dev = new_i8042();
	ck_assert_uint_eq(fake_in(&board, 4) & 0x03, 0);
	ck_assert_uint_eq(i8042_answer(0xaa), 0x55);
	ck_assert_uint_eq(fake_in(&board, 4) & 0x04, 0x04);
	config = i8042_answer(0x20);
	fake_out(&board, 4, 0x60);
	fake_out(&board, 0, config | 0x01);
	ck_assert_uint_eq(i8042_answer(0x20), config | 0x01);
	ck_assert_uint_eq(i8042_answer(0xab), 0x00);
	ck_assert_uint_eq(i8042_answer(0xa9), 0x01);
	fake_out(&board, 4, 0xd3);
	fake_out(&board, 0, 0x5a);
	ck_assert_uint_eq(fake_in(&board, 4) & 0x21, 0x01); /* not from the mouse */
	ck_assert_uint_eq(fake_in(&board, 0), 0x5a);
	ck_assert_uint_eq(fake_in(&board, 1), 0xff);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], 0);
	finish(dev);
}
END_TEST

START_TEST(pvpanic_tells_a_panic_from_a_crash_kernel)
{
	struct device *dev;

	fake_board_init(&board);
	dev = new_pvpanic();
	ck_assert_uint_eq(fake_in(&board, 0), 0x03);
	fake_out(&board, 0, 0x02);
	fake_out(&board, 0, 0xfc);
	ck_assert_uint_eq(board.raised[MACHINE_GUEST_PANICKED], 0);
	fake_out(&board, 0, 0x01);
	ck_assert_uint_eq(board.raised[MACHINE_GUEST_PANICKED], 1);
	finish(dev);
}
END_TEST

START_TEST(power_off_takes_type_and_enable)
{
	struct device *dev;
	unsigned value, expected = 0;

	fake_board_init(&board);
	dev = new_power();
	for (value = 0; value < 256; value++) {
		fake_out(&board, POWER_SLEEP_CONTROL, (uint8_t)value);
		expected += (value & 0x20) && (value >> 2 & 7) == POWER_SLP_TYP_S5;
		ck_assert_uint_eq(board.raised[MACHINE_POWER_OFF], expected);
		ck_assert_uint_eq(fake_in(&board, POWER_SLEEP_CONTROL) & 0x20, 0);
	}
	fake_out(&board, POWER_SLEEP_STATUS, 0x80);
	ck_assert_uint_eq(fake_in(&board, POWER_SLEEP_STATUS), 0);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], 0);
	finish(dev);
}
END_TEST

START_TEST(power_resets_by_its_value_alone)
{
	struct device *dev;

	fake_board_init(&board);
	dev = new_power();
	fake_out(&board, POWER_RESET, POWER_RESET_VALUE + 1);
	fake_out(&board, POWER_RESET, 0);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], 0);
	fake_out(&board, POWER_RESET, POWER_RESET_VALUE);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], 1);
	finish(dev);
}
END_TEST

/* What a device tree names: the registers once more, in memory. */
START_TEST(power_registers_are_in_memory_too)
{
	struct device *dev;
	uint64_t base;

	fake_board_init(&board);
	dev = new_power();
	base = dev->place.base[0];
	bus_write(board.env.bus, BUS_MMIO, base + POWER_SLEEP_CONTROL, 1, POWER_SLP_TYP_S5 << 2);
	ck_assert_uint_eq(fake_in(&board, POWER_SLEEP_CONTROL), POWER_SLP_TYP_S5 << 2);
	ck_assert_uint_eq(board.raised[MACHINE_POWER_OFF], 0);
	bus_write(board.env.bus, BUS_MMIO, base + POWER_SLEEP_CONTROL, 1, 0x34);
	ck_assert_uint_eq(board.raised[MACHINE_POWER_OFF], 1);
	ck_assert_uint_eq(bus_read(board.env.bus, BUS_MMIO, base + POWER_SLEEP_CONTROL, 1), 0x14);
	bus_write(board.env.bus, BUS_MMIO, base + POWER_RESET, 1, POWER_RESET_VALUE);
	ck_assert_uint_eq(board.raised[MACHINE_RESET], 1);
	finish(dev);
}
END_TEST

START_TEST(power_button_is_one_edge_while_running)
{
	struct device *dev;

	fake_board_init(&board);
	dev = new_power();
	power_press_button(dev);
	ck_assert_uint_eq(board.pulses, 1);
	device_stop(dev);
	power_press_button(dev);
	ck_assert_uint_eq(board.pulses, 1);
	finish(dev);
}
END_TEST

static bool contains(const struct aml *aml, const char *text)
{
	return memmem(aml->out.data, aml->out.len, text, strlen(text)) != NULL;
}

START_TEST(acpi_objects_are_closed_and_named)
{
	struct device *dev;
	struct aml aml;

	fake_board_init(&board);
	aml_init(&aml);
	dev = new_power();
	dev->class->describe_acpi(dev, &aml);
	ck_assert_uint_eq(aml.depth, 0);
	ck_assert(contains(&aml, "_S5_") && contains(&aml, "PWRB") && contains(&aml, "ACPI0013") &&
		  contains(&aml, "_EVT"));
	aml_free(&aml);
	finish(dev);

	fake_board_init(&board);
	dev = new_pvpanic();
	dev->class->describe_acpi(dev, &aml);
	ck_assert_uint_eq(aml.depth, 0);
	ck_assert(contains(&aml, "QEMU0001"));
	aml_free(&aml);
	finish(dev);
}
END_TEST

TCase *small_case(void)
{
	TCase *tcase = tcase_create("i8042, pvpanic, power");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, i8042_resets_by_pulse_and_by_output_port);
	tcase_add_test(tcase, i8042_probe_ends_without_a_time_out);
	tcase_add_test(tcase, pvpanic_tells_a_panic_from_a_crash_kernel);
	tcase_add_test(tcase, power_off_takes_type_and_enable);
	tcase_add_test(tcase, power_resets_by_its_value_alone);
	tcase_add_test(tcase, power_registers_are_in_memory_too);
	tcase_add_test(tcase, power_button_is_one_edge_while_running);
	tcase_add_test(tcase, acpi_objects_are_closed_and_named);
	return tcase;
}
