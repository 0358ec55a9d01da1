/* The logger, read back through a pipe in place of stderr. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "suite.h"

/* Check runs each test in a process of its own: stderr and the level need no restoring. */
static int catch_stderr(void)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fd_set_nonblock(fds[0], 1), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	close(fds[1]);
	return fds[0];
}

static size_t caught(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size - 1);

	n = n < 0 ? 0 : n;
	buf[n] = '\0';
	return (size_t)n;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

START_TEST(levels_above_the_set_one_are_dropped)
{
	int fd = catch_stderr();
	char buf[4096];

	log_info("quiet");
	log_warn("disk %s", "x");
	log_error("bad");
	caught(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "sarang: warning: disk x\nsarang: error: bad\n");
	log_set_level(LOG_DEBUG);
	ck_assert(log_enabled(LOG_DEBUG));
	log_debug("d");
	log_set_level(LOG_ERROR);
	ck_assert(!log_enabled(LOG_WARN));
	log_warn("w");
	caught(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "sarang: debug: d\n");
}
END_TEST

START_TEST(a_guest_cannot_flood_the_log)
{
	struct log_limit limit = {0}, other = {0};
	int fd = catch_stderr(), i;
	char buf[4096];

	for (i = 0; i < 1000; i++)
		log_limited(&limit, LOG_WARN, "guest did %d", i);
	caught(fd, buf, sizeof(buf));
	ck_assert_uint_eq(count_lines(buf), 5);
	ck_assert_ptr_nonnull(strstr(buf, "guest did 4 (more of these are left out)\n"));
	log_limited(&other, LOG_WARN, "another place");
	caught(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "sarang: warning: another place\n");
	/* As if the window had begun long ago. */
	atomic_store(&limit.window_start_ns, 1);
	log_limited(&limit, LOG_WARN, "later");
	caught(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "sarang: warning: later\n");
}
END_TEST

START_TEST(a_line_stays_one_line)
{
	int fd = catch_stderr();
	char buf[4096], text[3000];

	log_warn("serial \"%s\"", "a\nsarang: error: forged\x1b[2J");
	caught(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "sarang: warning: serial \"a?sarang: error: forged?[2J\"\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_warn("%s", text);
	ck_assert_uint_eq(caught(fd, buf, sizeof(buf)), 1024);
	ck_assert_uint_eq(count_lines(buf), 1);
	ck_assert_int_eq(buf[1023], '\n');
}
END_TEST

static void *write_lines(void *opaque)
{
	int i;

	for (i = 0; i < 50; i++)
		log_warn("%s", (const char *)opaque);
	return NULL;
}

START_TEST(lines_of_two_threads_do_not_mix)
{
	int fd = catch_stderr();
	char buf[16384], *line, *save = NULL;
	char a[] = "aaaaaaaaaaaaaaaaaaaaaaaa", b[] = "bbbbbbbbbbbbbbbbbbbbbbbb";
	pthread_t thread;

	pthread_create(&thread, NULL, write_lines, a);
	write_lines(b);
	pthread_join(thread, NULL);
	caught(fd, buf, sizeof(buf));
	ck_assert_uint_eq(count_lines(buf), 100);
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ck_assert(!strcmp(line, "sarang: warning: aaaaaaaaaaaaaaaaaaaaaaaa") ||
			  !strcmp(line, "sarang: warning: bbbbbbbbbbbbbbbbbbbbbbbb"));
}
END_TEST

TCase *case_log(void)
{
	TCase *c = tcase_create("log");

	tcase_add_test(c, levels_above_the_set_one_are_dropped);
	tcase_add_test(c, a_guest_cannot_flood_the_log);
	tcase_add_test(c, a_line_stays_one_line);
	tcase_add_test(c, lines_of_two_threads_do_not_mix);
	return c;
}
