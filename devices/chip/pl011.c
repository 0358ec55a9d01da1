/*
 * The PL011 serial port: see pl011.h.
 *
 * Theory of operation. What the guest transmits goes straight into the back-end's ring, so the
 * transmitter is empty again at once; only when the ring is full do bytes stay in the transmit FIFO
 * until the back-end has room. Whether the guest has enabled the UART and its transmitter does not
 * matter: small programs that never do are written for machines where that works.
 *
 * Input is held back while nobody would read it: a driver that starts reads leftovers away (Linux:
 * pl011_enable_interrupts), and what a user piped into us would be lost with them. A guest reads
 * input when the receiver and one of its interrupts are enabled, or when it polls the flag register
 * without transmitting. It takes both: Linux enables the interrupts once before it has the
 * receiver, and means it only the second time. It masks them when it is throttled; input then waits
 * with the back-end.
 *
 * The receive time-out comes at once: what has not arrived yet is not on its way either.
 *
 * The line is driven while the mutex is held: irq_set never comes back into the device, and so two
 * vCPUs cannot drive their levels in the wrong order. Register accesses on vCPU threads, the
 * back-end's calls on the main loop's.
 */
#include "chip/pl011.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "chip/pl011_regs.h"
#include "chip/primecell.h"

#define FIFO_BYTES 32u /* of revision r1p5, which the identification registers name */

/* So many reads of the flags in a row, while nothing is being sent, are a guest that polls for
 * input. */
#define POLLING_READS 16u

struct pl011 {
	struct device dev;
	struct chr *chr;
	bool linked; /* chr_start has been called */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level; /* of the line */
	uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
	bool break_waiting; /* a break for which the FIFO had no room */
	unsigned polls;     /* reads of the flags in a row */

	uint16_t rx[FIFO_BYTES]; /* as the data register gives them */
	unsigned rx_head, rx_len;
	uint8_t tx[FIFO_BYTES];
	unsigned tx_len;
};

/* Without FIFOs, a holding register. */
static unsigned fifo_size(const struct pl011 *uart)
{
	return uart->lcr_h & LCR_H_FEN ? FIFO_BYTES : 1;
}

/* How full a FIFO is at its trigger level, from the three bits in IFLS; reserved values mean 7/8.
 */
static unsigned trigger(const struct pl011 *uart, unsigned select)
{
	static const uint8_t levels[] = {4, 8, 16, 24, 28, 28, 28, 28};

	return uart->lcr_h & LCR_H_FEN ? levels[select & 7] : 1;
}

static void update_irq(struct pl011 *uart)
{
	bool level = uart->ris & uart->imsc;

	if (level == uart->level || !uart->running)
		return;
	uart->level = level;
	if (uart->dev.place.irq)
		irq_set(uart->dev.place.irq, level);
}

static unsigned rx_room(const struct pl011 *uart)
{
	unsigned size = fifo_size(uart);

	return size > uart->rx_len ? size - uart->rx_len : 0;
}

/* Whether somebody in the guest would read input now. */
static bool wants_input(const struct pl011 *uart)
{
	if (!uart->running || (uart->cr & CR_LBE) || uart->break_waiting)
		return false;
	if (uart->polls >= POLLING_READS)
		return true;
	return (uart->imsc & (INT_RX | INT_RT)) && (uart->cr & CR_RECEIVES) == CR_RECEIVES;
}

static void rx_push(struct pl011 *uart, uint16_t character)
{
	uart->rx[(uart->rx_head + uart->rx_len) % FIFO_BYTES] = character;
	uart->rx_len++;
	uart->ris |= INT_RT;
	if (uart->rx_len >= trigger(uart, uart->ifls >> 3))
		uart->ris |= INT_RX;
}

static void rx_take_break(struct pl011 *uart)
{
	if (!uart->break_waiting || !rx_room(uart))
		return;
	uart->break_waiting = false;
	rx_push(uart, DR_BE);
	uart->ris |= INT_BE;
}

/*
 * Asks for more where that can have become possible; cheap when nothing waits. Not for every byte
 * that the guest has read, though: each time wakes the main loop.
 */
static void rx_accept(struct pl011 *uart)
{
	if (wants_input(uart) && uart->rx_len <= fifo_size(uart) / 2)
		chr_accept(uart->chr);
}

static uint32_t read_dr(struct pl011 *uart)
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

/* Moves the transmit FIFO into the back-end. */
static void tx_flush(struct pl011 *uart)
{
	size_t taken;

	if (!uart->tx_len)
		return;
	taken = chr_write(uart->chr, uart->tx, uart->tx_len);
	uart->tx_len -= (unsigned)taken;
	memmove(uart->tx, uart->tx + taken, uart->tx_len);
	if (uart->tx_len < fifo_size(uart) && uart->tx_len <= trigger(uart, uart->ifls))
		uart->ris |= INT_TX;
}

static void loop_back(struct pl011 *uart, uint8_t byte)
{
	if (rx_room(uart)) {
		rx_push(uart, byte);
	} else {
		uart->rsr |= DR_OE >> 8;
		uart->ris |= INT_OE;
	}
	uart->ris |= INT_TX;
}

static void write_dr(struct pl011 *uart, uint8_t byte)
{
	if (uart->cr & CR_LBE) {
		loop_back(uart, byte);
		return;
	}
	uart->ris &= ~(uint32_t)INT_TX;
	/* Somebody who writes into a full FIFO loses the byte, as with a real one. */
	if (uart->tx_len < fifo_size(uart))
		uart->tx[uart->tx_len++] = byte;
	tx_flush(uart);
}

static uint32_t read_fr(struct pl011 *uart)
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

static uint32_t read_register(struct pl011 *uart, uint64_t offset)
{
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

static void write_register(struct pl011 *uart, uint64_t offset, uint32_t value)
{
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

static uint64_t pl011_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pl011 *uart = opaque;
	uint32_t value;

	(void)size;
	pthread_mutex_lock(&uart->lock);
	value = read_register(uart, align_down(offset, 4));
	update_irq(uart);
	rx_accept(uart);
	pthread_mutex_unlock(&uart->lock);
	return primecell_part(value, offset);
}

static void pl011_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pl011 *uart = opaque;

	(void)size;
	if (!primecell_is_write(offset))
		return;
	pthread_mutex_lock(&uart->lock);
	/* Who transmits between two reads of the flags does not poll for input. */
	if (uart->polls < POLLING_READS)
		uart->polls = 0;
	write_register(uart, offset, (uint32_t)value);
	update_irq(uart);
	rx_accept(uart);
	pthread_mutex_unlock(&uart->lock);
}

static size_t pl011_can_receive(void *opaque)
{
	struct pl011 *uart = opaque;
	size_t room;

	pthread_mutex_lock(&uart->lock);
	room = wants_input(uart) ? rx_room(uart) : 0;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

static void pl011_receive(void *opaque, const uint8_t *bytes, size_t len)
{
	struct pl011 *uart = opaque;
	size_t i;

	pthread_mutex_lock(&uart->lock);
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
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void pl011_writable(void *opaque)
{
	struct pl011 *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	tx_flush(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void pl011_input_break(void *opaque)
{
	struct pl011 *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	uart->break_waiting = uart->running;
	rx_take_break(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static int pl011_start(struct device *dev, struct err *e)
{
	struct pl011 *uart = (struct pl011 *)dev;
	const struct chr_client client = {
		.can_receive = pl011_can_receive,
		.receive = pl011_receive,
		.writable = pl011_writable,
		.input_break = pl011_input_break,
		.opaque = uart,
	};
	int ret;

	pthread_mutex_lock(&uart->lock);
	uart->running = true;
	tx_flush(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->linked) {
		chr_accept(uart->chr);
		return 0;
	}
	ret = chr_start(uart->chr, &client, e);
	uart->linked = !ret;
	return ret;
}

static void pl011_stop(struct device *dev)
{
	struct pl011 *uart = (struct pl011 *)dev;

	pthread_mutex_lock(&uart->lock);
	/* The line keeps its level: a machine that goes on finds it as it was. */
	uart->running = false;
	if (uart->tx_len) {
		chr_write_last(uart->chr, uart->tx, uart->tx_len);
		uart->tx_len = 0;
		uart->ris |= INT_TX;
	}
	pthread_mutex_unlock(&uart->lock);
}

static void power_on(struct pl011 *uart)
{
	uart->rsr = uart->ilpr = uart->ibrd = uart->fbrd = uart->lcr_h = 0;
	uart->imsc = uart->ris = uart->dmacr = 0;
	uart->cr = CR_RESET;
	uart->ifls = IFLS_RESET;
	uart->break_waiting = false;
	uart->polls = uart->rx_len = uart->tx_len = 0;
}

static void pl011_reset(struct device *dev)
{
	struct pl011 *uart = (struct pl011 *)dev;

	pthread_mutex_lock(&uart->lock);
	power_on(uart);
	if (uart->level && uart->dev.place.irq)
		irq_set(uart->dev.place.irq, false);
	uart->level = false;
	pthread_mutex_unlock(&uart->lock);
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
	struct pl011 *uart = (struct pl011 *)dev;

	pthread_mutex_destroy(&uart->lock);
	free(uart);
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
	.start = pl011_start,
	.stop = pl011_stop,
	.reset = pl011_reset,
	.describe_fdt = pl011_describe_fdt,
	.destroy = pl011_destroy,
};

int pl011_new(const struct device_env *env, const struct device_place *place,
	      const struct pl011_settings *settings, struct device **out, struct err *e)
{
	struct pl011 *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&uart->dev, &pl011_class, env, place, settings->id);
	snprintf(uart->dev.detail, sizeof(uart->dev.detail), "PL011 serial port, console %.64s",
		 chr_where(settings->chr));
	pthread_mutex_init(&uart->lock, NULL);
	uart->chr = settings->chr;
	power_on(uart);
	*out = &uart->dev;
	return 0;
}
