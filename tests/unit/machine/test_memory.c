/* How much memory a guest can have on a host, and what is said of more. The suite is here too. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "machine/private.h"
#include "tests.h"

#define TIB(n) GIB((uint64_t)(n) << 10)
/* As on x86_64 Linux: 2^31 - 1 pages. */
#define SLOT (TIB(8) - KIB(4))

static const struct {
	uint64_t low, high; /* bytes of RAM from 0, and from 4 GiB */
	struct memory_limits limits;
	const char *says; /* NULL: nothing */
} rows[] = {
	{MIB(512), 0, {36, SLOT}, NULL},
	{GIB(3), GIB(60), {36, SLOT}, NULL},
	{GIB(3), GIB(60) + KIB(64), {36, SLOT}, "have 36 bits, which leaves at most 63G"},
	{GIB(3), GIB(508), {39, SLOT}, NULL},
	{GIB(3),
	 GIB(509),
	 {39, SLOT},
	 "--memory 512G: the physical addresses that this host gives"},
	{GIB(3), TIB(1), {39, SLOT}, "have 39 bits, which leaves at most 511G"},
	{GIB(3), TIB(8) - KIB(64), {46, SLOT}, NULL},
	{GIB(3), TIB(8), {46, SLOT}, "takes less than 8T in one piece, which leaves at most 8194G"},
	{GIB(3), TIB(60), {46, SLOT}, "in one piece, which leaves at most 8194G"},
	{GIB(3), TIB(60), {43, SLOT}, "have 43 bits, which leaves at most 8191G"},
	{GIB(3), GIB(1), {32, SLOT}, "have 32 bits, which leaves at most 3G"},
	{GIB(3), GIB(1), {31, SLOT}, "have 31 bits, which leaves at most 2G"},
	{GIB(3), TIB(60), {64, TIB(64)}, NULL},
};

START_TEST(what_does_not_fit_is_refused)
{
	struct arch_ram_range ranges[] = {{0, rows[_i].low}, {GIB(4), rows[_i].high}};
	unsigned count = rows[_i].high ? 2 : 1;
	struct err e = {0};
	int ret = machine_check_memory(ranges, count, &rows[_i].limits, &e);

	if (!rows[_i].says) {
		ck_assert_msg(!ret, "%s", e.text);
		return;
	}
	ck_assert_int_eq(ret, -EINVAL);
	ck_assert_msg(strstr(e.text, rows[_i].says) != NULL, "%s", e.text);
}
END_TEST

TCase *memory_cases(void)
{
	TCase *tc = tcase_create("memory");

	tcase_add_loop_test(tc, what_does_not_fit_is_refused, 0, ARRAY_SIZE(rows));
	return tc;
}

Suite *unit_suite(void)
{
	Suite *suite = suite_create("machine");

	suite_add_tcase(suite, memory_cases());
	suite_add_tcase(suite, signal_cases());
	return suite;
}
