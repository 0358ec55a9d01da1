/* The 16550A's register file, against what the data sheet says and Linux's 8250 driver does. */
#include <string.h>

#include "chip/uart16550_regs.h"
#include "suite.h"
#include "unit.h"

enum { DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

#define RDI  0x01
#define THRI 0x02
#define RLSI 0x04
#define MSI  0x08

static uint8_t in(struct uart_regs *regs, unsigned offset)
{
	return uart_regs_read(regs, offset);
}

/* As the device does with a back-end that takes everything. */
static void out(struct uart_regs *regs, unsigned offset, uint8_t value)
{
	uart_regs_write(regs, offset, value);
	if (regs->tx_len)
		uart_regs_sent(regs, regs->tx_len);
}

static struct uart_regs listening(void)
{
	struct uart_regs regs = {0};

	out(&regs, FCR, 0x01);
	out(&regs, IER, RDI | RLSI);
	return regs;
}

/* autoconfig() and autoconfig_16550a() of drivers/tty/serial/8250/8250_port.c, step by step. */
START_TEST(linux_autoconfig_finds_a_16550a)
{
	struct uart_regs regs = {0};
	uint8_t mcr, status;

	out(&regs, IER, 0);
	ck_assert_uint_eq(in(&regs, IER) & 0x0f, 0);
	out(&regs, IER, 0x0f);
	ck_assert_uint_eq(in(&regs, IER) & 0x0f, 0x0f);
	out(&regs, IER, 0);
	mcr = in(&regs, MCR);
	out(&regs, MCR, 0x10 | 0x0a);
	ck_assert_uint_eq(in(&regs, MSR) & 0xf0, 0x90);
	out(&regs, MCR, mcr);

	out(&regs, LCR, 0xbf);
	out(&regs, 2, 0);
	out(&regs, LCR, 0);
	out(&regs, FCR, 0x01);
	ck_assert_uint_eq(in(&regs, IIR) >> 6, 3);

	/* No enhanced feature register behind either configuration mode. */
	out(&regs, LCR, 0x80);
	ck_assert_uint_ne(in(&regs, 2), 0);
	out(&regs, LCR, 0xbf);
	ck_assert_uint_ne(in(&regs, 2), 0);
	/* Not a National Semiconductor SuperIO. */
	out(&regs, LCR, 0);
	mcr = in(&regs, MCR);
	out(&regs, MCR, mcr ^ 0x10);
	out(&regs, LCR, 0xe0);
	status = in(&regs, 2);
	out(&regs, LCR, 0);
	out(&regs, MCR, mcr);
	ck_assert_uint_eq((status ^ mcr) & 0x10, 0);
	/* Not an XScale: no UUE bit. */
	out(&regs, IER, 0x40);
	ck_assert_uint_eq(in(&regs, IER) & 0x40, 0);
}
END_TEST

/* serial8250_do_startup(): enabling THRI twice gives an interrupt each time, or the driver works
 * around. */
START_TEST(linux_startup_finds_no_thre_bug)
{
	struct uart_regs regs = {0};
	unsigned i;

	for (i = 0; i < 2; i++) {
		out(&regs, IER, THRI);
		ck_assert(uart_regs_interrupt(&regs));
		ck_assert_uint_eq(in(&regs, IIR) & 0x0f, 0x02);
		ck_assert(!uart_regs_interrupt(&regs));
		out(&regs, IER, 0);
	}
	out(&regs, IER, THRI);
	ck_assert_uint_eq(in(&regs, LSR) & 0x40, 0x40);
	ck_assert_uint_eq(in(&regs, IIR) & 1, 0);
}
END_TEST

START_TEST(thre_interrupt_follows_each_transmission)
{
	struct uart_regs regs = {0};

	out(&regs, IER, THRI);
	in(&regs, IIR);
	ck_assert(!uart_regs_interrupt(&regs));
	/* Held by the back-end: neither empty nor an interrupt. */
	uart_regs_write(&regs, DATA, 'x');
	ck_assert_uint_eq(in(&regs, LSR) & 0x60, 0);
	ck_assert(!uart_regs_interrupt(&regs));
	uart_regs_sent(&regs, 1);
	ck_assert_uint_eq(in(&regs, LSR) & 0x60, 0x60);
	ck_assert(uart_regs_interrupt(&regs));
	ck_assert_uint_eq(in(&regs, IIR) & 0x0f, 0x02);
}
END_TEST

START_TEST(transmit_fifo_keeps_sixteen_in_order)
{
	struct uart_regs regs = {0};
	unsigned i;

	for (i = 0; i < 20; i++)
		uart_regs_write(&regs, DATA, (uint8_t)('a' + i));
	ck_assert_uint_eq(regs.tx_len, 16);
	uart_regs_sent(&regs, 5);
	ck_assert_uint_eq(regs.tx_len, 11);
	ck_assert_int_eq(memcmp(regs.tx, "fghijklmnop", 11), 0);
}
END_TEST

START_TEST(trigger_level_and_time_out)
{
	static const unsigned levels[] = {1, 4, 8, 14};
	unsigned i, n;

	for (i = 0; i < 4; i++) {
		struct uart_regs regs = listening();

		out(&regs, FCR, (uint8_t)(0x01 | i << 6));
		for (n = 1; n <= 16; n++) {
			uart_regs_receive(&regs, (const uint8_t *)"x", 1);
			ck_assert_uint_eq(in(&regs, IIR), n >= levels[i] ? 0xc4 : 0xcc);
		}
	}
}
END_TEST

START_TEST(interrupts_by_priority)
{
	struct uart_regs regs = {0};

	out(&regs, FCR, 0x01);
	out(&regs, IER, 0x0f);
	uart_regs_break(&regs);
	out(&regs, MCR, 0x10);
	out(&regs, MCR, 0x00);
	ck_assert_uint_eq(in(&regs, IIR), 0xc6);
	ck_assert_uint_eq(in(&regs, LSR) & 0x10, 0x10);
	ck_assert_uint_eq(in(&regs, IIR) & 0x07, 0x04);
	in(&regs, DATA);
	ck_assert_uint_eq(in(&regs, IIR), 0xc2);
	ck_assert_uint_eq(in(&regs, IIR), 0xc0);
	in(&regs, MSR);
	ck_assert_uint_eq(in(&regs, IIR), 0xc1);
}
END_TEST

START_TEST(break_is_a_zero_byte_with_its_flag)
{
	struct uart_regs regs = listening();

	uart_regs_receive(&regs, (const uint8_t *)"a", 1);
	uart_regs_break(&regs);
	/* Not the break's turn yet, but somewhere in the FIFO. */
	ck_assert_uint_eq(in(&regs, LSR) & 0x91, 0x81);
	ck_assert_uint_eq(in(&regs, DATA), 'a');
	ck_assert_uint_eq(in(&regs, LSR) & 0x91, 0x91);
	ck_assert_uint_eq(in(&regs, LSR) & 0x91, 0x01);
	ck_assert_uint_eq(in(&regs, DATA), 0);
	ck_assert_uint_eq(in(&regs, LSR) & 0x91, 0);
}
END_TEST

START_TEST(break_waits_for_room_and_keeps_its_place)
{
	struct uart_regs regs = listening();
	unsigned i;

	uart_regs_receive(&regs, (const uint8_t *)"0123456789abcdef", 16);
	uart_regs_break(&regs);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	ck_assert_uint_eq(in(&regs, DATA), '0');
	ck_assert_uint_eq(uart_regs_room(&regs), 0); /* the break took it */
	for (i = 0; i < 15; i++) {
		ck_assert_uint_eq(in(&regs, LSR) & 0x10, 0);
		in(&regs, DATA);
	}
	ck_assert_uint_eq(in(&regs, LSR) & 0x11, 0x11);
}
END_TEST

START_TEST(input_waits_for_a_driver)
{
	struct uart_regs regs = {0};

	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	out(&regs, IER, RDI);
	ck_assert_uint_eq(uart_regs_room(&regs), 1);
	out(&regs, FCR, 0x01);
	ck_assert_uint_eq(uart_regs_room(&regs), 16);
	/* A console that prints with interrupts off holds input back for that long. */
	out(&regs, IER, 0);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
}
END_TEST

/* serial8250_do_set_termios() enables RDI, and the FIFO only then. */
START_TEST(bytes_survive_enabling_the_fifo)
{
	struct uart_regs regs = {0};

	out(&regs, IER, RDI);
	uart_regs_receive(&regs, (const uint8_t *)"x", 1);
	out(&regs, FCR, 0x01);
	out(&regs, FCR, 0x81);
	ck_assert_uint_eq(in(&regs, LSR) & 1, 1);
	ck_assert_uint_eq(in(&regs, DATA), 'x');
	uart_regs_receive(&regs, (const uint8_t *)"y", 1);
	out(&regs, FCR, 0x03);
	ck_assert_uint_eq(in(&regs, LSR) & 1, 0);
}
END_TEST

START_TEST(polling_guest_gets_input)
{
	struct uart_regs regs = {0};
	unsigned i;

	/* Printing, as Linux's console does before it has a driver, is not polling for input. */
	for (i = 0; i < 100; i++) {
		in(&regs, LSR);
		out(&regs, DATA, 'x');
	}
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	for (i = 0; i < 16; i++)
		in(&regs, LSR);
	ck_assert_uint_eq(uart_regs_room(&regs), 1);
	out(&regs, DATA, 'x');
	ck_assert_uint_eq(uart_regs_room(&regs), 1);
	/* A driver takes over. */
	out(&regs, FCR, 0x07);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
}
END_TEST

START_TEST(rts_holds_input_back_once_it_is_used)
{
	struct uart_regs regs = listening();

	ck_assert_uint_eq(uart_regs_room(&regs), 16);
	out(&regs, MCR, 0x03);
	ck_assert_uint_eq(uart_regs_room(&regs), 16);
	out(&regs, MCR, 0x01);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	out(&regs, MCR, 0x03);
	ck_assert_uint_eq(uart_regs_room(&regs), 16);
}
END_TEST

/* Linux opens a port with DTR raised and RTS low; a byte that came by then was lost. */
START_TEST(input_waits_for_rts_after_dtr)
{
	struct uart_regs regs = {0};

	out(&regs, MCR, 0x09);
	out(&regs, IER, RDI);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	out(&regs, FCR, 0x81);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	out(&regs, MCR, 0x0b);
	ck_assert_uint_eq(uart_regs_room(&regs), 16);
}
END_TEST

START_TEST(loopback_carries_bytes_and_overruns)
{
	struct uart_regs regs = listening();
	unsigned i;

	out(&regs, MCR, 0x10);
	ck_assert_uint_eq(uart_regs_room(&regs), 0);
	for (i = 0; i < 17; i++)
		out(&regs, DATA, (uint8_t)i);
	ck_assert_uint_eq(in(&regs, LSR) & 0x03, 0x03);
	ck_assert_uint_eq(in(&regs, LSR) & 0x03, 0x01);
	for (i = 0; i < 16; i++)
		ck_assert_uint_eq(in(&regs, DATA), i);
	ck_assert_uint_eq(in(&regs, LSR) & 0x01, 0);
}
END_TEST

START_TEST(modem_lines_and_their_deltas)
{
	struct uart_regs regs = {0};

	ck_assert_uint_eq(in(&regs, MSR), 0xb0);
	out(&regs, MCR, 0x10 | 0x04); /* all lines low but RI, which rises: no delta for that */
	ck_assert_uint_eq(in(&regs, MSR), 0x4b);
	ck_assert_uint_eq(in(&regs, MSR), 0x40);
	out(&regs, MCR, 0x10); /* RI falls */
	ck_assert_uint_eq(in(&regs, MSR), 0x04);
}
END_TEST

START_TEST(divisor_and_scratch_are_remembered)
{
	struct uart_regs regs = {0};

	out(&regs, LCR, 0x83);
	out(&regs, 0, 0x12);
	out(&regs, 1, 0x34);
	ck_assert_uint_eq(in(&regs, 0), 0x12);
	ck_assert_uint_eq(in(&regs, 1), 0x34);
	out(&regs, LCR, 0x03);
	ck_assert_uint_eq(in(&regs, LCR), 0x03);
	ck_assert_uint_eq(in(&regs, IER), 0);
	out(&regs, SCR, 0xa5);
	ck_assert_uint_eq(in(&regs, SCR), 0xa5);
	ck_assert_uint_eq(regs.tx_len, 0);
}
END_TEST

/* Any sequence of accesses and input keeps the file within its bounds and gives what was granted.
 */
START_TEST(random_accesses_keep_invariants)
{
	uint64_t seed = unit_seed();
	struct uart_regs regs = {0};
	uint8_t bytes[16] = {0};
	unsigned i;

	for (i = 0; i < 200000; i++) {
		uint64_t r = unit_random(&seed);

		if (r % 3 == 0)
			uart_regs_write(&regs, r >> 8 & 7, (uint8_t)(r >> 16));
		else if (r % 3 == 1)
			uart_regs_read(&regs, r >> 8 & 7);
		else if (r >> 8 & 1)
			uart_regs_receive(&regs, bytes, uart_regs_room(&regs));
		else if (r >> 9 & 1)
			uart_regs_sent(&regs, regs.tx_len ? (r >> 16) % (regs.tx_len + 1) : 0);
		else
			uart_regs_break(&regs);
		ck_assert_uint_le(regs.rx_len, 16);
		ck_assert_uint_lt(regs.rx_head, 16);
		ck_assert_uint_le(regs.tx_len, 16);
		ck_assert_uint_le(uart_regs_room(&regs) + regs.rx_len, 16);
		/* The level and what IIR would say agree. */
		if (!uart_regs_interrupt(&regs))
			ck_assert_uint_eq(in(&regs, IIR) & 1, 1);
	}
}
END_TEST

TCase *uart_regs_case(void)
{
	TCase *tcase = tcase_create("16550A registers");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, linux_autoconfig_finds_a_16550a);
	tcase_add_test(tcase, linux_startup_finds_no_thre_bug);
	tcase_add_test(tcase, thre_interrupt_follows_each_transmission);
	tcase_add_test(tcase, transmit_fifo_keeps_sixteen_in_order);
	tcase_add_test(tcase, trigger_level_and_time_out);
	tcase_add_test(tcase, interrupts_by_priority);
	tcase_add_test(tcase, break_is_a_zero_byte_with_its_flag);
	tcase_add_test(tcase, break_waits_for_room_and_keeps_its_place);
	tcase_add_test(tcase, input_waits_for_a_driver);
	tcase_add_test(tcase, bytes_survive_enabling_the_fifo);
	tcase_add_test(tcase, polling_guest_gets_input);
	tcase_add_test(tcase, rts_holds_input_back_once_it_is_used);
	tcase_add_test(tcase, input_waits_for_rts_after_dtr);
	tcase_add_test(tcase, loopback_carries_bytes_and_overruns);
	tcase_add_test(tcase, modem_lines_and_their_deltas);
	tcase_add_test(tcase, divisor_and_scratch_are_remembered);
	tcase_add_test(tcase, random_accesses_keep_invariants);
	return tcase;
}
