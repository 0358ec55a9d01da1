/*
 * The register file of a 16550A: registers, FIFOs and interrupt causes, without a lock, a back-end
 * or an interrupt line. Pure: uart16550.c puts it into a device.
 */
#ifndef SARANG_CHIP_UART16550_REGS_H
#define SARANG_CHIP_UART16550_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_FIFO_BYTES 16u

/* Zero-initialised is the state after power-on. */
struct uart_regs {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t msr_deltas;
	bool thre_pending;  /* the THRE interrupt has not been acknowledged */
	bool overrun;       /* LSR.OE; takes loopback mode to cause it */
	bool break_waiting; /* a break for which the FIFO had no room */
	bool uses_rts;      /* the guest has raised RTS once */
	unsigned polls;     /* reads of LSR in a row */

	struct {
		uint8_t byte;
		bool is_break; /* LSR.BI when it is next */
	} rx[UART_FIFO_BYTES];
	unsigned rx_head, rx_len;

	/* Transmitted and not taken yet; LSR.THRE is low while there is something. */
	uint8_t tx[UART_FIFO_BYTES];
	unsigned tx_len;
};

/* A guest's access to the register at @offset (0 to 7). After a write look at tx_len. */
uint8_t uart_regs_read(struct uart_regs *regs, unsigned offset);
void uart_regs_write(struct uart_regs *regs, unsigned offset, uint8_t value);

/* Whether an interrupt is pending: the level of the line. */
bool uart_regs_interrupt(const struct uart_regs *regs);

/* The first @len bytes of tx have been taken. */
void uart_regs_sent(struct uart_regs *regs, size_t len);

/* How many bytes can be received now: 0 while nobody in the guest would read them. */
size_t uart_regs_room(const struct uart_regs *regs);

/* Bytes arrive, at most as many as there was room for. */
void uart_regs_receive(struct uart_regs *regs, const uint8_t *bytes, size_t len);

/* The line was held low for longer than a character: a break. */
void uart_regs_break(struct uart_regs *regs);

#endif
