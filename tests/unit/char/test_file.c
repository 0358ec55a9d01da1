/* A console that is a file: emptied when the machine starts, and not before. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "fake_client.h"
#include "suite.h"
#include "unit.h"

static void put_text(int fd, const char *text)
{
	ck_assert_int_eq(fd_write_full(fd, text, strlen(text)), 0);
}

START_TEST(file_is_truncated_and_written)
{
	char path[] = "/tmp/sarang-char-XXXXXX", text[16] = {0};
	int fd = mkstemp(path);
	struct fake_client client;

	put_text(fd, "what was there before");
	fake_open(&client, CHR_FILE, path);
	ck_assert_uint_eq(chr_write(client.chr, (const uint8_t *)"hello", 5), 5);
	fake_run(&client, 3);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 5);
	ck_assert_str_eq(text, "hello");
	chr_write(client.chr, (const uint8_t *)" again", 6);
	fake_close(&client);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 11);
	ck_assert_str_eq(text, "hello again");
	unlink(path);
	close(fd);
}
END_TEST

START_TEST(full_disk_loses_output_and_goes_on)
{
	uint8_t bytes[5000] = {0};
	struct fake_client client;
	unsigned i;

	fake_open(&client, CHR_FILE, "/dev/full");
	for (i = 0; i < 50; i++) {
		ck_assert_uint_gt(chr_write(client.chr, bytes, sizeof(bytes)), 0);
		loop_run_once(client.loop, 2);
	}
	fake_close(&client);
}
END_TEST

/* A machine that is not built after all leaves the log of the run before. */
START_TEST(file_is_not_touched_before_the_start)
{
	char folder[] = "/tmp/sarang-char-XXXXXX", log[64], fresh[64];
	struct chr_options options = {.kind = CHR_FILE};
	const char *paths[] = {log, fresh};
	struct loop *loop;
	struct chr *chr;
	struct stat st;
	size_t i;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(log, sizeof(log), "%s/log", folder);
	snprintf(fresh, sizeof(fresh), "%s/fresh", folder);
	fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	put_text(fd, "what was there before");
	close(fd);
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		options.path = paths[i];
		ck_assert_int_eq(chr_open(&options, loop, NULL, &chr, NULL), 0);
		chr_close(chr);
	}
	loop_free(loop);
	ck_assert_int_eq(stat(log, &st), 0);
	ck_assert_int_eq(st.st_size, 21);
	ck_assert_int_lt(stat(fresh, &st), 0);
	unlink(log);
	rmdir(folder);
}
END_TEST

/* Opens and starts a console that is a file; what chr_start returns. */
static int start_file(const char *path, struct err *e)
{
	struct chr_options options = {.kind = CHR_FILE, .path = path};
	const struct chr_client nobody = {0};
	struct loop *loop;
	struct chr *chr;
	int ret;

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	ret = chr_open(&options, loop, NULL, &chr, e);
	if (!ret) {
		ret = chr_start(chr, &nobody, e);
		chr_close(chr);
	}
	loop_free(loop);
	return ret;
}

/* Disk images are locked as QEMU locks them, by readers and writers, whatever their name is. */
START_TEST(image_in_use_is_not_emptied)
{
	struct flock lock = {.l_type = F_RDLCK, .l_start = 100, .l_len = 1};
	char path[] = "/tmp/sarang-char-XXXXXX", other[64];
	int fd = mkstemp(path);
	struct err e = {0};
	struct stat st;

	put_text(fd, "a disk");
	snprintf(other, sizeof(other), "%s-link", path);
	ck_assert_int_eq(link(path, other), 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert_int_eq(start_file(other, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, other));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 6);
	lock.l_type = F_UNLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert_int_eq(start_file(other, &e), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	unlink(path);
	unlink(other);
	close(fd);
}
END_TEST

START_TEST(pipes_and_sockets_that_nobody_reads_are_told_apart)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/sarang-char-XXXXXX", pipe_path[64];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err e;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(start_file(pipe_path, &e), -ENXIO);
	ck_assert_ptr_nonnull(strstr(e.text, "pipe: nobody reads"));
	ck_assert_int_eq(start_file(address.sun_path, &e), -ENXIO);
	ck_assert_ptr_nonnull(strstr(e.text, "it is a socket"));
	close(fd);
	unlink(pipe_path);
	unlink(address.sun_path);
	rmdir(folder);
}
END_TEST

START_TEST(file_that_cannot_be_opened_is_named)
{
	static const char *const paths[] = {"/tmp", "/nonexistent/console.log", ""};
	struct err e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		ck_assert_int_lt(start_file(paths[i], &e), 0);
		ck_assert_ptr_nonnull(strstr(e.text, paths[i]));
	}
}
END_TEST

TCase *file_case(void)
{
	TCase *tcase = tcase_create("files");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, file_is_truncated_and_written);
	tcase_add_test(tcase, full_disk_loses_output_and_goes_on);
	tcase_add_test(tcase, file_is_not_touched_before_the_start);
	tcase_add_test(tcase, image_in_use_is_not_emptied);
	tcase_add_test(tcase, pipes_and_sockets_that_nobody_reads_are_told_apart);
	tcase_add_test(tcase, file_that_cannot_be_opened_is_named);
	return tcase;
}
