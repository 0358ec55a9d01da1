/*
 * What every serial port is besides its registers: a device with a lock, a character back-end
 * behind it and an interrupt line. For the drivers of this folder (uart16550.c, pl011.c): each
 * gives its register file, which is pure, and the calls below.
 *
 * What the guest transmits goes straight into the back-end's ring, so the transmitter is empty
 * again at once; only when the ring is full do bytes stay in the transmit FIFO until the back-end
 * has room. Received bytes come as many at a time as the receive FIFO has room for, so there is
 * never an overrun from outside.
 */
#ifndef SARANG_CHIP_SERIAL_H
#define SARANG_CHIP_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/device.h"
#include "char/chr.h"

/* A register file. All calls are made with the port's lock held. */
struct serial_model {
	uint32_t (*read)(void *regs, uint64_t offset);
	void (*write)(void *regs, uint64_t offset, uint32_t value);
	bool (*interrupt)(const void *regs); /* the level of the line */

	/* How many bytes can be received now: 0 while nobody in the guest would read them. */
	size_t (*room)(const void *regs);
	/* Whether to ask the back-end for more, which wakes its loop, after a change. */
	bool (*wants_more)(const void *regs);
	void (*receive)(void *regs, const uint8_t *bytes, size_t len);
	void (*receive_break)(void *regs);

	/* What was transmitted and not taken yet (*@bytes), and that @len bytes of it have been. */
	size_t (*transmitted)(const void *regs, const uint8_t **bytes);
	void (*sent)(void *regs, size_t len);

	void (*power_on)(void *regs); /* the state after it */
};

/* Embedded in a device as its first member. */
struct serial_port {
	struct device dev;
	const struct serial_model *model;
	struct chr *chr;
	bool linked; /* chr_start has been called */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level; /* of the line */
	void *regs;
};

/*
 * Fills in @port after device_init, with @regs in their state after power-on. @chr and @regs are
 * borrowed: they have to outlive the port. @what goes into what `inspect` says of the device.
 */
void serial_init(struct serial_port *port, const struct serial_model *model, void *regs,
		 struct chr *chr, const char *what);

/* Before the memory of @port is freed. */
void serial_fini(struct serial_port *port);

/* A guest's register access; what bus_region_ops are made of. */
uint32_t serial_read(struct serial_port *port, uint64_t offset);
void serial_write(struct serial_port *port, uint64_t offset, uint32_t value);

/* For a device_class. */
int serial_start(struct device *dev, struct err *e);
void serial_stop(struct device *dev);
void serial_reset(struct device *dev);

#endif
