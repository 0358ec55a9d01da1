/* Sizes, byte order, checked sums, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "suite.h"

static const struct {
	const char *text;
	uint64_t unit;
	int ret;
	uint64_t bytes;
} sizes[] = {
	{"0", 1, 0, 0},
	{"4096", 1, 0, 4096},
	{"512", MIB(1), 0, MIB(512)},
	{"512M", 1, 0, MIB(512)},
	{"512m", MIB(1), 0, MIB(512)},
	{"64KiB", 1, 0, KIB(64)},
	{"64kb", 1, 0, KIB(64)},
	{"1.5G", 1, 0, GIB(1) + MIB(512)},
	{"0.5", KIB(1), 0, 512},
	{"0.1K", 1, 0, 102},
	{"100B", MIB(1), 0, 100},
	{"1P", 1, 0, 1ull << 50},
	{"16383P", 1, 0, 16383ull << 50},
	{"18446744073709551615", 1, 0, UINT64_MAX},
	{"18446744073709551616", 1, -ERANGE, 0},
	{"16384P", 1, -ERANGE, 0},
	{"16383.9999999999999999P", 1, 0, (16383ull << 50) + (1ull << 50) - 1},
	{"99999999999999999999999999", 1, -ERANGE, 0},
	{"", 1, -EINVAL, 0},
	{"M", 1, -EINVAL, 0},
	{"-1", 1, -EINVAL, 0},
	{"+1", 1, -EINVAL, 0},
	{" 1", 1, -EINVAL, 0},
	{"1 M", 1, -EINVAL, 0},
	{"1.", 1, -EINVAL, 0},
	{".5G", 1, -EINVAL, 0},
	{"1..5G", 1, -EINVAL, 0},
	{"1MM", 1, -EINVAL, 0},
	{"1Mi", 1, -EINVAL, 0},
	{"1BB", 1, -EINVAL, 0},
	{"1E", 1, -EINVAL, 0},
	{"0x10", 1, -EINVAL, 0},
	{"1M\n", 1, -EINVAL, 0},
};

START_TEST(size_parse_table)
{
	uint64_t bytes = 0;
	int ret = size_parse(sizes[_i].text, sizes[_i].unit, &bytes);

	ck_assert_msg(ret == sizes[_i].ret, "\"%s\" gives %d", sizes[_i].text, ret);
	if (!ret)
		ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(size_format_parses_back)
{
	uint64_t state = unit_seed(), back;
	char text[SIZE_TEXT_MAX];
	int i;

	for (i = 0; i < 20000; i++) {
		uint64_t bytes = (unit_random(&state) >> (unit_random(&state) % 64))
				 << (unit_random(&state) % 64);

		ck_assert_int_lt(strlen(size_format(bytes, text)), SIZE_TEXT_MAX);
		ck_assert_int_eq(size_parse(text, MIB(1), &back), 0);
		ck_assert_msg(back == bytes, "%s is not %llu", text, (unsigned long long)bytes);
	}
}
END_TEST

START_TEST(size_format_takes_largest_unit)
{
	char text[SIZE_TEXT_MAX];

	ck_assert_str_eq(size_format(0, text), "0B");
	ck_assert_str_eq(size_format(1000, text), "1000B");
	ck_assert_str_eq(size_format(MIB(512), text), "512M");
	ck_assert_str_eq(size_format(GIB(1), text), "1G");
	ck_assert_str_eq(size_format(GIB(1) + 1, text), "1073741825B");
	ck_assert_str_eq(size_format(UINT64_MAX, text), "18446744073709551615B");
	ck_assert_str_eq(size_format(1ull << 63, text), "8192P");
}
END_TEST

START_TEST(bytes_at_any_alignment)
{
	unsigned char buf[16];
	size_t at;

	for (at = 0; at < 8; at++) {
		put_le64(buf + at, 0x0102030405060708ull);
		ck_assert_int_eq(buf[at], 8);
		ck_assert_int_eq(buf[at + 7], 1);
		ck_assert_uint_eq(get_be64(buf + at), 0x0807060504030201ull);
		put_be32(buf + at, 0x01020304u);
		ck_assert_uint_eq(get_le32(buf + at), 0x04030201u);
		put_le16(buf + at, 0x0102u);
		ck_assert_uint_eq(get_be16(buf + at), 0x0201u);
	}
}
END_TEST

START_TEST(cve_2017_5931_checked_sums)
{
	uint64_t v;

	ck_assert(add_u64(UINT64_MAX - 1, 1, &v) && v == UINT64_MAX);
	ck_assert(!add_u64(UINT64_MAX, 1, &v));
	ck_assert(!mul_u64(1ull << 32, 1ull << 32, &v));
	ck_assert(mul_u64(1ull << 32, UINT32_MAX, &v));
	ck_assert(range_inside(0, 10, 10));
	ck_assert(range_inside(10, 0, 10));
	ck_assert(!range_inside(11, 0, 10));
	ck_assert(!range_inside(1, 10, 10));
	ck_assert(!range_inside(UINT64_MAX, 2, 10));
	ck_assert(!range_inside(2, UINT64_MAX, 10));
	ck_assert_uint_eq(align_up(4097, 4096), 8192);
	ck_assert_uint_eq(align_up(4096, 4096), 4096);
	ck_assert_uint_eq(align_down(8191, 4096), 4096);
}
END_TEST

START_TEST(pread_full_ends_at_end_of_file)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char buf[8];

	ck_assert_int_eq(fd_write_full(fd, "abcdef", 6), 0);
	ck_assert_int_eq(fd_pread_full(fd, buf, 8, 0), 6);
	ck_assert_int_eq(fd_pread_full(fd, buf, 3, 2), 3);
	ck_assert_int_eq(memcmp(buf, "cde", 3), 0);
	ck_assert_int_eq(fd_pread_full(fd, buf, 3, 6), 0);
	ck_assert_int_eq(fd_pread_full(fd, buf, 3, UINT64_MAX), -EINVAL);
	fd_close(&fd);
	ck_assert_int_eq(fd, -1);
	fd_close(&fd);
	ck_assert_int_eq(fd_pread_full(fd, buf, 3, 0), -EBADF);
	ck_assert_int_eq(fd_write_full(fd, buf, 3), -EBADF);
}
END_TEST

START_TEST(event_counts_and_clears)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_uint_eq(fd_event_clear(fd), 0);
	fd_event_signal(fd);
	fd_event_signal(fd);
	ck_assert_uint_eq(fd_event_clear(fd), 2);
	ck_assert_uint_eq(fd_event_clear(fd), 0);
	fd_close(&fd);
}
END_TEST

START_TEST(closed_standard_descriptors_are_filled)
{
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		close(STDIN_FILENO);
		close(STDERR_FILENO);
		if (fd_fill_standard() < 0)
			_exit(1);
		fd = open("/dev/zero", O_RDONLY);
		_exit(fd > STDERR_FILENO && fcntl(STDIN_FILENO, F_GETFD) == 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(nonblock_is_set_and_cleared)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0], 1), 0);
	ck_assert(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fd_set_nonblock(fds[0], 0), 0);
	ck_assert(!(fcntl(fds[0], F_GETFL) & O_NONBLOCK));
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	ck_assert_int_eq(fd_set_nonblock(fds[0], 1), -EBADF);
}
END_TEST

START_TEST(one_file_has_many_names)
{
	char folder[] = "/tmp/sarang-base-XXXXXX";
	struct stat first, hard, link, other;
	struct stat node = {.st_mode = S_IFBLK, .st_rdev = 7}, second = node;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	close(open("first", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(open("other", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(symlink("first", "link"), 0);
	ck_assert(!stat("first", &first) && !stat("link", &link) && !stat("other", &other));
	ck_assert(fd_same_file(&first, &link));
	ck_assert(!fd_same_file(&first, &other));
	ck_assert(!linkat(AT_FDCWD, "first", AT_FDCWD, "hard", 0) && !stat("hard", &hard));
	ck_assert(fd_same_file(&hard, &first));
	second.st_ino = 1;
	ck_assert(fd_same_file(&node, &second));
	second.st_rdev = 8;
	second.st_ino = 0;
	ck_assert(!fd_same_file(&node, &second));
	ck_assert(!unlink("first") && !unlink("other") && !unlink("link") && !unlink("hard"));
	ck_assert(!chdir("/") && !rmdir(folder));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("base");
	TCase *c = tcase_create("base");

	tcase_add_loop_test(c, size_parse_table, 0, ARRAY_SIZE(sizes));
	tcase_add_test(c, size_format_parses_back);
	tcase_add_test(c, size_format_takes_largest_unit);
	tcase_add_test(c, bytes_at_any_alignment);
	tcase_add_test(c, cve_2017_5931_checked_sums);
	tcase_add_test(c, pread_full_ends_at_end_of_file);
	tcase_add_test(c, event_counts_and_clears);
	tcase_add_test(c, closed_standard_descriptors_are_filled);
	tcase_add_test(c, nonblock_is_set_and_cleared);
	tcase_add_test(c, one_file_has_many_names);
	suite_add_tcase(suite, c);
	suite_add_tcase(suite, case_bucket());
	suite_add_tcase(suite, case_text());
	suite_add_tcase(suite, case_log());
	suite_add_tcase(suite, case_save());
	return suite;
}
