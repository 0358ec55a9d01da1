/*
 * The 16550A's register file: see uart16550_regs.h, and uart16550.h for the specification.
 *
 * Input is held back while nobody would read it: a driver that starts clears the FIFO and reads
 * leftovers away (Linux: serial8250_do_startup), and what a user piped into us would be lost with
 * them. A guest reads input when it has the receive interrupt enabled, or when it polls LSR without
 * transmitting. A guest that uses RTS holds input back by lowering it.
 */
#include "chip/uart16550_regs.h"

#include <string.h>

/* So many reads of LSR in a row, with an empty transmitter, are somebody who polls for input. */
#define POLLING_READS 16u

/* Offsets; what DLAB and the direction select share one. */
enum { RBR_THR_DLL = 0, IER_DLM = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

enum { IER_RDI = 1 << 0, IER_THRI = 1 << 1, IER_RLSI = 1 << 2, IER_MSI = 1 << 3, IER_BITS = 0xf };

/* Interrupt identification, highest priority first. */
enum {
	IIR_RLSI = 0x6,
	IIR_CTI = 0xc,
	IIR_RDI = 0x4,
	IIR_THRI = 0x2,
	IIR_MSI = 0x0,
	IIR_NONE = 0x1
};
#define IIR_FIFO_ENABLED 0xc0

enum { FCR_ENABLE = 1 << 0, FCR_CLEAR_RX = 1 << 1, FCR_CLEAR_TX = 1 << 2, FCR_TRIGGER_SHIFT = 6 };

#define LCR_DLAB 0x80

enum {
	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT1 = 1 << 2,
	MCR_OUT2 = 1 << 3,
	MCR_LOOP = 1 << 4,
	MCR_BITS = 0x1f,
};

enum {
	LSR_DR = 1 << 0,
	LSR_OE = 1 << 1,
	LSR_BI = 1 << 4,
	LSR_THRE = 1 << 5,
	LSR_TEMT = 1 << 6,
	LSR_FIFO_ERROR = 1 << 7,
};

enum {
	MSR_CTS = 1 << 4,
	MSR_DSR = 1 << 5,
	MSR_RI = 1 << 6,
	MSR_DCD = 1 << 7, /* bits 0 to 3: which of these have changed */
};

/* The other side is there and ready, always. */
#define MSR_CONNECTED (MSR_CTS | MSR_DSR | MSR_DCD)

static bool fifo_enabled(const struct uart_regs *regs)
{
	return regs->fcr & FCR_ENABLE;
}

static unsigned rx_trigger(const struct uart_regs *regs)
{
	static const uint8_t levels[] = {1, 4, 8, 14};

	return fifo_enabled(regs) ? levels[regs->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static uint8_t rx_errors(const struct uart_regs *regs)
{
	uint8_t errors = regs->overrun ? LSR_OE : 0;

	if (regs->rx_len && regs->rx[regs->rx_head].is_break)
		errors |= LSR_BI;
	return errors;
}

static uint8_t msr_lines(const struct uart_regs *regs)
{
	uint8_t lines = 0;

	if (!(regs->mcr & MCR_LOOP))
		return MSR_CONNECTED;
	lines |= regs->mcr & MCR_RTS ? MSR_CTS : 0;
	lines |= regs->mcr & MCR_DTR ? MSR_DSR : 0;
	lines |= regs->mcr & MCR_OUT1 ? MSR_RI : 0;
	lines |= regs->mcr & MCR_OUT2 ? MSR_DCD : 0;
	return lines;
}

static uint8_t pending_interrupt(const struct uart_regs *regs)
{
	if ((regs->ier & IER_RLSI) && rx_errors(regs))
		return IIR_RLSI;
	if ((regs->ier & IER_RDI) && regs->rx_len >= rx_trigger(regs))
		return IIR_RDI;
	/* The time-out of a FIFO below its trigger level: no more is coming at this moment. */
	if ((regs->ier & IER_RDI) && regs->rx_len)
		return IIR_CTI;
	if ((regs->ier & IER_THRI) && regs->thre_pending)
		return IIR_THRI;
	if ((regs->ier & IER_MSI) && regs->msr_deltas)
		return IIR_MSI;
	return IIR_NONE;
}

bool uart_regs_interrupt(const struct uart_regs *regs)
{
	return pending_interrupt(regs) != IIR_NONE;
}

static unsigned rx_space(const struct uart_regs *regs)
{
	unsigned size = fifo_enabled(regs) ? UART_FIFO_BYTES : 1;

	return size > regs->rx_len ? size - regs->rx_len : 0;
}

size_t uart_regs_room(const struct uart_regs *regs)
{
	bool polled = regs->polls >= POLLING_READS;

	if ((regs->mcr & MCR_LOOP) || regs->break_waiting)
		return 0;
	/* Linux raises DTR first and RTS last, when there is somebody to take what arrives. */
	if ((regs->uses_rts || (regs->mcr & MCR_DTR)) && !(regs->mcr & MCR_RTS))
		return 0;
	return (regs->ier & IER_RDI) || polled ? rx_space(regs) : 0;
}

static void rx_push(struct uart_regs *regs, uint8_t byte, bool is_break)
{
	unsigned at = (regs->rx_head + regs->rx_len) % UART_FIFO_BYTES;

	regs->rx[at].byte = byte;
	regs->rx[at].is_break = is_break;
	regs->rx_len++;
}

static void rx_take_break(struct uart_regs *regs)
{
	if (regs->break_waiting && rx_space(regs)) {
		regs->break_waiting = false;
		rx_push(regs, 0, true);
	}
}

static uint8_t rx_pop(struct uart_regs *regs)
{
	uint8_t byte;

	if (!regs->rx_len)
		return 0;
	byte = regs->rx[regs->rx_head].byte;
	regs->rx_head = (regs->rx_head + 1) % UART_FIFO_BYTES;
	regs->rx_len--;
	rx_take_break(regs);
	return byte;
}

void uart_regs_receive(struct uart_regs *regs, const uint8_t *bytes, size_t len)
{
	size_t i;

	/*
	 * The guest may have changed its mind since it was asked, but there is room for them,
	 * unless it has filled the FIFO itself in loopback mode at this very moment.
	 */
	for (i = 0; i < len && regs->rx_len < UART_FIFO_BYTES; i++)
		rx_push(regs, bytes[i], false);
	regs->overrun |= i < len;
}

void uart_regs_break(struct uart_regs *regs)
{
	regs->break_waiting = true;
	rx_take_break(regs);
}

void uart_regs_sent(struct uart_regs *regs, size_t len)
{
	regs->tx_len -= (unsigned)len;
	memmove(regs->tx, regs->tx + len, regs->tx_len);
	if (!regs->tx_len)
		regs->thre_pending = true;
}

static void loop_back(struct uart_regs *regs, uint8_t byte)
{
	if (rx_space(regs))
		rx_push(regs, byte, false);
	else
		regs->overrun = true;
	regs->thre_pending = true;
}

static void write_thr(struct uart_regs *regs, uint8_t byte)
{
	regs->thre_pending = false;
	if (regs->mcr & MCR_LOOP) {
		loop_back(regs, byte);
		return;
	}
	/* Somebody who writes into a full FIFO loses the byte, as with a real one. */
	if (regs->tx_len < UART_FIFO_BYTES)
		regs->tx[regs->tx_len++] = byte;
}

static void write_ier(struct uart_regs *regs, uint8_t value)
{
	value &= IER_BITS;
	/* Enabling it with an empty transmitter gives one interrupt, whatever was acknowledged. */
	if ((value & ~regs->ier & IER_THRI) && !regs->tx_len)
		regs->thre_pending = true;
	regs->ier = value;
}

static void write_fcr(struct uart_regs *regs, uint8_t value)
{
	/*
	 * A change of the enable bit clears a real FIFO. This one keeps what it has: Linux enables
	 * the receive interrupt before the FIFO, and a byte that comes in between would be lost.
	 */
	if (!(value & FCR_ENABLE))
		value &= FCR_CLEAR_RX | FCR_CLEAR_TX;
	if (value & FCR_CLEAR_RX) {
		regs->rx_len = 0;
		regs->polls = 0;
		rx_take_break(regs);
	}
	if ((value & FCR_CLEAR_TX) && regs->tx_len) {
		regs->tx_len = 0;
		regs->thre_pending = true;
	}
	regs->fcr = value & (FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT);
}

static void write_mcr(struct uart_regs *regs, uint8_t value)
{
	uint8_t before = msr_lines(regs), after, changed;

	regs->mcr = value & MCR_BITS;
	after = msr_lines(regs);
	changed = before ^ after;
	/* The delta of RI counts its trailing edge only. */
	if (after & MSR_RI)
		changed &= (uint8_t)~MSR_RI;
	regs->msr_deltas |= changed >> 4;
	if ((value & (MCR_RTS | MCR_LOOP)) == MCR_RTS)
		regs->uses_rts = true;
}

static uint8_t read_iir(struct uart_regs *regs)
{
	uint8_t id = pending_interrupt(regs);

	if (id == IIR_THRI)
		regs->thre_pending = false;
	return id | (fifo_enabled(regs) ? IIR_FIFO_ENABLED : 0);
}

static uint8_t read_lsr(struct uart_regs *regs)
{
	uint8_t lsr = rx_errors(regs);
	unsigned i;

	if (regs->rx_len)
		lsr |= LSR_DR;
	if (!regs->tx_len) {
		lsr |= LSR_THRE | LSR_TEMT;
		if (regs->polls < POLLING_READS)
			regs->polls++;
	}
	for (i = 0; fifo_enabled(regs) && i < regs->rx_len; i++)
		if (regs->rx[(regs->rx_head + i) % UART_FIFO_BYTES].is_break)
			lsr |= LSR_FIFO_ERROR;
	regs->overrun = false;
	if (regs->rx_len)
		regs->rx[regs->rx_head].is_break = false;
	return lsr;
}

uint8_t uart_regs_read(struct uart_regs *regs, unsigned offset)
{
	bool dlab = regs->lcr & LCR_DLAB;
	uint8_t value;

	switch (offset) {
	case RBR_THR_DLL:
		return dlab ? regs->dll : rx_pop(regs);
	case IER_DLM:
		return dlab ? regs->dlm : regs->ier;
	case IIR_FCR:
		return read_iir(regs);
	case LCR:
		return regs->lcr;
	case MCR:
		return regs->mcr;
	case LSR:
		return read_lsr(regs);
	case MSR:
		value = msr_lines(regs) | regs->msr_deltas;
		regs->msr_deltas = 0;
		return value;
	default:
		return regs->scr;
	}
}

void uart_regs_write(struct uart_regs *regs, unsigned offset, uint8_t value)
{
	bool dlab = regs->lcr & LCR_DLAB;

	/* Who writes between two reads of LSR does not poll for input. */
	if (regs->polls < POLLING_READS)
		regs->polls = 0;
	switch (offset) {
	case RBR_THR_DLL:
		if (dlab)
			regs->dll = value;
		else
			write_thr(regs, value);
		break;
	case IER_DLM:
		if (dlab)
			regs->dlm = value;
		else
			write_ier(regs, value);
		break;
	case IIR_FCR:
		write_fcr(regs, value);
		break;
	case LCR:
		regs->lcr = value;
		break;
	case MCR:
		write_mcr(regs, value);
		break;
	case SCR:
		regs->scr = value;
		break;
	default: /* LSR and MSR are for reading */
		break;
	}
}
