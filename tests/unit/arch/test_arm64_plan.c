/* The plan of an aarch64 machine: QEMU's virt board, as programs written for it expect it. */
#include <errno.h>
#include <string.h>

#include "arm64.h"
#include "base/util.h"

static struct board board;

START_TEST(chips_are_where_virt_has_them)
{
	static const struct {
		const char *id;
		uint64_t base;
		int spi;
	} expected[] = {
		{"uart0", 0x09000000, 1}, {"rtc0", 0x09010000, 2},  {"gpio0", 0x09030000, 7},
		{"rng0", 0x0a000000, 16}, {"rng1", 0x0a000200, 17},
	};
	struct plan plan;
	size_t i;

	board_plan(&plan, 2);
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct plan_device *planned = board_find(&plan, expected[i].id);

		ck_assert_uint_eq(planned->base[0], expected[i].base);
		ck_assert_int_eq(planned->gsi, expected[i].spi);
	}
	ck_assert_uint_eq(board_find(&plan, "gpio0")->flags, PLAN_POWER_BUTTON);
	ck_assert(board_find(&plan, "rng0")->pulsed);
	ck_assert(!board_find(&plan, "uart0")->pulsed);
}
END_TEST

START_TEST(virtio_windows_end_where_virt_has_no_more)
{
	struct plan_device planned;
	struct err e = {0};
	struct plan plan = {0};
	unsigned i;

	for (i = 0; i < 32; i++) {
		memset(&planned, 0, sizeof(planned));
		ck_assert_int_eq(arch_plan_virtio(&plan, &planned, &e), 0);
		ck_assert_uint_eq(planned.base[0], 0x0a000000 + i * 0x200);
	}
	ck_assert_int_eq(arch_plan_virtio(&plan, &planned, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "at most 32"));
}
END_TEST

START_TEST(nothing_overlaps)
{
	struct arch_ram_range ram[ARCH_RAM_RANGES_MAX];
	struct plan plan;
	unsigned i;

	board_plan(&plan, 28);
	ck_assert_uint_eq(arch_ram_layout(GIB(5), ram), 1);
	ck_assert_uint_eq(ram[0].gpa, GIB(1));
	ck_assert_uint_eq(ram[0].size_bytes, GIB(5));
	board_check_overlaps(&plan);
	for (i = 0; i < plan.count; i++) {
		ck_assert_uint_eq(plan.devices[i].region_count, 1);
		ck_assert_int_eq(plan.devices[i].regions[0].space, BUS_MMIO);
	}
}
END_TEST

START_TEST(hardware_is_told_by_a_tree_only)
{
	struct kernel_image kernel = {.arch = KERNEL_AARCH64};
	enum hardware hardware = HARDWARE_AUTO;
	struct err e = {0};

	ck_assert_int_eq(arch_choose_hardware(HARDWARE_AUTO, &kernel, &hardware, &e), 0);
	ck_assert_int_eq(hardware, HARDWARE_FDT);
	ck_assert_int_eq(arch_choose_hardware(HARDWARE_FDT, &kernel, &hardware, &e), 0);
	ck_assert_int_eq(hardware, HARDWARE_FDT);
	ck_assert_int_eq(arch_choose_hardware(HARDWARE_ACPI, &kernel, &hardware, &e), -ENOTSUP);
	ck_assert_msg(strstr(e.text, "--hardware acpi") && strstr(e.text, "--hardware fdt"), "%s",
		      e.text);
}
END_TEST

/* The bus checks what the devices themselves say of their regions. */
START_TEST(the_plan_can_be_made_real)
{
	unsigned i;

	board_new(&board, MIB(512), 28);
	for (i = 0; i < board.plan.count; i++) {
		const struct device_class *class = board.devices[i]->class;

		ck_assert_uint_eq(class->region_count, board.plan.devices[i].region_count);
		ck_assert_uint_eq(class->regions[0].len, board.plan.devices[i].regions[0].len);
		ck_assert_ptr_nonnull(class->describe_fdt);
	}
	board_free(&board);
}
END_TEST

TCase *arm64_plan_case(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_test(tc, chips_are_where_virt_has_them);
	tcase_add_test(tc, virtio_windows_end_where_virt_has_no_more);
	tcase_add_test(tc, nothing_overlaps);
	tcase_add_test(tc, hardware_is_told_by_a_tree_only);
	tcase_add_test(tc, the_plan_can_be_made_real);
	return tc;
}
