/* Guest memory against a plain array with a map of what is RAM. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "mem/gmem.h"
#include "unit.h"

#define PAGE 4096ull

/* [0, 4P) and [4P, 6P) adjoin; a hole of one page; [7P, 8P). */
static struct gmem *make_memory(void)
{
	struct gmem *mem;
	struct err e = {0};

	ck_assert_int_eq(gmem_new(&mem, &e), 0);
	ck_assert_int_eq(gmem_add(mem, 7 * PAGE, PAGE, &e), 0);
	ck_assert_int_eq(gmem_add(mem, 0, 4 * PAGE, &e), 0);
	ck_assert_int_eq(gmem_add(mem, 4 * PAGE, 2 * PAGE, &e), 0);
	return mem;
}

static _Bool is_ram(uint64_t gpa)
{
	return gpa < 6 * PAGE || (gpa >= 7 * PAGE && gpa < 8 * PAGE);
}

START_TEST(ranges_are_sorted_and_lie_in_one_file)
{
	struct gmem *mem = make_memory();
	const struct gmem_range *r;
	uint64_t value = 0x1122334455667788ull, back = 0;

	ck_assert_uint_eq(gmem_range_count(mem), 3);
	ck_assert_uint_eq(gmem_total_bytes(mem), 7 * PAGE);
	ck_assert_uint_eq(gmem_range_at(mem, 0)->gpa, 0);
	ck_assert_uint_eq(gmem_range_at(mem, 1)->gpa, 4 * PAGE);
	r = gmem_range_at(mem, 2);
	ck_assert_uint_eq(r->gpa, 7 * PAGE);
	ck_assert_uint_eq(r->file_offset, 0);
	/* What the file holds is what the guest sees. */
	ck_assert_int_eq(gmem_write(mem, 7 * PAGE + 8, &value, 8), 0);
	ck_assert_int_eq(fd_pread_full(gmem_fd(mem), &back, 8, r->file_offset + 8), 8);
	ck_assert_uint_eq(back, value);
	gmem_free(mem);
	gmem_free(NULL);
}
END_TEST

static const struct {
	uint64_t gpa, size;
} refused[] = {
	{0, PAGE},
	{3 * PAGE, 2 * PAGE},
	{5 * PAGE, 2 * PAGE},
	{6 * PAGE, 2 * PAGE},
	{0, 16 * PAGE},
	{8 * PAGE, 0},
	{8 * PAGE + 1, PAGE},
	{8 * PAGE, PAGE - 1},
	{UINT64_MAX - PAGE + 1, PAGE},
	{UINT64_MAX - PAGE + 1, 2 * PAGE},
	{8 * PAGE, UINT64_MAX - PAGE + 1},
};

START_TEST(cve_2017_5931_ranges_that_cannot_be_are_refused)
{
	struct gmem *mem = make_memory();
	struct err e = {0};

	ck_assert_int_eq(gmem_add(mem, refused[_i].gpa, refused[_i].size, &e), -EINVAL);
	ck_assert_uint_gt(strlen(e.text), 0);
	ck_assert_uint_eq(gmem_range_count(mem), 3);
	ck_assert_uint_eq(gmem_total_bytes(mem), 7 * PAGE);
	gmem_free(mem);
}
END_TEST

START_TEST(more_than_a_host_can_map_is_refused_and_harmless)
{
	struct gmem *mem = make_memory();
	struct err e = {0};
	uint64_t gpa = 1ull << 62, value = 7;

	ck_assert_int_lt(gmem_add(mem, gpa, 1ull << 61, &e), 0);
	ck_assert_uint_gt(strlen(e.text), 0);
	ck_assert_int_eq(gmem_write(mem, gpa, &value, 8), -EFAULT);
	ck_assert_int_eq(gmem_add(mem, gpa, PAGE, &e), 0);
	ck_assert_int_eq(gmem_write(mem, gpa + PAGE - 8, &value, 8), 0);
	gmem_free(mem);
}
END_TEST

START_TEST(ranges_are_limited)
{
	struct gmem *mem;
	struct err e = {0};
	int i, ret = 0;

	ck_assert_int_eq(gmem_new(&mem, &e), 0);
	for (i = 0; i < 64 && !ret; i++)
		ret = gmem_add(mem, (uint64_t)i * 2 * PAGE, PAGE, &e);
	ck_assert_int_eq(ret, -EINVAL);
	ck_assert_uint_ge(gmem_range_count(mem), 4);
	gmem_free(mem);
}
END_TEST

static const struct {
	uint64_t gpa, len;
	int count;
} pieces[] = {
	{0, 0, 0},
	{0, 1, 1},
	{0, 4 * PAGE, 1},
	{4 * PAGE - 1, 2, 2},
	{0, 6 * PAGE, 2},
	{7 * PAGE, PAGE, 1},
	{0, 6 * PAGE + 1, -EFAULT},
	{6 * PAGE, 1, -EFAULT},
	{6 * PAGE - 1, 2, -EFAULT},
	{7 * PAGE - 1, 2, -EFAULT},
	{8 * PAGE - 1, 2, -EFAULT},
	{0, UINT64_MAX, -EFAULT},
	{1, UINT64_MAX, -EFAULT},
	{UINT64_MAX, 1, -EFAULT},
	{UINT64_MAX, UINT64_MAX, -EFAULT},
	{7 * PAGE, UINT64_MAX - 7 * PAGE + 1, -EFAULT},
};

START_TEST(cve_2016_7422_every_length_is_checked)
{
	struct gmem *mem = make_memory();
	uint64_t gpa = pieces[_i].gpa, len = pieces[_i].len, sum = 0;
	struct iovec iov[8];
	int count = gmem_iov(mem, gpa, len, iov, 8), i;

	ck_assert_int_eq(count, pieces[_i].count);
	for (i = 0; i < count; i++)
		sum += iov[i].iov_len;
	if (count >= 0)
		ck_assert_uint_eq(sum, len);
	else
		ck_assert_int_eq(gmem_zero(mem, gpa, len), -EFAULT);
	if (count > 0)
		ck_assert_int_eq(gmem_iov(mem, gpa, len, iov, count - 1), -ENOSPC);
	/* One contiguous piece, or no pointer. */
	if (len)
		ck_assert_int_eq(gmem_ptr(mem, gpa, len) != NULL, count == 1);
	gmem_free(mem);
}
END_TEST

START_TEST(failed_copies_touch_nothing)
{
	struct gmem *mem = make_memory();
	char buf[64], ram[16];

	memset(buf, 'x', sizeof(buf));
	ck_assert_int_eq(gmem_write(mem, 6 * PAGE - 16, buf, 17), -EFAULT);
	ck_assert_int_eq(gmem_read(mem, 6 * PAGE - 16, ram, 16), 0);
	ck_assert_int_eq(ram[0] | ram[15], 0);
	ck_assert_int_eq(gmem_read(mem, 6 * PAGE - 16, buf, 17), -EFAULT);
	ck_assert_int_eq(buf[0], 'x');
	ck_assert_int_eq(gmem_write(mem, 0, buf, 16), 0);
	ck_assert_int_eq(gmem_zero(mem, 0, 8 * PAGE), -EFAULT);
	ck_assert_int_eq(gmem_read(mem, 0, ram, 16), 0);
	ck_assert_int_eq(ram[0], 'x');
	gmem_free(mem);
}
END_TEST

START_TEST(copies_against_a_plain_array)
{
	static unsigned char reference[8 * PAGE], buf[3 * PAGE], back[3 * PAGE];
	uint64_t state = unit_seed();
	struct gmem *mem = make_memory();
	int i;

	for (i = 0; i < 3000; i++) {
		uint64_t gpa = unit_random(&state) % (9 * PAGE);
		uint64_t len = unit_random(&state) % (2 * PAGE), at;
		int expect = 0;

		for (at = gpa; at < gpa + len; at++)
			if (!is_ram(at))
				expect = -EFAULT;
		if (unit_random(&state) % 3) {
			memset(buf, (int)unit_random(&state), len);
			ck_assert_int_eq(gmem_write(mem, gpa, buf, len), expect);
			if (!expect)
				memcpy(reference + gpa, buf, len);
		} else {
			ck_assert_int_eq(gmem_zero(mem, gpa, len), expect);
			if (!expect)
				memset(reference + gpa, 0, len);
		}
		gpa = unit_random(&state) % (6 * PAGE);
		len = unit_random(&state) % (6 * PAGE - gpa);
		len = MIN(len, (uint64_t)sizeof(back));
		ck_assert_int_eq(gmem_read(mem, gpa, back, len), 0);
		ck_assert_int_eq(memcmp(back, reference + gpa, len), 0);
	}
	gmem_free(mem);
}
END_TEST

START_TEST(files_load_across_ranges_and_short_ones_fail)
{
	struct gmem *mem = make_memory();
	int fd = memfd_create("test", MFD_CLOEXEC);
	char byte;

	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	ck_assert_int_eq(pwrite(fd, "a", 1, 0), 1);
	ck_assert_int_eq(pwrite(fd, "z", 1, 2 * PAGE - 1), 1);
	ck_assert_int_eq(gmem_load_fd(mem, 3 * PAGE, fd, 0, 2 * PAGE), 0);
	ck_assert_int_eq(gmem_read(mem, 3 * PAGE, &byte, 1), 0);
	ck_assert_int_eq(byte, 'a');
	ck_assert_int_eq(gmem_read(mem, 5 * PAGE - 1, &byte, 1), 0);
	ck_assert_int_eq(byte, 'z');
	ck_assert_int_eq(gmem_load_fd(mem, 0, fd, 0, 2 * PAGE + 1), -EIO);
	ck_assert_int_eq(gmem_load_fd(mem, 0, fd, 2 * PAGE, 1), -EIO);
	ck_assert_int_eq(gmem_load_fd(mem, 0, fd, UINT64_MAX, 1), -EINVAL);
	ck_assert_int_eq(gmem_load_fd(mem, 5 * PAGE, fd, 0, 2 * PAGE), -EFAULT);
	ck_assert_int_eq(gmem_load_fd(mem, 0, -1, 0, 1), -EBADF);
	ck_assert_int_eq(gmem_load_fd(mem, 0, fd, 0, 0), 0);
	fd_close(&fd);
	gmem_free(mem);
}
END_TEST

START_TEST(untouched_memory_costs_nothing)
{
	struct gmem *mem;
	unsigned char resident[16] = {0};
	size_t i;

	ck_assert_int_eq(gmem_new(&mem, NULL), 0);
	ck_assert_int_eq(gmem_add(mem, 0, GIB(64), NULL), 0);
	ck_assert_int_eq(mincore(gmem_range_at(mem, 0)->host, sizeof(resident) * PAGE, resident),
			 0);
	for (i = 0; i < sizeof(resident); i++)
		ck_assert_int_eq(resident[i] & 1, 0);
	gmem_free(mem);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("mem");
	TCase *c = tcase_create("gmem");

	tcase_add_test(c, ranges_are_sorted_and_lie_in_one_file);
	tcase_add_loop_test(c, cve_2017_5931_ranges_that_cannot_be_are_refused, 0,
			    ARRAY_SIZE(refused));
	tcase_add_test(c, more_than_a_host_can_map_is_refused_and_harmless);
	tcase_add_test(c, ranges_are_limited);
	tcase_add_loop_test(c, cve_2016_7422_every_length_is_checked, 0, ARRAY_SIZE(pieces));
	tcase_add_test(c, failed_copies_touch_nothing);
	tcase_add_test(c, copies_against_a_plain_array);
	tcase_add_test(c, files_load_across_ranges_and_short_ones_fail);
	tcase_add_test(c, untouched_memory_costs_nothing);
	suite_add_tcase(suite, c);
	return suite;
}
