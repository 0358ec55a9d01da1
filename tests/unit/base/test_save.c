/* Files that are written as a whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/save.h"
#include "suite.h"

static char folder[] = "/tmp/sarang-save-XXXXXX";

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

/* Whatever a test has begun, no temporary file is left. */
static void teardown(void)
{
	(void)!unlink("file");
	(void)!unlink("link");
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static int save(const char *path, const char *text, struct err *e)
{
	struct save save = {.path = path, .what = "a text", .data = text, .len = strlen(text)};
	int ret = save_begin(&save, e);

	return ret < 0 ? ret : save_commit(&save, e);
}

static void check_file(const char *path, const char *text)
{
	char got[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(fd_pread_full(fd, got, sizeof(got) - 1, 0), (ssize_t)strlen(text));
	ck_assert_str_eq(got, text);
	fd_close(&fd);
}

START_TEST(a_new_file_comes_in_place_of_the_old)
{
	struct stat st;

	ck_assert_int_eq(save("file", "one", NULL), 0);
	check_file("file", "one");
	ck_assert_int_eq(chmod("file", 0640), 0);
	ck_assert_int_eq(symlink("file", "link"), 0);
	ck_assert_int_eq(save("link", "second", NULL), 0);
	check_file("file", "second");
	ck_assert(!stat("file", &st) && (st.st_mode & 07777) == 0640);
	ck_assert(!lstat("link", &st) && S_ISLNK(st.st_mode));
}
END_TEST

/* Nothing is asserted under the limit: Check writes to a file too. */
static int save_on_full_disk(const char *path, const char *text, struct err *e)
{
	struct rlimit limit = {strlen(text) - 1, RLIM_INFINITY};
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	ret = save(path, text, e);
	limit.rlim_cur = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	return ret;
}

START_TEST(a_full_disk_leaves_the_old_file)
{
	struct err e = {0};

	ck_assert_int_eq(save_on_full_disk("file", "four", &e), -EFBIG);
	ck_assert_str_eq(e.text, "cannot write a text to file: File too large");
	ck_assert_int_lt(access("file", F_OK), 0);
	ck_assert_int_eq(save("file", "old", NULL), 0);
	ck_assert_int_eq(save_on_full_disk("file", "four", NULL), -EFBIG);
	check_file("file", "old");
}
END_TEST

START_TEST(what_is_taken_back_leaves_the_old_file)
{
	struct save begun = {.path = "file", .what = "a text", .data = "new", .len = 3};

	ck_assert_int_eq(save("file", "old", NULL), 0);
	ck_assert_int_eq(save_begin(&begun, NULL), 0);
	save_abandon(&begun);
	save_abandon(&begun);
	check_file("file", "old");
}
END_TEST

/* As a disk image is, whose guest runs. */
START_TEST(a_file_that_is_locked_is_not_replaced)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
	struct err e = {0};
	int fd;

	ck_assert_int_eq(save("file", "old", NULL), 0);
	fd = open("file", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert(!fd_locked_elsewhere(fd));
	ck_assert_int_eq(save("file", "new", &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "in use as a disk image"));
	check_file("file", "old");
	fd_close(&fd);
	ck_assert_int_eq(save("file", "new", NULL), 0);
	check_file("file", "new");
}
END_TEST

START_TEST(what_is_no_file_is_written_to)
{
	char name[32], got[4] = "";
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[1]);
	ck_assert_int_eq(save(name, "out", NULL), 0);
	ck_assert_int_eq(read(ends[0], got, sizeof(got)), 3);
	ck_assert_str_eq(got, "out");
	ck_assert_int_eq(save("/dev/null", "out", NULL), 0);
	ck_assert_int_eq(save("/dev/full", "out", NULL), -ENOSPC);
	ck_assert_int_eq(save("/nonesuch/file", "out", NULL), -ENOENT);
	ck_assert_int_eq(save(".", "out", NULL), -EISDIR);
	ck_assert_int_eq(symlink("nothing", "link"), 0);
	ck_assert_int_eq(save("link", "out", NULL), -ENOENT);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}
END_TEST

TCase *case_save(void)
{
	TCase *tc = tcase_create("save");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_new_file_comes_in_place_of_the_old);
	tcase_add_test(tc, a_full_disk_leaves_the_old_file);
	tcase_add_test(tc, what_is_taken_back_leaves_the_old_file);
	tcase_add_test(tc, a_file_that_is_locked_is_not_replaced);
	tcase_add_test(tc, what_is_no_file_is_written_to);
	return tc;
}
