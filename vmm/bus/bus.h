/*
 * The buses: from an address in guest MMIO or port space to the device that is there.
 *
 * Regions are added while the machine is built and never change while vCPUs run, so look-up takes
 * no lock. Accesses that no region takes, that cross a region's end, or of a size the region does
 * not allow never reach a device: reads give all ones, writes are dropped.
 */
#ifndef SARANG_BUS_BUS_H
#define SARANG_BUS_BUS_H

#include <stdint.h>

#include "base/err.h"

enum bus_space {
	BUS_MMIO,
	BUS_PIO, /* x86 port space, 64 KiB */
};

/* What a device does with accesses to one of its regions. @offset counts from the region's start.
 */
struct bus_region_ops {
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
	void (*write)(void *opaque, uint64_t offset, unsigned size, uint64_t value);
	unsigned sizes; /* allowed access sizes, or-ed: 1 | 2 | 4 | 8 */
};

struct bus_region {
	enum bus_space space;
	uint64_t base;
	uint64_t len;
	const struct bus_region_ops *ops;
	void *opaque;
	const char *name; /* for messages and `inspect`; outlives the bus */
};

/*
 * Who catches doorbells: writes of @size bytes and the value @match at @base + @offset that signal
 * the eventfd @fd instead of reaching the region. KVM does it with ioeventfds; where nobody does,
 * the device's write callback gets the write.
 */
struct doorbell {
	enum bus_space space;
	uint64_t addr;
	unsigned size;
	uint64_t match;
	int fd;
};

struct doorbell_ops {
	int (*add)(void *opaque, const struct doorbell *bell); /* 0 or -errno */
	void (*remove)(void *opaque, const struct doorbell *bell);
};

struct bus;

int bus_new(struct bus **out, struct err *e);
void bus_free(struct bus *bus);

/* Adds a copy of @region. -EEXIST when it overlaps another (the sentence names both), -EINVAL. */
int bus_add(struct bus *bus, const struct bus_region *region, struct err *e);

/* The regions in the order of space and address; NULL past the end. */
const struct bus_region *bus_region_at(const struct bus *bus, unsigned index);

/* An access by a vCPU. On its thread; no lock is held while the device's callback runs. */
uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, enum bus_space space, uint64_t addr, unsigned size, uint64_t value);

/* Names who catches doorbells; @ops outlives the bus. */
void bus_set_doorbells(struct bus *bus, const struct doorbell_ops *ops, void *opaque);

/* Asks for one. 0, -ENOTSUP when nobody catches them (not an error), or -errno. */
int bus_doorbell_add(struct bus *bus, const struct doorbell *bell);
void bus_doorbell_remove(struct bus *bus, const struct doorbell *bell);

#endif
