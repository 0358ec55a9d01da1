/* The serial port as a device: with a real back-end (a Unix socket) and a fake of Linux's 8250
 * driver. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chip/uart16550.h"
#include "fake_board.h"
#include "suite.h"
#include "tables/aml.h"
#include "unit.h"

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };

static struct fake_board board;
static struct chr *chr;
static struct device *dev;
static char path[64];
static int peer; /* the user's end of the console */

static void setup(void)
{
	struct chr_options options = {.kind = CHR_UNIX, .path = path};
	struct uart16550_settings settings = {.id = "uart0"};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct err e;

	fake_board_init(&board);
	snprintf(path, sizeof(path), "/tmp/sarang-uart-%d", (int)getpid());
	ck_assert_msg(!chr_open(&options, board.env.loop, NULL, &chr, &e), "%s", e.text);
	settings.chr = chr;
	ck_assert_int_eq(uart16550_new(&board.env, &board.place, &settings, &dev, NULL), 0);
	ck_assert_int_eq(device_map(dev, NULL), 0);
	ck_assert_int_eq(device_start(dev, NULL), 0);
	strcpy(address.sun_path, path);
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	loop_run_once(board.env.loop, 1000);
}

static void teardown(void)
{
	device_stop(dev);
	chr_close(chr);
	device_destroy(dev);
	fake_board_free(&board);
	close(peer);
}

static void driver_start(uint8_t ier)
{
	fake_out(&board, FCR, 0x07);
	fake_out(&board, FCR, 0x81);
	fake_out(&board, MCR, 0x0b);
	fake_out(&board, IER, ier);
}

/*
 * serial8250_interrupt() with an edge-triggered line: it is called for an edge, and goes on until
 * there is no more to do. Then the line must be low, or the next edge would never come.
 */
struct driver {
	const uint8_t *tx;
	size_t tx_len;
	uint8_t *rx;
	size_t rx_len, rx_max;
	unsigned edges_seen;
	uint64_t seed;
};

static void driver_transmit(struct driver *driver)
{
	unsigned i;

	for (i = 0; i < 16 && driver->tx_len; i++, driver->tx_len--)
		fake_out(&board, DATA, *driver->tx++);
	if (!driver->tx_len)
		fake_out(&board, IER, fake_in(&board, IER) & (uint8_t)~0x02);
}

static void driver_interrupt(struct driver *driver)
{
	uint8_t lsr;

	while (!(fake_in(&board, IIR) & 1)) {
		lsr = fake_in(&board, LSR);
		while (lsr & 0x01) {
			ck_assert_uint_lt(driver->rx_len, driver->rx_max);
			ck_assert_uint_eq(lsr & 0x02, 0);
			driver->rx[driver->rx_len++] = fake_in(&board, DATA);
			/* A slow guest: input arrives between two reads. */
			if (unit_random(&driver->seed) % 8 == 0)
				loop_run_once(board.env.loop, 0);
			lsr = fake_in(&board, LSR);
		}
		if ((lsr & 0x20) && driver->tx_len)
			driver_transmit(driver);
	}
	ck_assert(!board.level);
}

/* Runs the interrupt handler if there was an edge since the last time. */
static bool driver_poll(struct driver *driver)
{
	if (driver->edges_seen == board.edges)
		return false;
	driver->edges_seen = board.edges;
	driver_interrupt(driver);
	return true;
}

static uint8_t *random_bytes(size_t len)
{
	uint8_t *bytes = malloc(len);
	uint64_t seed = unit_seed();
	size_t i;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)unit_random(&seed);
	return bytes;
}

START_TEST(long_text_is_transmitted_by_interrupts)
{
	size_t len = 300000, got = 0;
	uint8_t *text = random_bytes(len), *seen = malloc(len);
	struct driver driver = {.tx = text, .tx_len = len, .seed = unit_seed()};
	ssize_t n;

	setup();
	driver_start(0x07);
	/* The user reads nothing until the transmitter stands still: the ring and the socket are
	 * full. */
	do {
		loop_run_once(board.env.loop, 1);
	} while (driver_poll(&driver) || (fake_in(&board, LSR) & 0x20));
	ck_assert_uint_gt(driver.tx_len, 0);
	ck_assert_uint_eq(fake_in(&board, LSR) & 0x60, 0);
	while (got < len) {
		n = read(peer, seen + got, len - got);
		if (n > 0)
			got += (size_t)n;
		else
			loop_run_once(board.env.loop, 10);
		driver_poll(&driver);
	}
	ck_assert_int_eq(memcmp(seen, text, len), 0);
	ck_assert_uint_eq(board.redundant, 0);
	teardown();
	free(text);
	free(seen);
}
END_TEST

START_TEST(paste_of_a_megabyte_is_received_whole)
{
	size_t len = 1u << 20, put = 0;
	uint8_t *text = random_bytes(len);
	struct driver driver = {.rx = malloc(len), .rx_max = len, .seed = unit_seed()};
	ssize_t n;

	setup();
	driver_start(0x05);
	while (driver.rx_len < len) {
		n = write(peer, text + put, len - put);
		if (n > 0)
			put += (size_t)n;
		loop_run_once(board.env.loop, 0);
		driver_poll(&driver);
	}
	ck_assert_int_eq(memcmp(driver.rx, text, len), 0);
	ck_assert_uint_eq(board.redundant, 0);
	teardown();
	free(text);
	free(driver.rx);
}
END_TEST

/* What was piped in before there was a driver is not lost when it starts. */
START_TEST(early_input_waits_for_the_driver)
{
	uint8_t buf[64];
	struct driver driver = {.rx = buf, .rx_max = sizeof(buf), .seed = unit_seed()};
	unsigned i;

	setup();
	ck_assert_int_eq(write(peer, "poweroff -f\n", 12), 12);
	for (i = 0; i < 10; i++)
		loop_run_once(board.env.loop, 1);
	ck_assert_uint_eq(fake_in(&board, LSR) & 1, 0);
	driver_start(0x05);
	while (driver.rx_len < 12) {
		loop_run_once(board.env.loop, 10);
		driver_poll(&driver);
	}
	ck_assert_int_eq(memcmp(buf, "poweroff -f\n", 12), 0);
	teardown();
}
END_TEST

START_TEST(what_waits_at_the_end_is_written)
{
	static const uint8_t line[] = "0123456789abcdef";
	size_t got = 0, sent = 0;
	char buf[4096];
	ssize_t n;

	setup();
	driver_start(0x00);
	/* Until the transmitter is full, too. */
	do {
		fake_out(&board, DATA, line[sent++ % 16]);
		loop_run_once(board.env.loop, 0);
	} while (fake_in(&board, LSR) & 0x20);
	device_stop(dev);
	/* Read while it closes: a thread would hide an endless wait, so make room first. */
	while ((n = read(peer, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	chr_close(chr);
	while ((n = read(peer, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	ck_assert_uint_eq(got, sent);
	device_destroy(dev);
	fake_board_free(&board);
	close(peer);
}
END_TEST

START_TEST(reset_lowers_the_line)
{
	setup();
	driver_start(0x02);
	ck_assert(board.level);
	device_reset(dev);
	ck_assert(!board.level);
	ck_assert_uint_eq(fake_in(&board, IER), 0);
	teardown();
}
END_TEST

START_TEST(stopped_device_leaves_the_line_alone)
{
	setup();
	driver_start(0x02);
	device_stop(dev);
	fake_in(&board, IIR);
	ck_assert(board.level);
	ck_assert_int_eq(device_start(dev, NULL), 0);
	ck_assert(!board.level);
	teardown();
}
END_TEST

static void *hammer(void *opaque)
{
	uint64_t seed = *(uint64_t *)opaque;
	unsigned i;

	for (i = 0; i < 20000; i++) {
		uint64_t r = unit_random(&seed);

		/* All registers but the data register's writing, which would only fill the socket.
		 */
		if (r & 1)
			fake_in(&board, r >> 8 & 7);
		else
			fake_out(&board, 1 + (r >> 8) % 7, (uint8_t)(r >> 16));
	}
	return NULL;
}

/* Two vCPUs at once: no level is driven twice, none out of order. */
START_TEST(levels_of_racing_vcpus_stay_in_order)
{
	uint64_t seeds[2] = {unit_seed(), unit_seed() + 1};
	pthread_t threads[2];
	unsigned i;

	setup();
	for (i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, hammer, &seeds[i]);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(board.redundant, 0);
	fake_out(&board, LCR, 0);
	fake_out(&board, IER, 0);
	ck_assert(!board.level);
	teardown();
}
END_TEST

START_TEST(describes_itself)
{
	struct aml aml;

	setup();
	aml_init(&aml);
	dev->class->describe_acpi(dev, &aml);
	ck_assert_uint_eq(aml.depth, 0);
	ck_assert_ptr_nonnull(memmem(aml.out.data, aml.out.len, "COM1", 4));
	aml_free(&aml);
	teardown();
}
END_TEST

TCase *uart_case(void)
{
	TCase *tcase = tcase_create("16550A device");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, long_text_is_transmitted_by_interrupts);
	tcase_add_test(tcase, paste_of_a_megabyte_is_received_whole);
	tcase_add_test(tcase, early_input_waits_for_the_driver);
	tcase_add_test(tcase, what_waits_at_the_end_is_written);
	tcase_add_test(tcase, reset_lowers_the_line);
	tcase_add_test(tcase, stopped_device_leaves_the_line_alone);
	tcase_add_test(tcase, levels_of_racing_vcpus_stay_in_order);
	tcase_add_test(tcase, describes_itself);
	return tcase;
}
