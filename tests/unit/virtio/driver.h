/*
 * A guest's virtio driver for tests: guest memory, a bus, a counting interrupt line, and the
 * driver's side of the split queue (virtio 1.2, 2.7.13 to 2.7.14, 3.1). Knows nothing of Check, so
 * that fuzz targets use it too; what cannot happen in a sound test aborts.
 */
#ifndef SARANG_TESTS_VIRTIO_DRIVER_H
#define SARANG_TESTS_VIRTIO_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "loop/loop.h"
#include "mem/gmem.h"
#include "virtio/mmio.h"

#define GUEST_RAM_BYTES (16u << 20)
#define GUEST_DEV_BASE  0xfeb00000ull
#define GUEST_QUEUES    5
#define GUEST_DESCS     256

struct guest_irq {
	struct irq_line line;
	_Atomic unsigned count;
};

/* The driver's copy of what it knows about a queue; addresses are guest physical. */
struct guest_queue {
	uint16_t size;
	uint64_t desc, avail, used;
	uint16_t avail_idx;
	uint16_t used_seen;
	uint16_t free[GUEST_DESCS];
	unsigned free_count;
};

struct guest {
	struct gmem *mem;
	struct bus *bus;
	struct loop *loop;
	struct device_env env;
	struct device_place place;
	struct guest_irq irq;
	struct device *dev;
	uint64_t features; /* negotiated */
	uint64_t brk;      /* next free guest address */
	struct guest_queue queues[GUEST_QUEUES];
};

struct guest_buf {
	uint64_t addr;
	uint32_t len;
	bool write; /* for the device */
};

/* Memory, bus, loop, interrupt line; no device yet. */
void guest_init(struct guest *g);
/* Maps and starts @dev, which is the guest's from here on. */
void guest_plug(struct guest *g, struct device *dev);
/* Doorbells as KVM would catch them, but recorded only. */
struct guest_bells {
	unsigned added, removed;
	unsigned present; /* bit per queue */
	int refuse;       /* 0, or the -errno that every request gets */
	int fds[GUEST_QUEUES];
};

/* Makes @bells (cleared here) the bus's. One added twice or removed with another eventfd aborts. */
void guest_catch_doorbells(struct guest *g, struct guest_bells *bells);

/* Destroys the device, then the rest. */
void guest_free(struct guest *g);

/* Runs the main loop until nothing is ready any more. */
void guest_run(struct guest *g);

uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align);
void *guest_at(const struct guest *g, uint64_t gpa, uint64_t len);

uint32_t guest_reg(const struct guest *g, uint64_t reg);
void guest_set_reg(const struct guest *g, uint64_t reg, uint32_t value);

/* Steps 1 to 6 of 3.1.1 taking @features (plus VERSION_1) of those offered; false: refused. */
bool guest_negotiate(struct guest *g, uint64_t features);
/* Allocates rings and makes the queue ready. */
void guest_setup_queue(struct guest *g, unsigned queue, uint16_t size);
void guest_driver_ok(const struct guest *g);
/* All of it: reset, negotiation, @queues queues of @size, DRIVER_OK. */
void guest_bring_up(struct guest *g, uint64_t features, unsigned queues, uint16_t size);

/* Writes one descriptor of the queue's table. */
void guest_desc(const struct guest *g, unsigned queue, uint16_t index, struct virtq_desc desc);
/* Offers the chain at @head. */
void guest_offer(struct guest *g, unsigned queue, uint16_t head);
/* Builds a chain of free descriptors and offers it; returns its head. */
uint16_t guest_add(struct guest *g, unsigned queue, const struct guest_buf *bufs, unsigned count);
unsigned guest_free_descs(const struct guest *g, unsigned queue);
void guest_kick(const struct guest *g, unsigned queue);

/* The next used entry: its head (descriptors are free again) and *@len, or -1. */
int guest_reap(struct guest *g, unsigned queue, uint32_t *len);

/* Raw ring fields. */
void guest_set_used_event(const struct guest *g, unsigned queue, uint16_t event);
uint16_t guest_avail_event(const struct guest *g, unsigned queue);
void guest_set_avail_idx(struct guest *g, unsigned queue, uint16_t idx);

#endif
