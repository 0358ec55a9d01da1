/*
 * A serial port between its registers and the host: see serial.h.
 *
 * Theory of operation. After each change of the registers `settle` follows up: it moves what was
 * transmitted into the back-end, drives the interrupt line, and asks for more input. The line is
 * driven while the lock is held: irq_set never comes back into the device, and so two vCPUs cannot
 * drive their levels in the wrong order.
 *
 * Threads: register accesses on vCPU threads, the back-end's calls on the main loop's.
 */
#include "chip/serial.h"

#include <stdio.h>

/* Transmits, drives the line, asks for more input. */
static void settle(struct serial_port *port)
{
	const uint8_t *bytes;
	size_t len;
	bool level;

	if (!port->running)
		return;
	len = port->model->transmitted(port->regs, &bytes);
	if (len)
		port->model->sent(port->regs, chr_write(port->chr, bytes, len));
	level = port->model->interrupt(port->regs);
	if (level != port->level && port->dev.place.irq)
		irq_set(port->dev.place.irq, level);
	port->level = level;
	if (port->model->wants_more(port->regs))
		chr_accept(port->chr); /* cheap when nothing waits */
}

uint32_t serial_read(struct serial_port *port, uint64_t offset)
{
	uint32_t value;

	pthread_mutex_lock(&port->lock);
	value = port->model->read(port->regs, offset);
	settle(port);
	pthread_mutex_unlock(&port->lock);
	return value;
}

void serial_write(struct serial_port *port, uint64_t offset, uint32_t value)
{
	pthread_mutex_lock(&port->lock);
	port->model->write(port->regs, offset, value);
	settle(port);
	pthread_mutex_unlock(&port->lock);
}

static size_t can_receive(void *opaque)
{
	struct serial_port *port = opaque;
	size_t room;

	pthread_mutex_lock(&port->lock);
	room = port->running ? port->model->room(port->regs) : 0;
	pthread_mutex_unlock(&port->lock);
	return room;
}

static void receive(void *opaque, const uint8_t *bytes, size_t len)
{
	struct serial_port *port = opaque;

	pthread_mutex_lock(&port->lock);
	port->model->receive(port->regs, bytes, len);
	settle(port);
	pthread_mutex_unlock(&port->lock);
}

static void writable(void *opaque)
{
	struct serial_port *port = opaque;

	pthread_mutex_lock(&port->lock);
	settle(port);
	pthread_mutex_unlock(&port->lock);
}

static void input_break(void *opaque)
{
	struct serial_port *port = opaque;

	pthread_mutex_lock(&port->lock);
	if (port->running)
		port->model->receive_break(port->regs);
	settle(port);
	pthread_mutex_unlock(&port->lock);
}

int serial_start(struct device *dev, struct err *e)
{
	struct serial_port *port = (struct serial_port *)dev;
	const struct chr_client client = {
		.can_receive = can_receive,
		.receive = receive,
		.writable = writable,
		.input_break = input_break,
		.opaque = port,
	};
	int ret;

	pthread_mutex_lock(&port->lock);
	port->running = true;
	settle(port);
	pthread_mutex_unlock(&port->lock);
	if (port->linked) {
		chr_accept(port->chr);
		return 0;
	}
	ret = chr_start(port->chr, &client, e);
	port->linked = !ret;
	return ret;
}

void serial_stop(struct device *dev)
{
	struct serial_port *port = (struct serial_port *)dev;
	const uint8_t *bytes;
	size_t len;

	pthread_mutex_lock(&port->lock);
	/* The line keeps its level: a machine that goes on finds it as it was. */
	port->running = false;
	len = port->model->transmitted(port->regs, &bytes);
	if (len) {
		chr_write_last(port->chr, bytes, len);
		port->model->sent(port->regs, len);
	}
	pthread_mutex_unlock(&port->lock);
}

void serial_reset(struct device *dev)
{
	struct serial_port *port = (struct serial_port *)dev;

	pthread_mutex_lock(&port->lock);
	port->model->power_on(port->regs);
	if (port->level && port->dev.place.irq)
		irq_set(port->dev.place.irq, false);
	port->level = false;
	pthread_mutex_unlock(&port->lock);
}

void serial_init(struct serial_port *port, const struct serial_model *model, void *regs,
		 struct chr *chr, const char *what)
{
	port->model = model;
	port->regs = regs;
	port->chr = chr;
	pthread_mutex_init(&port->lock, NULL);
	model->power_on(regs);
	snprintf(port->dev.detail, sizeof(port->dev.detail), "%s serial port, console %.64s", what,
		 chr_where(chr));
}

void serial_fini(struct serial_port *port)
{
	pthread_mutex_destroy(&port->lock);
}
