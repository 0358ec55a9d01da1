/*
 * The device tree of an aarch64 machine. Its text, as dtc prints it, is held for 1 and 4 vCPUs in
 * golden/.
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm64.h"
#include "base/bytes.h"
#include "base/util.h"
#include "dts.h"
#include "layout.h"

#define CPUS_MAX 512

static struct board board;
static struct arm64_board description;
static uint64_t mpidrs[CPUS_MAX];

static void setup(void)
{
	board_new(&board, GIB(5), 2);
}

static void teardown(void)
{
	board_free(&board);
}

/* @cpus vCPUs, GICv3 with an ITS, an initrd, seeds that are known. */
static void describe(unsigned cpus)
{
	unsigned i;

	ck_assert_uint_le(cpus, CPUS_MAX);
	/* As KVM numbers them: 16 to an Aff0, bit 31 is always set. */
	for (i = 0; i < cpus; i++)
		mpidrs[i] = 1ull << 31 | (i & 0xf) | (uint64_t)(i >> 4) << 8;
	description = (struct arm64_board){
		.cpus = cpus,
		.mpidrs = mpidrs,
		.gic_version = 3,
		.has_its = true,
		.redists = {{ARM64_GICR_BASE, (uint64_t)cpus * ARM64_GICR_STEP}},
		.redist_count = 1,
		.kaslr_seed = 0x0123456789abcdef,
		.machine =
			{
				.mem = board.env.mem,
				.cmdline = arch_default_cmdline(HARDWARE_FDT),
				.initrd_gpa = 0x5fe00000,
				.initrd_bytes = 0x12345,
				.devices = board.devices,
				.device_count = board.plan.count,
			},
	};
	for (i = 0; i < ARM64_RNG_SEED_BYTES; i++)
		description.rng_seed[i] = (uint8_t)i;
}

/* NULL where there is no dtc. */
static char *tree_text(void)
{
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;
	char *text;

	ck_assert_msg(!arm64_tree_build(&description, &fdt, &blob, &len, &e), "%s", e.text);
	text = dts_text(blob, len);
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
	snprintf(name, sizeof(name), "aarch64-%u.dts", cpus[_i]);
	dts_check_golden(text, name);
	free(text);
}
END_TEST

START_TEST(dtc_has_nothing_to_say)
{
	char *text;

	describe(_i == 3 ? 300 : 2);
	switch (_i) {
	case 0: /* the board without what is optional */
		description.has_its = false;
		description.machine.initrd_bytes = 0;
		description.machine.device_count = board.plan.count - 2;
		break;
	case 1:
		description.gic_version = 2;
		description.has_its = false;
		break;
	case 2:
		description.machine.cmdline = "quotes \" and \\ and UTF-8 ü";
		break;
	default: /* more redistributors than one window holds */
		description.redists[0].len = 123ull * 0x20000;
		description.redists[1] =
			(struct fdt_window){(1ull << 40) - 177 * 0x20000, 177 * 0x20000};
		description.redist_count = 2;
		break;
	}
	text = tree_text();
	if (text && _i == 1) {
		ck_assert_ptr_nonnull(strstr(text, "arm,cortex-a15-gic"));
		/* Two processors get the private interrupts: mask 3. */
		ck_assert_ptr_nonnull(strstr(text, "<0x01 0x0d 0x304 0x01 0x0e 0x304"));
	}
	if (text && _i == 3)
		ck_assert_ptr_nonnull(strstr(text, "#redistributor-regions = <0x02>"));
	free(text);
}
END_TEST

/* Linux gives the processors the numbers in which it finds them, and takes them by MPIDR. */
START_TEST(every_processor_has_its_node)
{
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;
	unsigned i;

	describe(300);
	ck_assert_int_eq(arm64_tree_build(&description, &fdt, &blob, &len, &e), 0);
	for (i = 0; i < 300; i++) {
		unsigned affinity = (i & 0xf) | (i >> 4) << 8;
		char path[32];
		const void *reg;
		int node, size;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", affinity);
		node = fdt_path_offset(blob, path);
		ck_assert_msg(node >= 0, "there is no %s", path);
		reg = fdt_getprop(blob, node, "reg", &size);
		ck_assert_int_eq(size, 4);
		ck_assert_uint_eq(get_be32(reg), affinity);
	}
	fdtb_free(fdt);
}
END_TEST

START_TEST(a_device_that_cannot_describe_itself_is_named)
{
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;

	describe(1);
	/* Twice the same GPIO chip: its label would mean two nodes. */
	board.devices[board.plan.count - 1]->class->destroy(board.devices[board.plan.count - 1]);
	board.devices[--board.plan.count] = board.devices[2];
	ck_assert_int_lt(arm64_tree_build(&description, &fdt, &blob, &len, &e), 0);
	ck_assert_msg(strstr(e.text, "gpio"), "%s", e.text);
}
END_TEST

TCase *arm64_tree_case(void)
{
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_tree_is_the_golden_one, 0, 2);
	tcase_add_loop_test(tc, dtc_has_nothing_to_say, 0, 4);
	tcase_add_test(tc, every_processor_has_its_node);
	tcase_add_test(tc, a_device_that_cannot_describe_itself_is_named);
	return tc;
}
