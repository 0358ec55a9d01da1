/* --console unix=PATH: who may connect, who replaces what, and what is left behind. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_client.h"
#include "suite.h"
#include "unit.h"

static char dir[] = "/tmp/sarang-sock-XXXXXX";
static char path[64];

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/console", dir);
}

/* Fails, and so the test, when anything was left behind. */
static void teardown(void)
{
	ck_assert_int_eq(rmdir(dir), 0);
}

static struct sockaddr_un address(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

static int connect_user(void)
{
	struct sockaddr_un to = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void expect_text(struct fake_client *client, int fd, const char *text)
{
	char seen[64] = "";
	size_t got = 0;

	while (got < strlen(text)) {
		ssize_t n = read(fd, seen + got, sizeof(seen) - 1 - got);

		if (n > 0)
			got += (size_t)n;
		ck_assert_int_ne(n, 0);
		fake_run(client, 1);
	}
	ck_assert_str_eq(seen, text);
}

static void say(struct fake_client *client, const char *text)
{
	ck_assert_uint_eq(chr_write(client->chr, (const uint8_t *)text, strlen(text)),
			  strlen(text));
}

static int open_console(struct err *e)
{
	struct chr_options options = {.kind = CHR_UNIX, .path = path};
	struct loop *loop;
	struct chr *chr;
	int ret;

	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	ret = chr_open(&options, loop, NULL, &chr, e);
	if (!ret)
		chr_close(chr);
	loop_free(loop);
	return ret;
}

START_TEST(output_without_a_client_is_dropped)
{
	struct fake_client client;
	int user;

	fake_open(&client, CHR_UNIX, path);
	say(&client, "nobody hears this");
	fake_settle(&client);
	user = connect_user();
	fake_settle(&client);
	say(&client, "hello");
	expect_text(&client, user, "hello");
	ck_assert_int_eq(write(user, "guest", 5), 5);
	fake_run_until(&client, 5);
	fake_close(&client);
	close(user);
}
END_TEST

START_TEST(one_client_after_the_other)
{
	struct fake_client client;
	int first, second;

	fake_open(&client, CHR_UNIX, path);
	first = connect_user();
	fake_settle(&client);
	second = connect_user();
	say(&client, "one");
	expect_text(&client, first, "one");
	ck_assert_int_eq(write(second, "2", 1), 1);
	fake_settle(&client);
	ck_assert_uint_eq(client.len, 0);
	close(first);
	fake_run_until(&client, 1);
	ck_assert_int_eq(client.bytes[0], '2');
	say(&client, "two");
	expect_text(&client, second, "two");
	fake_close(&client);
	close(second);
}
END_TEST

/* As `printf ... | nc -N -U PATH`: what it sent is taken, and its place becomes free. */
START_TEST(client_that_leaves_at_once_is_heard)
{
	struct fake_client client;
	int user;

	fake_open(&client, CHR_UNIX, path);
	client.closed = true;
	user = connect_user();
	ck_assert_int_eq(write(user, "poweroff\n", 9), 9);
	close(user);
	fake_settle(&client);
	say(&client, "output to nobody");
	fake_settle(&client);
	client.closed = false;
	fake_run_until(&client, 9);
	fake_settle(&client);
	user = connect_user();
	fake_settle(&client);
	say(&client, "next");
	expect_text(&client, user, "next");
	fake_close(&client);
	close(user);
}
END_TEST

START_TEST(client_that_only_stops_sending_still_reads)
{
	struct fake_client client;
	int user;

	fake_open(&client, CHR_UNIX, path);
	user = connect_user();
	ck_assert_int_eq(write(user, "ls\n", 3), 3);
	shutdown(user, SHUT_WR);
	fake_run_until(&client, 3);
	fake_settle(&client);
	say(&client, "result");
	expect_text(&client, user, "result");
	close(user);
	fake_settle(&client);
	user = connect_user();
	fake_settle(&client);
	say(&client, "next");
	expect_text(&client, user, "next");
	fake_close(&client);
	close(user);
}
END_TEST

START_TEST(socket_is_for_its_owner_alone)
{
	struct fake_client client;
	struct stat st;

	umask(0);
	fake_open(&client, CHR_UNIX, path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0077, 0);
	fake_close(&client);
	ck_assert_int_lt(stat(path, &st), 0);
}
END_TEST

START_TEST(stale_socket_is_replaced)
{
	struct sockaddr_un at = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err e;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	ck_assert_int_eq(open_console(&e), 0);
}
END_TEST

START_TEST(live_socket_is_left_alone)
{
	struct fake_client client;
	struct err e;
	int user;

	fake_open(&client, CHR_UNIX, path);
	ck_assert_int_eq(open_console(&e), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	fake_settle(&client);
	user = connect_user();
	fake_settle(&client);
	say(&client, "still here");
	expect_text(&client, user, "still here");
	fake_close(&client);
	close(user);
}
END_TEST

START_TEST(other_files_are_left_alone)
{
	struct err e;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	ck_assert_int_eq(open_console(&e), -EEXIST);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(successors_socket_is_not_removed)
{
	struct fake_client client;
	int fd;

	fake_open(&client, CHR_UNIX, path);
	unlink(path);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	fake_close(&client);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(path_that_is_too_long_is_refused)
{
	char too_long[200];
	struct chr_options options = {.kind = CHR_UNIX, .path = too_long};
	struct loop *loop;
	struct chr *chr;
	struct err e;

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = 0;
	ck_assert_int_eq(loop_new(&loop, NULL), 0);
	ck_assert_int_eq(chr_open(&options, loop, NULL, &chr, &e), -ENAMETOOLONG);
	ck_assert_ptr_nonnull(strstr(e.text, "107"));
	loop_free(loop);
}
END_TEST

TCase *socket_case(void)
{
	TCase *tcase = tcase_create("Unix socket");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, output_without_a_client_is_dropped);
	tcase_add_test(tcase, one_client_after_the_other);
	tcase_add_test(tcase, client_that_leaves_at_once_is_heard);
	tcase_add_test(tcase, client_that_only_stops_sending_still_reads);
	tcase_add_test(tcase, socket_is_for_its_owner_alone);
	tcase_add_test(tcase, stale_socket_is_replaced);
	tcase_add_test(tcase, live_socket_is_left_alone);
	tcase_add_test(tcase, other_files_are_left_alone);
	tcase_add_test(tcase, successors_socket_is_not_removed);
	tcase_add_test(tcase, path_that_is_too_long_is_refused);
	return tcase;
}
