/* --console pty: somebody comes, leaves, and comes again. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "fake_client.h"
#include "suite.h"
#include "unit.h"

static int connect_user(struct fake_client *client)
{
	int fd = open(chr_where(client->chr), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Says @text again and again until it has come: the console looks for a client now and then. */
static void expect_text(struct fake_client *client, int fd, const char *text)
{
	char seen[4096];
	size_t got = 0;

	seen[0] = 0;
	while (!strstr(seen, text)) {
		ssize_t n = read(fd, seen + got, sizeof(seen) - 1 - got);

		if (n > 0)
			got += (size_t)n;
		seen[got] = 0;
		if (got > sizeof(seen) / 2 && !strstr(seen, text))
			got = 0;
		chr_write(client->chr, (const uint8_t *)text, strlen(text));
		fake_run(client, 20);
	}
}

START_TEST(client_comes_leaves_and_comes_again)
{
	uint8_t bytes[100000];
	struct fake_client client;
	unsigned i;
	int user;

	fake_open(&client, CHR_PTY, NULL);
	for (i = 0; i < 2; i++) {
		size_t before = client.len;

		/* Far more than a terminal's buffer holds, and nobody there. */
		memset(bytes, 'x', sizeof(bytes));
		ck_assert_uint_eq(chr_write(client.chr, bytes, sizeof(bytes)), sizeof(bytes));
		fake_run(&client, 3);
		user = connect_user(&client);
		expect_text(&client, user, "hello");
		ck_assert_int_eq(write(user, "guest", 5), 5);
		fake_run_until(&client, before + 5);
		ck_assert_int_eq(memcmp(client.bytes + before, "guest", 5), 0);
		close(user);
		while (chr_write(client.chr, bytes, sizeof(bytes)) < sizeof(bytes))
			fake_run(&client, 10);
	}
	fake_close(&client);
}
END_TEST

START_TEST(modes_are_raw_for_each_client)
{
	struct fake_client client;
	struct termios modes;
	unsigned i;
	int user;

	fake_open(&client, CHR_PTY, NULL);
	for (i = 0; i < 2; i++) {
		user = connect_user(&client);
		ck_assert_int_eq(tcgetattr(user, &modes), 0);
		ck_assert_uint_eq(modes.c_lflag & (ICANON | ECHO | ISIG), 0);
		ck_assert_uint_eq(modes.c_oflag & OPOST, 0);
		close(user);
		fake_run(&client, 10);
	}
	fake_close(&client);
}
END_TEST

START_TEST(nobody_there_does_not_spin)
{
	struct fake_client client;
	unsigned asked;

	fake_open(&client, CHR_PTY, NULL);
	fake_run(&client, 10);
	asked = client.asked;
	fake_run(&client, 50);
	ck_assert_uint_eq(client.asked, asked);
	fake_close(&client);
}
END_TEST

TCase *pty_case(void)
{
	TCase *tcase = tcase_create("pseudo-terminal");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, client_comes_leaves_and_comes_again);
	tcase_add_test(tcase, modes_are_raw_for_each_client);
	tcase_add_test(tcase, nobody_there_does_not_spin);
	return tcase;
}
