/* The PL011 with a real back-end (a Unix socket) and a fake of Linux's amba-pl011 driver. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "chip/pl011.h"
#include "chip/pl011_regs.h"
#include "fake_board.h"
#include "suite.h"
#include "unit.h"

static struct fake_board board;
static struct chr *chr;
static struct device *dev;
static char path[64];
static int peer; /* the user's end of the console */

static uint32_t get(unsigned offset)
{
	return (uint32_t)bus_read(board.env.bus, BUS_MMIO, board.place.base[0] + offset, 4);
}

static void put(unsigned offset, uint32_t value)
{
	bus_write(board.env.bus, BUS_MMIO, board.place.base[0] + offset, 4, value);
}

static void setup(void)
{
	struct chr_options options = {.kind = CHR_UNIX, .path = path};
	struct pl011_settings settings = {.id = "uart0"};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct err e;

	fake_board_init(&board);
	snprintf(path, sizeof(path), "/tmp/sarang-pl011-%d", (int)getpid());
	ck_assert_msg(!chr_open(&options, board.env.loop, NULL, &chr, &e), "%s", e.text);
	settings.chr = chr;
	ck_assert_int_eq(pl011_new(&board.env, &board.place, &settings, &dev, NULL), 0);
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

/* Runs the loop until nothing has happened for a few rounds. */
static void settle(void)
{
	int i;

	for (i = 0; i < 20; i++)
		loop_run_once(board.env.loop, 0);
}

/* What Linux's pl011_startup does, in its order. Returns how many bytes its drain threw away. */
static unsigned driver_start(void)
{
	unsigned lost = 0;

	put(ICR, 0x7ff);
	put(IMSC, INT_RX | INT_RT); /* pl011_hwinit ... */
	settle();
	put(IMSC, 0); /* ... pl011_allocate_irq */
	put(IFLS, 0x12);
	put(LCR_H, 0x70);
	put(CR, CR_UARTEN | CR_RXE | CR_TXE);
	settle();
	put(ICR, INT_RX | INT_RT);
	while (!(get(FR) & FR_RXFE)) {
		get(DR);
		lost++;
	}
	put(IMSC, INT_RX | INT_RT);
	return lost;
}

START_TEST(says_what_it_is)
{
	static const uint8_t ids[] = {0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
	unsigned i;

	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(get(0xfe0 + i * 4), ids[i]);
	ck_assert_uint_eq(get(CR), 0x300);
	ck_assert_uint_eq(get(IFLS), 0x12);
	ck_assert_uint_eq(get(FR) & 0xf8, FR_RXFE | FR_TXFE);
}
END_TEST

START_TEST(input_waits_for_the_driver_and_none_is_lost)
{
	static const char text[] = "uname -a; poweroff -f\n";
	char seen[sizeof(text)] = "";
	size_t len = 0;

	ck_assert_int_eq(write(peer, text, strlen(text)), (ssize_t)strlen(text));
	settle();
	ck_assert(get(FR) & FR_RXFE);
	ck_assert_uint_eq(driver_start(), 0);
	while (settle(), board.level) {
		ck_assert_uint_ne(get(MIS) & (INT_RX | INT_RT), 0);
		while (!(get(FR) & FR_RXFE)) {
			ck_assert_uint_lt(len, strlen(text));
			seen[len++] = (char)get(DR);
		}
	}
	ck_assert_str_eq(seen, text);
}
END_TEST

START_TEST(a_throttled_guest_gets_nothing_and_loses_nothing)
{
	char bytes[100], got[100];
	size_t len = 0;
	uint32_t full;

	memset(bytes, 'x', sizeof(bytes));
	bytes[99] = 'y';
	driver_start();
	put(IMSC, 0); /* pl011_throttle_rx */
	ck_assert_int_eq(write(peer, bytes, sizeof(bytes)), sizeof(bytes));
	settle();
	ck_assert(get(FR) & FR_RXFE);
	put(IMSC, INT_RX | INT_RT);
	settle();
	full = get(FR);
	ck_assert(full & FR_RXFF);
	while (len < sizeof(got)) {
		ck_assert(!(get(FR) & FR_RXFE));
		got[len++] = (char)get(DR);
		settle();
	}
	ck_assert_mem_eq(got, bytes, sizeof(got));
	ck_assert_uint_eq(get(RIS) & (INT_RX | INT_RT | INT_OE), 0);
}
END_TEST

START_TEST(a_guest_that_polls_gets_input_without_interrupts)
{
	int i;

	ck_assert_int_eq(write(peer, "k", 1), 1);
	settle();
	for (i = 0; i < 100 && (get(FR) & FR_RXFE); i++)
		settle();
	ck_assert_uint_eq(get(DR), 'k');
}
END_TEST

/* The console of a kernel reads the flags too, once or twice for each character. */
START_TEST(a_guest_that_transmits_does_not_poll)
{
	int i;

	ck_assert_int_eq(write(peer, "k", 1), 1);
	for (i = 0; i < 100; i++) {
		ck_assert(get(FR) & FR_RXFE);
		get(FR);
		put(DR, 'a');
		settle();
	}
}
END_TEST

START_TEST(interrupts_follow_the_receive_fifo)
{
	int i;

	driver_start();
	ck_assert_int_eq(write(peer, "123456789abcdef", 15), 15);
	settle();
	/* Half full is 16: only the time-out tells of 15. */
	ck_assert_uint_eq(get(RIS) & (INT_RX | INT_RT), INT_RT);
	ck_assert_int_eq(write(peer, "g", 1), 1);
	settle();
	ck_assert_uint_eq(get(RIS) & (INT_RX | INT_RT), INT_RX | INT_RT);
	get(DR);
	ck_assert_uint_eq(get(RIS) & INT_RX, 0);
	/* Cleared by hand, it comes back with the next read that leaves something. */
	put(ICR, INT_RT);
	ck_assert(!board.level);
	get(DR);
	ck_assert(board.level);
	for (i = 0; i < 14; i++)
		get(DR);
	ck_assert(!board.level);
	ck_assert_uint_eq(get(RIS) & (INT_RX | INT_RT), 0);
}
END_TEST

START_TEST(loopback_returns_what_is_sent)
{
	char sink;

	driver_start();
	put(CR, CR_UARTEN | CR_RXE | CR_TXE | CR_LBE);
	ck_assert_int_eq(write(peer, "z", 1), 1);
	put(DR, 'a');
	settle();
	ck_assert(board.level);
	ck_assert_uint_eq(get(DR), 'a');
	/* Nothing comes from outside meanwhile, and nothing goes there. */
	ck_assert(get(FR) & FR_RXFE);
	ck_assert_int_lt(read(peer, &sink, 1), 0);
	put(CR, CR_UARTEN | CR_RXE | CR_TXE);
	settle();
	ck_assert_uint_eq(get(DR), 'z');
}
END_TEST

START_TEST(loopback_overruns_are_told)
{
	int i;

	put(LCR_H, LCR_H_FEN);
	put(CR, CR_UARTEN | CR_RXE | CR_TXE | CR_LBE);
	for (i = 0; i < 33; i++)
		put(DR, (uint32_t)('a' + i));
	ck_assert(get(RIS) & INT_OE);
	ck_assert_uint_eq(get(RSR_ECR), DR_OE >> 8);
	put(RSR_ECR, 0);
	ck_assert_uint_eq(get(RSR_ECR), 0);
	for (i = 0; i < 32; i++)
		ck_assert_uint_eq(get(DR), (uint32_t)('a' + i));
	ck_assert(get(FR) & FR_RXFE);
}
END_TEST

START_TEST(long_text_is_transmitted_whole_though_nobody_reads)
{
	size_t len = 300000, sent = 0, got = 0;
	uint8_t *text = malloc(len), *seen = malloc(len);
	uint64_t seed = unit_seed();
	bool was_full = false;
	ssize_t n;
	size_t i;

	for (i = 0; i < len; i++)
		text[i] = (uint8_t)unit_random(&seed);
	driver_start();
	while (got < len) {
		while (sent < len && !(get(FR) & FR_TXFF))
			put(DR, text[sent++]);
		was_full |= (get(FR) & FR_TXFF) != 0;
		if (get(FR) & FR_TXFF)
			ck_assert(get(FR) & FR_BUSY);
		settle();
		n = read(peer, seen + got, len - got);
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert(was_full);
	ck_assert_mem_eq(seen, text, len);
	/* The transmitter has become empty meanwhile: Linux sends the rest from that interrupt. */
	ck_assert(get(RIS) & INT_TX);
	put(IMSC, INT_TX);
	ck_assert(board.level);
	put(ICR, INT_TX);
	ck_assert(!board.level);
	free(text);
	free(seen);
}
END_TEST

START_TEST(narrow_and_odd_accesses_are_as_on_a_bus)
{
	uint64_t base = board.place.base[0];

	bus_write(board.env.bus, BUS_MMIO, base + IBRD, 2, 0x1234);
	ck_assert_uint_eq(bus_read(board.env.bus, BUS_MMIO, base + IBRD + 1, 1), 0x12);
	bus_write(board.env.bus, BUS_MMIO, base + IBRD + 1, 1, 0xff);
	ck_assert_uint_eq(get(IBRD), 0x1234);
	/* Eight bytes at once it does not have. */
	ck_assert_uint_eq(bus_read(board.env.bus, BUS_MMIO, base + IBRD, 8), UINT64_MAX);
	/* No register: zero, and nothing happens. */
	put(0x800, 0xffffffff);
	ck_assert_uint_eq(get(0x800), 0);
}
END_TEST

START_TEST(reset_is_as_after_power_on)
{
	driver_start();
	ck_assert_int_eq(write(peer, "abc", 3), 3);
	settle();
	ck_assert(board.level);
	device_reset(dev);
	ck_assert(!board.level);
	ck_assert_uint_eq(get(IMSC), 0);
	ck_assert_uint_eq(get(RIS), 0);
	ck_assert_uint_eq(get(CR), CR_RESET);
	ck_assert(get(FR) & FR_RXFE);
}
END_TEST

/* Any access in any order: no crash, and the interrupt line is never driven to what it is already.
 */
START_TEST(random_accesses_keep_the_line_consistent)
{
	uint64_t seed = unit_seed();
	int i;

	for (i = 0; i < 50000; i++) {
		unsigned offset = (unsigned)(unit_random(&seed) % 0x50) & ~3u;

		if (unit_random(&seed) & 1)
			put(offset, (uint32_t)unit_random(&seed));
		else
			get(offset);
		if (unit_random(&seed) % 64 == 0) {
			char sink[4096];

			(void)!write(peer, "x", 1);
			settle();
			(void)!read(peer, sink, sizeof(sink));
		}
		ck_assert_int_eq(board.level, (get(MIS) != 0));
	}
	ck_assert_uint_eq(board.redundant, 0);
}
END_TEST

TCase *pl011_case(void)
{
	TCase *tc = tcase_create("pl011");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, says_what_it_is);
	tcase_add_test(tc, input_waits_for_the_driver_and_none_is_lost);
	tcase_add_test(tc, a_throttled_guest_gets_nothing_and_loses_nothing);
	tcase_add_test(tc, a_guest_that_polls_gets_input_without_interrupts);
	tcase_add_test(tc, a_guest_that_transmits_does_not_poll);
	tcase_add_test(tc, interrupts_follow_the_receive_fifo);
	tcase_add_test(tc, loopback_returns_what_is_sent);
	tcase_add_test(tc, loopback_overruns_are_told);
	tcase_add_test(tc, long_text_is_transmitted_whole_though_nobody_reads);
	tcase_add_test(tc, narrow_and_odd_accesses_are_as_on_a_bus);
	tcase_add_test(tc, reset_is_as_after_power_on);
	tcase_add_test(tc, random_accesses_keep_the_line_consistent);
	return tc;
}
