/*
 * The device tree of an x86_64 machine. Its text, as dtc prints it, is held for 1 and 4 vCPUs in
 * golden/.
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "dts.h"
#include "x86.h"

static struct board board;
static struct x86_board description;

static void setup(void)
{
	board_new(&board, GIB(5), 2);
}

static void teardown(void)
{
	board_free(&board);
}

static void describe(unsigned cpus)
{
	description = (struct x86_board){
		.cpus = cpus,
		.machine =
			{
				.mem = board.env.mem,
				.cmdline = arch_default_cmdline(HARDWARE_FDT),
				.initrd_gpa = 0xbfe00000,
				.initrd_bytes = 0x12345,
				.devices = board.devices,
				.device_count = board.plan.count,
			},
	};
}

/* The tree, to be freed with *@fdt. */
static const void *build(struct fdt_builder **fdt, size_t *len)
{
	struct err e = {0};
	const void *blob;

	ck_assert_msg(!x86_tree_build(&description, fdt, &blob, len, &e), "%s", e.text);
	return blob;
}

/* NULL where there is no dtc. */
static char *tree_text(void)
{
	struct fdt_builder *fdt;
	size_t len;
	const void *blob = build(&fdt, &len);
	char *text = dts_text(blob, len);

	fdtb_free(fdt);
	return text;
}

START_TEST(the_tree_is_the_golden_one)
{
	static const unsigned cpus[] = {1, 4};
	char name[32], *text;

	describe(cpus[_i]);
	text = tree_text();
	if (!text)
		return;
	snprintf(name, sizeof(name), "x86_64-%u.dts", cpus[_i]);
	dts_check_golden(text, name);
	free(text);
}
END_TEST

START_TEST(dtc_has_nothing_to_say)
{
	describe(_i == 2 ? 1000 : 2);
	if (_i == 0) { /* the board without what is optional */
		description.machine.initrd_bytes = 0;
		description.machine.device_count = board.plan.count - 2;
	}
	if (_i == 1)
		description.machine.cmdline = "quotes \" and \\ and UTF-8 ü";
	free(tree_text());
}
END_TEST

/* Linux finds a processor by its APIC id, which the tree has in reg. */
START_TEST(every_processor_has_its_node)
{
	struct fdt_builder *fdt;
	const void *blob;
	size_t len;
	unsigned i;

	describe(300);
	blob = build(&fdt, &len);
	for (i = 0; i < 300; i++) {
		char path[32];
		const void *reg;
		int node, size;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", i);
		node = fdt_path_offset(blob, path);
		ck_assert_msg(node >= 0, "there is no %s", path);
		reg = fdt_getprop(blob, node, "reg", &size);
		ck_assert_int_eq(size, 4);
		ck_assert_uint_eq(get_be32(reg), arch_vcpu_id(i));
	}
	fdtb_free(fdt);
}
END_TEST

/* arch/x86/kernel/devicetree.c looks for nothing else by these names. */
START_TEST(linux_finds_what_it_looks_for)
{
	static const char *const compatibles[] = {
		"intel,ce4100-lapic", "intel,ce4100-ioapic", "isa",
		"ns16550a",           "virtio,mmio",         "syscon-poweroff",
	};
	struct fdt_builder *fdt;
	const void *blob;
	size_t len, i;
	int serial;

	describe(1);
	blob = build(&fdt, &len);
	for (i = 0; i < ARRAY_SIZE(compatibles); i++)
		ck_assert_msg(fdt_node_offset_by_compatible(blob, -1, compatibles[i]) >= 0,
			      "nothing is compatible with %s", compatibles[i]);
	/* Linux takes for an ISA bus what is called so, whatever its type says. */
	serial = fdt_path_offset(blob, "serial0");
	ck_assert_int_ge(serial, 0);
	ck_assert_int_eq(fdt_path_offset(blob, "/isa@0,0/serial@3f8"), serial);
	fdtb_free(fdt);
}
END_TEST

TCase *x86_tree_case(void)
{
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_tree_is_the_golden_one, 0, 2);
	tcase_add_loop_test(tc, dtc_has_nothing_to_say, 0, 3);
	tcase_add_test(tc, every_processor_has_its_node);
	tcase_add_test(tc, linux_finds_what_it_looks_for);
	return tc;
}
