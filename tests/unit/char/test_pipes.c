/* Consoles on pipes: stdio without a terminal, and none. Each test is a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "fake_client.h"
#include "suite.h"
#include "unit.h"

static int user_in = -1,
	   user_out = -1; /* the user's ends of pipes at our standard input and output */

static void replace(int fd, int with)
{
	ck_assert_int_eq(dup2(with, fd), fd);
	close(with);
}

static void pipe_stdin(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	replace(STDIN_FILENO, fds[0]);
	user_in = fds[1];
}

static void pipe_stdout(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fflush(stdout);
	replace(STDOUT_FILENO, fds[1]);
	user_out = fds[0];
}

static void open_at(int fd, const char *path, int flags)
{
	int file = open(path, flags, 0600);

	ck_assert_int_ge(file, 0);
	replace(fd, file);
}

static void put_all(int fd, const uint8_t *bytes, size_t len)
{
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
}

struct feeder {
	int fd;
	const uint8_t *bytes;
	size_t len;
};

static void *feed(void *opaque)
{
	struct feeder *feeder = opaque;

	while (feeder->len) {
		ssize_t n = write(feeder->fd, feeder->bytes, MIN(feeder->len, (size_t)3000));

		ck_assert_int_gt(n, 0);
		feeder->bytes += n;
		feeder->len -= (size_t)n;
	}
	close(feeder->fd);
	return NULL;
}

START_TEST(input_of_a_megabyte_survives_a_slow_guest)
{
	size_t len = 1u << 20;
	uint8_t *bytes = fake_bytes(len);
	struct feeder feeder;
	struct fake_client client;
	pthread_t thread;

	pipe_stdin();
	feeder = (struct feeder){.fd = user_in, .bytes = bytes, .len = len};
	fake_open(&client, CHR_STDIO, NULL);
	pthread_create(&thread, NULL, feed, &feeder);
	fake_run_until(&client, len);
	pthread_join(thread, NULL);
	ck_assert_int_eq(memcmp(client.bytes, bytes, len), 0);
	fake_close(&client);
	free(bytes);
}
END_TEST

/* The bytes of Ctrl-A keys mean nothing where there is no terminal. */
START_TEST(piped_input_is_not_searched_for_keys)
{
	struct fake_client client;

	pipe_stdin();
	fake_open(&client, CHR_STDIO, NULL);
	put_all(user_in, (const uint8_t *)"\x01x\x01\x01", 4);
	fake_run_until(&client, 4);
	ck_assert_int_eq(memcmp(client.bytes, "\x01x\x01\x01", 4), 0);
	fake_close(&client);
}
END_TEST

static void expect_quiet(struct fake_client *client)
{
	unsigned asked;

	fake_run(client, 20);
	asked = client->asked;
	fake_run(client, 20);
	ck_assert_uint_eq(client->asked, asked);
}

START_TEST(end_of_a_pipe_ends_input_quietly)
{
	struct fake_client client;

	pipe_stdin();
	put_all(user_in, (const uint8_t *)"last", 4);
	close(user_in);
	fake_open(&client, CHR_STDIO, NULL);
	fake_run_until(&client, 4);
	expect_quiet(&client);
	/* Output goes on. */
	ck_assert_uint_eq(chr_write(client.chr, (const uint8_t *)"\n", 1), 1);
	fake_close(&client);
}
END_TEST

START_TEST(regular_file_as_input)
{
	char path[] = "/tmp/sarang-char-XXXXXX";
	int fd = mkstemp(path);
	size_t len = 300000;
	uint8_t *bytes = fake_bytes(len);
	struct fake_client client;

	put_all(fd, bytes, len);
	close(fd);
	open_at(STDIN_FILENO, path, O_RDONLY);
	unlink(path);
	fake_open(&client, CHR_STDIO, NULL);
	fake_run_until(&client, len);
	ck_assert_int_eq(memcmp(client.bytes, bytes, len), 0);
	expect_quiet(&client);
	fake_close(&client);
	free(bytes);
}
END_TEST

START_TEST(nothing_and_directories_as_input)
{
	static const char *const paths[] = {"/dev/null", "/tmp"};
	struct fake_client client;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		open_at(STDIN_FILENO, paths[i], O_RDONLY);
		fake_open(&client, CHR_STDIO, NULL);
		expect_quiet(&client);
		ck_assert_uint_eq(client.len, 0);
		fake_close(&client);
	}
}
END_TEST

/* A guest that takes nothing holds a pipe back, and the loop sleeps meanwhile. */
START_TEST(held_input_does_not_spin)
{
	struct fake_client client;
	unsigned asked;

	pipe_stdin();
	put_all(user_in, (const uint8_t *)"waiting", 7);
	close(user_in); /* a hang-up, too */
	fake_open(&client, CHR_STDIO, NULL);
	client.closed = true;
	loop_run_once(client.loop, 10);
	asked = client.asked;
	loop_run_once(client.loop, 10);
	loop_run_once(client.loop, 10);
	ck_assert_uint_eq(client.asked, asked);
	client.closed = false;
	fake_run_until(&client, 7);
	fake_close(&client);
}
END_TEST

START_TEST(shared_descriptors_stay_blocking)
{
	struct fake_client client;

	pipe_stdin();
	pipe_stdout();
	fake_open(&client, CHR_STDIO, NULL);
	chr_write(client.chr, (const uint8_t *)"x", 1);
	fake_run(&client, 3);
	ck_assert_int_eq(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
	fake_close(&client);
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFL), 0);
	ck_assert_int_ge(fcntl(STDOUT_FILENO, F_GETFL), 0);
}
END_TEST

static size_t drain(int fd, uint8_t *bytes, size_t max)
{
	ssize_t n = read(fd, bytes, max);

	return n > 0 ? (size_t)n : 0;
}

START_TEST(slow_reader_delays_output_and_loses_none)
{
	size_t len = 400000, put = 0, got = 0, n;
	uint8_t *bytes = fake_bytes(len), *seen = malloc(len);
	bool refused = false;
	struct fake_client client;

	pipe_stdout();
	fcntl(user_out, F_SETFL, O_NONBLOCK);
	fake_open(&client, CHR_STDIO, NULL);
	while (got < len) {
		n = chr_write(client.chr, bytes + put, MIN(len - put, (size_t)5000));
		if (n < MIN(len - put, (size_t)5000) && !refused) {
			refused = true;
			ck_assert_uint_eq(client.writable, 0);
		}
		put += n;
		loop_run_once(client.loop, 1);
		if (refused)
			got += drain(user_out, seen + got, 700);
	}
	ck_assert(refused);
	ck_assert_uint_gt(client.writable, 0);
	ck_assert_int_eq(memcmp(seen, bytes, len), 0);
	fake_close(&client);
	free(bytes);
	free(seen);
}
END_TEST

static void *drain_all(void *opaque)
{
	size_t *got = opaque, n;
	uint8_t bytes[1000];

	while ((n = drain(user_out, bytes, sizeof(bytes))) > 0)
		*got += n;
	return NULL;
}

START_TEST(close_writes_out_the_ring)
{
	uint8_t *bytes = fake_bytes(200000);
	size_t put, got = 0;
	struct fake_client client;
	pthread_t thread;

	pipe_stdout();
	fake_open(&client, CHR_STDIO, NULL);
	put = chr_write(client.chr, bytes, 200000);
	ck_assert_uint_lt(put, 200000);
	chr_write_last(client.chr, bytes, CHR_LAST_WORDS);
	pthread_create(&thread, NULL, drain_all, &got);
	fake_close(&client);
	close(STDOUT_FILENO);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(got, put + CHR_LAST_WORDS);
	free(bytes);
}
END_TEST

/* Would hang for ever (and be ended by Check) without a bound. */
START_TEST(close_gives_up_on_who_never_reads)
{
	uint8_t *bytes = fake_bytes(200000);
	struct fake_client client;

	pipe_stdout();
	fake_open(&client, CHR_STDIO, NULL);
	while (chr_write(client.chr, bytes, 200000))
		loop_run_once(client.loop, 10);
	fake_close(&client);
	free(bytes);
}
END_TEST

START_TEST(output_that_nobody_reads_is_dropped)
{
	uint8_t bytes[5000] = {0};
	struct fake_client client;
	unsigned i;

	pipe_stdout();
	fake_open(&client, CHR_STDIO, NULL);
	close(user_out);
	for (i = 0; i < 100; i++) {
		chr_write(client.chr, bytes, sizeof(bytes));
		loop_run_once(client.loop, 2);
	}
	ck_assert_uint_eq(chr_write(client.chr, bytes, sizeof(bytes)), sizeof(bytes));
	fake_close(&client);
}
END_TEST

struct writers {
	struct fake_client *client;
	_Atomic size_t put;
};

static void *write_lines(void *opaque)
{
	struct writers *writers = opaque;
	unsigned i;

	for (i = 0; i < 20000; i++)
		writers->put += chr_write(writers->client->chr, (const uint8_t *)"0123456789", 10);
	return NULL;
}

START_TEST(writers_on_other_threads)
{
	struct fake_client client;
	struct writers writers = {.client = &client};
	pthread_t threads[2], reader;
	size_t got = 0;
	unsigned i;

	pipe_stdout();
	fake_open(&client, CHR_STDIO, NULL);
	pthread_create(&reader, NULL, drain_all, &got);
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, write_lines, &writers);
	for (i = 0; i < 50; i++)
		loop_run_once(client.loop, 1);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	fake_close(&client);
	close(STDOUT_FILENO);
	pthread_join(reader, NULL);
	ck_assert_uint_eq(got, writers.put);
}
END_TEST

START_TEST(none_takes_everything)
{
	uint8_t bytes[100000] = {0};
	struct fake_client client;

	fake_open(&client, CHR_NONE, NULL);
	ck_assert_uint_eq(chr_write(client.chr, bytes, sizeof(bytes)), sizeof(bytes));
	expect_quiet(&client);
	fake_close(&client);
}
END_TEST

TCase *pipes_case(void)
{
	TCase *tcase = tcase_create("pipes");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, input_of_a_megabyte_survives_a_slow_guest);
	tcase_add_test(tcase, piped_input_is_not_searched_for_keys);
	tcase_add_test(tcase, end_of_a_pipe_ends_input_quietly);
	tcase_add_test(tcase, regular_file_as_input);
	tcase_add_test(tcase, nothing_and_directories_as_input);
	tcase_add_test(tcase, held_input_does_not_spin);
	tcase_add_test(tcase, shared_descriptors_stay_blocking);
	tcase_add_test(tcase, slow_reader_delays_output_and_loses_none);
	tcase_add_test(tcase, close_writes_out_the_ring);
	tcase_add_test(tcase, close_gives_up_on_who_never_reads);
	tcase_add_test(tcase, output_that_nobody_reads_is_dropped);
	tcase_add_test(tcase, writers_on_other_threads);
	tcase_add_test(tcase, none_takes_everything);
	return tcase;
}
