/*
 * The 16550A under any sequence of register accesses, input, breaks and back-pressure.
 *
 * Two bytes of the input are one step: what to do, and with which value. After each step the
 * register file is within its bounds, the line agrees with what IIR says, and input was never
 * granted beyond the FIFO.
 */
#include <stdint.h>
#include <stdlib.h>

#include "chip/uart16550_regs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step { READ, WRITE, RECEIVE, SEND };

static void check(int condition)
{
	if (!condition)
		abort();
}

static void check_state(const struct uart_regs *regs)
{
	struct uart_regs copy = *regs;

	check(regs->rx_len <= UART_FIFO_BYTES && regs->rx_head < UART_FIFO_BYTES);
	check(regs->tx_len <= UART_FIFO_BYTES);
	check(uart_regs_room(regs) + regs->rx_len <= UART_FIFO_BYTES);
	/* Offset 2 is IIR whatever DLAB says; bit 0 clear: pending. */
	check(uart_regs_interrupt(regs) == !(uart_regs_read(&copy, 2) & 1));
}

static void receive(struct uart_regs *regs, uint8_t value)
{
	uint8_t bytes[UART_FIFO_BYTES];
	size_t len = uart_regs_room(regs), i;

	if (value & 0x80) {
		uart_regs_break(regs);
		return;
	}
	if (len > value)
		len = value;
	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value + i);
	uart_regs_receive(regs, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uart_regs regs = {0};
	size_t i;

	for (i = 0; i + 1 < size; i += 2) {
		unsigned offset = data[i] >> 2 & 7;
		uint8_t value = data[i + 1];

		switch ((enum step)(data[i] & 3)) {
		case READ:
			uart_regs_read(&regs, offset);
			break;
		case WRITE:
			uart_regs_write(&regs, offset, value);
			break;
		case RECEIVE:
			receive(&regs, value);
			break;
		case SEND:
			uart_regs_sent(&regs, value < regs.tx_len ? value : regs.tx_len);
			break;
		}
		check_state(&regs);
	}
	return 0;
}
