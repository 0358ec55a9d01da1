/*
 * The 16550A serial port: see uart16550.h.
 *
 * Theory of operation. What the guest transmits goes straight into the back-end's ring, so the
 * transmitter is empty again at once; only when the ring is full do bytes stay in the transmit
 * FIFO, with LSR.THRE low, until the back-end has room. Received bytes come as many at a time as
 * the receive FIFO has room for, so there is never an overrun from outside.
 *
 * Interrupt causes are recomputed after each change of state, and the line is driven while the
 * mutex is held: irq_set never comes back into the device, and so two vCPUs cannot drive their
 * levels in the wrong order.
 *
 * Threads: register accesses on vCPU threads, the back-end's calls on the main loop's.
 */
#include "chip/uart16550.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip/uart16550_regs.h"
#include "tables/aml.h"

struct uart {
	struct device dev;
	struct chr *chr;
	bool linked; /* chr_start has been called */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level; /* of the line */
	struct uart_regs regs;
};

/* Follows up on a change of the registers: transmits, drives the line, asks for more input. */
static void settle(struct uart *uart)
{
	struct uart_regs *regs = &uart->regs;
	bool level;

	if (!uart->running)
		return;
	if (regs->tx_len)
		uart_regs_sent(regs, chr_write(uart->chr, regs->tx, regs->tx_len));
	level = uart_regs_interrupt(regs);
	if (level != uart->level && uart->dev.place.irq)
		irq_set(uart->dev.place.irq, level);
	uart->level = level;
	if (uart_regs_room(regs))
		chr_accept(uart->chr); /* cheap when nothing waits */
}

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
	struct uart *uart = opaque;
	uint8_t value;

	(void)size;
	pthread_mutex_lock(&uart->lock);
	value = uart_regs_read(&uart->regs, (unsigned)offset);
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
	return value;
}

static void uart_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct uart *uart = opaque;

	(void)size;
	pthread_mutex_lock(&uart->lock);
	uart_regs_write(&uart->regs, (unsigned)offset, (uint8_t)value);
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
}

static size_t uart_can_receive(void *opaque)
{
	struct uart *uart = opaque;
	size_t room;

	pthread_mutex_lock(&uart->lock);
	room = uart->running ? uart_regs_room(&uart->regs) : 0;
	pthread_mutex_unlock(&uart->lock);
	return room;
}

static void uart_receive(void *opaque, const uint8_t *bytes, size_t len)
{
	struct uart *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	uart_regs_receive(&uart->regs, bytes, len);
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void uart_writable(void *opaque)
{
	struct uart *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void uart_input_break(void *opaque)
{
	struct uart *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	uart_regs_break(&uart->regs);
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
}

static int uart_start(struct device *dev, struct err *e)
{
	struct uart *uart = (struct uart *)dev;
	const struct chr_client client = {
		.can_receive = uart_can_receive,
		.receive = uart_receive,
		.writable = uart_writable,
		.input_break = uart_input_break,
		.opaque = uart,
	};
	int ret;

	pthread_mutex_lock(&uart->lock);
	uart->running = true;
	settle(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->linked) {
		chr_accept(uart->chr);
		return 0;
	}
	ret = chr_start(uart->chr, &client, e);
	uart->linked = !ret;
	return ret;
}

static void uart_stop(struct device *dev)
{
	struct uart *uart = (struct uart *)dev;

	pthread_mutex_lock(&uart->lock);
	/* The line keeps its level: a machine that goes on finds it as it was. */
	uart->running = false;
	if (uart->regs.tx_len) {
		chr_write_last(uart->chr, uart->regs.tx, uart->regs.tx_len);
		uart_regs_sent(&uart->regs, uart->regs.tx_len);
	}
	pthread_mutex_unlock(&uart->lock);
}

static void uart_reset(struct device *dev)
{
	struct uart *uart = (struct uart *)dev;

	pthread_mutex_lock(&uart->lock);
	memset(&uart->regs, 0, sizeof(uart->regs));
	if (uart->level && uart->dev.place.irq)
		irq_set(uart->dev.place.irq, false);
	uart->level = false;
	pthread_mutex_unlock(&uart->lock);
}

static void uart_describe_acpi(const struct device *dev, struct aml *aml)
{
	aml_begin_scope(aml, "\\_SB");
	aml_begin_device(aml, "COM1");
	aml_name_eisaid(aml, "_HID", "PNP0501");
	aml_name_int(aml, "_UID", 0);
	aml_name_int(aml, "_STA", 0xf);
	aml_begin_crs(aml);
	aml_res_io(aml, (uint16_t)dev->place.base[0], UART16550_REGION_LEN);
	aml_res_irq(aml, dev->place.irq->gsi, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

static void uart_destroy(struct device *dev)
{
	struct uart *uart = (struct uart *)dev;

	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

static const struct bus_region_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
	.sizes = 1,
};

static const struct device_class uart_class = {
	.name = "uart16550",
	.region_count = 1,
	.regions = {{.space = BUS_PIO, .len = UART16550_REGION_LEN, .ops = &uart_ops}},
	.start = uart_start,
	.stop = uart_stop,
	.reset = uart_reset,
	.describe_acpi = uart_describe_acpi,
	.destroy = uart_destroy,
};

int uart16550_new(const struct device_env *env, const struct device_place *place,
		  const struct uart16550_settings *settings, struct device **out, struct err *e)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&uart->dev, &uart_class, env, place, settings->id);
	snprintf(uart->dev.detail, sizeof(uart->dev.detail), "16550A serial port, console %.64s",
		 chr_where(settings->chr));
	pthread_mutex_init(&uart->lock, NULL);
	uart->chr = settings->chr;
	*out = &uart->dev;
	return 0;
}
