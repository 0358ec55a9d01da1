/*
 * The PL011 serial port: see pl011.h.
 *
 * A register file on a serial port (serial.h), which has the lock and says what runs on which
 * thread. Whether the guest has enabled the UART and its transmitter does not matter for output:
 * small programs that never do are written for machines where that works.
 *
 * Input is held back while nobody would read it: a driver that starts reads leftovers away (Linux:
 * pl011_enable_interrupts), and what a user piped into us would be lost with them. A guest reads
 * input when the receiver and one of its interrupts are enabled, or when it polls the flag register
 * without transmitting. It takes both: Linux enables the interrupts once before it has the
 * receiver, and means it only the second time. It masks them when it is throttled; input then waits
 * with the back-end.
 *
 * The receive time-out comes at once: what has not arrived yet is not on its way either.
 */
#include "chip/pl011.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "chip/pl011_regs.h"
#include "chip/primecell.h"
#include "chip/serial.h"

#define FIFO_BYTES 32u /* of revision r1p5, which the identification registers name */

/* So many reads of the flags in a row, while nothing is being sent, are a guest that polls for
 * input. */
#define POLLING_READS 16u

struct pl011_regs {
	uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
	bool break_waiting; /* a break for which the FIFO had no room */
	unsigned polls;     /* reads of the flags in a row */

	uint16_t rx[FIFO_BYTES]; /* as the data register gives them */
	unsigned rx_head, rx_len;
	uint8_t tx[FIFO_BYTES];
	unsigned tx_len;
};

struct pl011 {
	struct serial_port port;
	struct pl011_regs regs;
};

/* Without FIFOs, a holding register. */
static unsigned fifo_size(const struct pl011_regs *uart)
{
	return uart->lcr_h & LCR_H_FEN ? FIFO_BYTES : 1;
}

/* How full a FIFO is at its trigger level, from the three bits in IFLS; reserved values mean 7/8.
 */
static unsigned trigger(const struct pl011_regs *uart, unsigned select)
{
	static const uint8_t levels[] = {4, 8, 16, 24, 28, 28, 28, 28};

	return uart->lcr_h & LCR_H_FEN ? levels[select & 7] : 1;
}

static unsigned rx_room(const struct pl011_regs *uart)
{
	unsigned size = fifo_size(uart);

	return size > uart->rx_len ? size - uart->rx_len : 0;
}

/* Whether somebody in the guest would read input now. */
static bool wants_input(const struct pl011_regs *uart)
{
	if ((uart->cr & CR_LBE) || uart->break_waiting)
		return false;
	if (uart->polls >= POLLING_READS)
		return true;
	return (uart->imsc & (INT_RX | INT_RT)) && (uart->cr & CR_RECEIVES) == CR_RECEIVES;
}

static void rx_push(struct pl011_regs *uart, uint16_t character)
{
	uart->rx[(uart->rx_head + uart->rx_len) % FIFO_BYTES] = character;
	uart->rx_len++;
	uart->ris |= INT_RT;
	if (uart->rx_len >= trigger(uart, uart->ifls >> 3))
		uart->ris |= INT_RX;
}

static void rx_take_break(struct pl011_regs *uart)
{
	if (!uart->break_waiting || !rx_room(uart))
		return;
	uart->break_waiting = false;
	rx_push(uart, DR_BE);
	uart->ris |= INT_BE;
}

static uint32_t read_dr(struct pl011_regs *uart)
{
	uint16_t character;

	if (!uart->rx_len)
		return 0;
	character = uart->rx[uart->rx_head];
	uart->rx_head = (uart->rx_head + 1) % FIFO_BYTES;
	uart->rx_len--;
	uart->rsr = (character & DR_ERRORS) >> 8;
	if (uart->rx_len < trigger(uart, uart->ifls >> 3))
		uart->ris &= ~(uint32_t)INT_RX;
	/* A guest that leaves something behind hears of it again. */
	if (uart->rx_len)
		uart->ris |= INT_RT;
	else
		uart->ris &= ~(uint32_t)INT_RT;
	rx_take_break(uart);
	return character;
}

static void loop_back(struct pl011_regs *uart, uint8_t byte)
{
	if (rx_room(uart)) {
		rx_push(uart, byte);
	} else {
		uart->rsr |= DR_OE >> 8;
		uart->ris |= INT_OE;
	}
	uart->ris |= INT_TX;
}

static void write_dr(struct pl011_regs *uart, uint8_t byte)
{
	if (uart->cr & CR_LBE) {
		loop_back(uart, byte);
		return;
	}
	uart->ris &= ~(uint32_t)INT_TX;
	/* Somebody who writes into a full FIFO loses the byte, as with a real one. */
	if (uart->tx_len < fifo_size(uart))
		uart->tx[uart->tx_len++] = byte;
}

static uint32_t read_fr(struct pl011_regs *uart)
{
	uint32_t flags = FR_CTS | FR_DSR | FR_DCD; /* the other side is there and ready, always */

	flags |= uart->rx_len ? 0 : FR_RXFE;
	flags |= rx_room(uart) ? 0 : FR_RXFF;
	if (uart->tx_len) {
		flags |= FR_BUSY | (uart->tx_len >= fifo_size(uart) ? FR_TXFF : 0);
	} else {
		flags |= FR_TXFE;
		uart->polls += uart->polls < POLLING_READS;
	}
	return flags;
}

static uint32_t pl011_regs_read(void *regs, uint64_t offset)
{
	struct pl011_regs *uart = regs;

	switch (offset) {
	case DR:
		return read_dr(uart);
	case RSR_ECR:
		return uart->rsr;
	case FR:
		return read_fr(uart);
	case ILPR:
		return uart->ilpr;
	case IBRD:
		return uart->ibrd;
	case FBRD:
		return uart->fbrd;
	case LCR_H:
		return uart->lcr_h;
	case CR:
		return uart->cr;
	case IFLS:
		return uart->ifls;
	case IMSC:
		return uart->imsc;
	case RIS:
		return uart->ris;
	case MIS:
		return uart->ris & uart->imsc;
	case DMACR:
		return uart->dmacr;
	default:
		return offset >= PRIMECELL_ID_OFFSET ? primecell_read_id(PRIMECELL_PL011, offset)
						     : 0;
	}
}

static void pl011_regs_write(void *regs, uint64_t offset, uint32_t value)
{
	struct pl011_regs *uart = regs;

	/* Who transmits between two reads of the flags does not poll for input. */
	if (uart->polls < POLLING_READS)
		uart->polls = 0;
	switch (offset) {
	case DR:
		write_dr(uart, (uint8_t)value);
		break;
	case RSR_ECR:
		uart->rsr = 0;
		break;
	case ILPR:
		uart->ilpr = value & 0xff;
		break;
	case IBRD:
		uart->ibrd = value & 0xffff;
		break;
	case FBRD:
		uart->fbrd = value & 0x3f;
		break;
	case LCR_H:
		/* Real FIFOs are flushed when they are switched; these keep what they have. */
		uart->lcr_h = value & 0xff;
		break;
	case CR:
		uart->cr = value & CR_BITS;
		break;
	case IFLS:
		uart->ifls = value & 0x3f;
		break;
	case IMSC:
		/* A driver takes over: who polled before it does no more. */
		uart->polls = 0;
		uart->imsc = value & INT_BITS;
		break;
	case ICR:
		uart->ris &= ~value;
		break;
	case DMACR:
		uart->dmacr = value & 0x7;
		break;
	default: /* for reading only, or nothing there */
		break;
	}
}

static bool pl011_regs_interrupt(const void *regs)
{
	const struct pl011_regs *uart = regs;

	return uart->ris & uart->imsc;
}

static size_t pl011_regs_room(const void *regs)
{
	return wants_input(regs) ? rx_room(regs) : 0;
}

/* Not for every byte that the guest has read: each time wakes the main loop. */
static bool pl011_regs_want_more(const void *regs)
{
	const struct pl011_regs *uart = regs;

	return wants_input(uart) && uart->rx_len <= fifo_size(uart) / 2;
}

static void pl011_regs_receive(void *regs, const uint8_t *bytes, size_t len)
{
	struct pl011_regs *uart = regs;
	size_t i;

	/*
	 * The guest may have changed its mind since it was asked, but there is room for them,
	 * unless it has filled the FIFO itself in loopback mode at this very moment.
	 */
	for (i = 0; i < len && uart->rx_len < FIFO_BYTES; i++)
		rx_push(uart, bytes[i]);
	if (i < len) {
		uart->rsr |= DR_OE >> 8;
		uart->ris |= INT_OE;
	}
}

static void pl011_regs_receive_break(void *regs)
{
	struct pl011_regs *uart = regs;

	uart->break_waiting = true;
	rx_take_break(uart);
}

static size_t pl011_regs_transmitted(const void *regs, const uint8_t **bytes)
{
	const struct pl011_regs *uart = regs;

	*bytes = uart->tx;
	return uart->tx_len;
}

static void pl011_regs_sent(void *regs, size_t len)
{
	struct pl011_regs *uart = regs;

	uart->tx_len -= (unsigned)len;
	memmove(uart->tx, uart->tx + len, uart->tx_len);
	if (uart->tx_len < fifo_size(uart) && uart->tx_len <= trigger(uart, uart->ifls))
		uart->ris |= INT_TX;
}

static void pl011_regs_power_on(void *regs)
{
	struct pl011_regs *uart = regs;

	memset(uart, 0, sizeof(*uart));
	uart->cr = CR_RESET;
	uart->ifls = IFLS_RESET;
}

static const struct serial_model pl011_model = {
	.read = pl011_regs_read,
	.write = pl011_regs_write,
	.interrupt = pl011_regs_interrupt,
	.room = pl011_regs_room,
	.wants_more = pl011_regs_want_more,
	.receive = pl011_regs_receive,
	.receive_break = pl011_regs_receive_break,
	.transmitted = pl011_regs_transmitted,
	.sent = pl011_regs_sent,
	.power_on = pl011_regs_power_on,
};

static uint64_t pl011_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)size;
	return primecell_part(serial_read(opaque, align_down(offset, 4)), offset);
}

static void pl011_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	if (primecell_is_write(offset))
		serial_write(opaque, offset, (uint32_t)value);
}

/* Linux: Documentation/devicetree/bindings/serial/pl011.yaml */
static int pl011_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	primecell_begin_node(dev, "pl011", 2, fdt);
	fdtb_texts(fdt, "compatible", "arm,pl011\0arm,primecell");
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void pl011_destroy(struct device *dev)
{
	serial_fini((struct serial_port *)dev);
	free(dev);
}

static const struct bus_region_ops pl011_ops = {
	.read = pl011_read,
	.write = pl011_write,
	.sizes = 1 | 2 | 4,
};

static const struct device_class pl011_class = {
	.name = "pl011",
	.region_count = 1,
	.regions = {{.space = BUS_MMIO, .len = PL011_REGION_LEN, .ops = &pl011_ops}},
	.start = serial_start,
	.stop = serial_stop,
	.reset = serial_reset,
	.describe_fdt = pl011_describe_fdt,
	.destroy = pl011_destroy,
};

int pl011_new(const struct device_env *env, const struct device_place *place,
	      const struct pl011_settings *settings, struct device **out, struct err *e)
{
	struct pl011 *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&uart->port.dev, &pl011_class, env, place, settings->id);
	serial_init(&uart->port, &pl011_model, &uart->regs, settings->chr, "PL011");
	*out = &uart->port.dev;
	return 0;
}
