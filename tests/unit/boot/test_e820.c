/* The memory map, for guests of every size. */
#include "base/util.h"
#include "boot/e820.h"
#include "boot/x86_layout.h"
#include "synth.h"
#include "tests.h"

/* Entries are in order, disjoint, and their RAM is all of memory but the PC's own below 1 MiB. */
static unsigned check_map(struct gmem *mem, struct e820_entry map[E820_MAX])
{
	unsigned count = e820_build(mem, true, map), i;
	uint64_t ram = 0;

	for (i = 0; i < count; i++) {
		if (i)
			ck_assert_uint_ge(map[i].gpa, map[i - 1].gpa + map[i - 1].size_bytes);
		ck_assert_uint_gt(map[i].size_bytes, 0);
		if (map[i].type == E820_RAM)
			ram += map[i].size_bytes;
	}
	ck_assert_uint_eq(ram, gmem_total_bytes(mem) - (X86_HIGH_RAM_GPA - X86_EBDA_GPA));
	return count;
}

START_TEST(all_memory_is_in_the_map)
{
	static const struct {
		uint64_t low, high;
	} guests[] = {
		{MIB(2), 0},      {MIB(256), 0},    {GIB(3), 0},
		{GIB(3), MIB(1)}, {GIB(3), GIB(2)}, {GIB(3), GIB(1021)},
	};
	struct e820_entry map[E820_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(guests); i++) {
		struct gmem *mem = synth_memory(guests[i].low, guests[i].high);
		unsigned count = check_map(mem, map);

		ck_assert_uint_eq(count, guests[i].high ? 5 : 4);
		ck_assert_uint_eq(map[0].gpa, 0);
		ck_assert_uint_eq(map[0].size_bytes, 0x9fc00);
		ck_assert_int_eq(map[1].type, E820_RESERVED);
		ck_assert_uint_eq(map[2].gpa, X86_ACPI_GPA);
		ck_assert_int_eq(map[2].type, E820_ACPI);
		ck_assert_uint_eq(map[3].gpa, 0x100000);
		ck_assert_uint_eq(map[3].size_bytes, guests[i].low - 0x100000);
		if (guests[i].high)
			ck_assert_uint_eq(map[4].size_bytes, guests[i].high);
		gmem_free(mem);
	}
}
END_TEST

START_TEST(the_layout_keeps_its_parts_apart)
{
	ck_assert_uint_le(X86_START_INFO_GPA + 4096, X86_ZERO_PAGE_GPA);
	ck_assert_uint_le(X86_ZERO_PAGE_GPA + 4096, X86_BOOT_STACK_GPA);
	ck_assert_uint_le(X86_BOOT_STACK_GPA, X86_PAGE_TABLES_GPA);
	ck_assert_uint_le(X86_PAGE_TABLES_END, X86_CMDLINE_GPA);
	ck_assert_uint_le(X86_CMDLINE_GPA + X86_CMDLINE_BYTES, X86_EBDA_GPA);
	ck_assert_uint_eq(X86_ACPI_GPA + X86_ACPI_BYTES, X86_HIGH_RAM_GPA);
}
END_TEST

TCase *e820_case(void)
{
	TCase *tc = tcase_create("e820");

	tcase_add_test(tc, all_memory_is_in_the_map);
	tcase_add_test(tc, the_layout_keeps_its_parts_apart);
	return tc;
}
