/* The plan of an aarch64 machine: QEMU's virt board, as programs written for it expect it. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "board.h"

static struct board board;

static const struct plan_device *find(const struct plan *plan, const char *id)
{
	unsigned i;

	for (i = 0; i < plan->count; i++)
		if (!strcmp(plan->devices[i].id, id))
			return &plan->devices[i];
	ck_abort_msg("there is no %s", id);
}

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
		const struct plan_device *planned = find(&plan, expected[i].id);

		ck_assert_uint_eq(planned->base[0], expected[i].base);
		ck_assert_int_eq(planned->gsi, expected[i].spi);
	}
	ck_assert_uint_eq(find(&plan, "gpio0")->flags, PLAN_POWER_BUTTON);
	ck_assert(find(&plan, "rng0")->pulsed);
	ck_assert(!find(&plan, "uart0")->pulsed);
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

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

START_TEST(nothing_overlaps)
{
	const struct arch_map_entry *fixed;
	struct arch_ram_range ram[ARCH_RAM_RANGES_MAX];
	struct plan plan;
	unsigned i, j;

	board_plan(&plan, 28);
	ck_assert_uint_eq(arch_ram_layout(GIB(5), ram), 1);
	ck_assert_uint_eq(ram[0].gpa, GIB(1));
	ck_assert_uint_eq(ram[0].size_bytes, GIB(5));
	for (i = 0; i < plan.count; i++) {
		const struct plan_device *a = &plan.devices[i];

		ck_assert_uint_eq(a->region_count, 1);
		ck_assert_int_eq(a->regions[0].space, BUS_MMIO);
		ck_assert(!overlap(a->base[0], a->regions[0].len, ram[0].gpa, ram[0].size_bytes));
		for (fixed = arch_fixed_map(); fixed->what; fixed++)
			ck_assert_msg(!overlap(a->base[0], a->regions[0].len, fixed->base,
					       fixed->len),
				      "%s and %s overlap", a->id, fixed->what);
		for (j = 0; j < i; j++) {
			const struct plan_device *b = &plan.devices[j];

			ck_assert_msg(!overlap(a->base[0], a->regions[0].len, b->base[0],
					       b->regions[0].len),
				      "%s and %s overlap", a->id, b->id);
			ck_assert(a->gsi == PLAN_NO_IRQ || a->gsi != b->gsi);
		}
	}
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

TCase *plan_case(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_test(tc, chips_are_where_virt_has_them);
	tcase_add_test(tc, virtio_windows_end_where_virt_has_no_more);
	tcase_add_test(tc, nothing_overlaps);
	tcase_add_test(tc, the_plan_can_be_made_real);
	return tc;
}
