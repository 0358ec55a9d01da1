/* The plan of an x86_64 machine: QEMU's microvm board, and which way its guest is told of it. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "x86.h"

static struct board board;

START_TEST(chips_are_where_a_pc_has_them)
{
	static const struct {
		const char *id;
		uint64_t base;
		int gsi;
	} expected[] = {
		{"uart0", 0x3f8, 4},          {"rtc0", 0x70, 8},
		{"i8042", 0x60, PLAN_NO_IRQ}, {"pvpanic0", 0x505, PLAN_NO_IRQ},
		{"power0", 0xfea00200, 9},    {"rng0", 0xfeb00000, 5},
		{"rng1", 0xfeb00200, 6},
	};
	struct plan plan;
	size_t i;

	board_plan(&plan, 2);
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct plan_device *planned = board_find(&plan, expected[i].id);

		ck_assert_uint_eq(planned->base[0], expected[i].base);
		ck_assert_int_eq(planned->gsi, expected[i].gsi);
	}
	ck_assert_uint_eq(board_find(&plan, "power0")->base[1], 0x600);
	ck_assert_uint_eq(board_find(&plan, "power0")->flags, PLAN_POWER_BUTTON);
	ck_assert(board_find(&plan, "rng0")->pulsed);
	ck_assert(!board_find(&plan, "uart0")->pulsed);
}
END_TEST

START_TEST(nothing_overlaps)
{
	struct plan plan;

	board_plan(&plan, 16);
	board_check_overlaps(&plan);
}
END_TEST

START_TEST(virtio_ends_where_the_io_apic_has_no_more_lines)
{
	struct plan_device planned;
	struct err e = {0};
	struct plan plan = {0};
	unsigned i;

	for (i = 0; i < 16; i++) {
		memset(&planned, 0, sizeof(planned));
		ck_assert_int_eq(arch_plan_virtio(&plan, &planned, &e), 0);
		ck_assert_uint_eq(planned.base[0], 0xfeb00000 + i * 0x200);
		ck_assert_int_lt(planned.gsi, 24);
	}
	ck_assert_int_eq(arch_plan_virtio(&plan, &planned, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "at most 16"));
}
END_TEST

/* The bus checks what the devices themselves say of their regions. */
START_TEST(the_plan_can_be_made_real)
{
	unsigned i, j;

	board_new(&board, MIB(512), 16);
	for (i = 0; i < board.plan.count; i++) {
		const struct device_class *class = board.devices[i]->class;
		const struct plan_device *planned = &board.plan.devices[i];

		ck_assert_uint_eq(class->region_count, planned->region_count);
		for (j = 0; j < class->region_count; j++) {
			ck_assert_int_eq(class->regions[j].space, planned->regions[j].space);
			ck_assert_uint_eq(class->regions[j].len, planned->regions[j].len);
		}
	}
	board_free(&board);
}
END_TEST

/* Which way is taken for @kernel; HARDWARE_AUTO where it is refused. */
static enum hardware choose(enum hardware wanted, const struct kernel_image *kernel, struct err *e)
{
	enum hardware hardware = HARDWARE_AUTO;
	int ret = arch_choose_hardware(wanted, kernel, &hardware, e);

	ck_assert(ret == 0 || ret == -ENOTSUP);
	ck_assert_int_eq(ret == 0, hardware != HARDWARE_AUTO);
	return hardware;
}

/* What a kernel's configuration says is tested with kernel_hardware. */
START_TEST(a_kernel_that_says_nothing_gets_acpi)
{
	struct kernel_image bzimage = {.arch = KERNEL_X86_64, .format = KERNEL_BZIMAGE};
	struct err e = {0};

	ck_assert_int_eq(choose(HARDWARE_AUTO, &bzimage, &e), HARDWARE_ACPI);
	ck_assert_int_eq(choose(HARDWARE_ACPI, &bzimage, &e), HARDWARE_ACPI);
	ck_assert_int_eq(choose(HARDWARE_FDT, &bzimage, &e), HARDWARE_FDT);
}
END_TEST

START_TEST(pvh_alone_takes_no_tree)
{
	struct kernel_image elf = {.arch = KERNEL_X86_64, .format = KERNEL_ELF_PVH};
	char path[] = "vmlinux";
	struct err e = {0};

	elf.path = path;
	elf.elf.pvh_gpa = 0x100000;
	ck_assert_int_eq(choose(HARDWARE_AUTO, &elf, &e), HARDWARE_ACPI);
	ck_assert_int_eq(choose(HARDWARE_ACPI, &elf, &e), HARDWARE_ACPI);
	ck_assert_int_eq(choose(HARDWARE_FDT, &elf, &e), HARDWARE_AUTO);
	ck_assert_msg(strstr(e.text, "--hardware fdt") && strstr(e.text, "PVH"), "%s", e.text);
	/* Linux has another way in. */
	elf.elf.linux_gpa = 0x200000;
	ck_assert_int_eq(choose(HARDWARE_FDT, &elf, &e), HARDWARE_FDT);
}
END_TEST

START_TEST(acpi_is_off_with_a_tree_only)
{
	ck_assert_ptr_nonnull(strstr(arch_default_cmdline(HARDWARE_FDT), " acpi=off "));
	ck_assert_ptr_null(strstr(arch_default_cmdline(HARDWARE_ACPI), "acpi=off"));
}
END_TEST

TCase *x86_plan_case(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_test(tc, chips_are_where_a_pc_has_them);
	tcase_add_test(tc, nothing_overlaps);
	tcase_add_test(tc, virtio_ends_where_the_io_apic_has_no_more_lines);
	tcase_add_test(tc, the_plan_can_be_made_real);
	tcase_add_test(tc, a_kernel_that_says_nothing_gets_acpi);
	tcase_add_test(tc, pvh_alone_takes_no_tree);
	tcase_add_test(tc, acpi_is_off_with_a_tree_only);
	return tc;
}
