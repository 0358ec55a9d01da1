/*
 * The plan of a machine: which devices it has, where each one is, and which interrupt it has. Plain
 * data, made from the configuration before anything is touched: `inspect` prints it, machine_build
 * makes it real, device by device, in its order.
 */
#ifndef SARANG_ARCH_PLAN_H
#define SARANG_ARCH_PLAN_H

#include <stdbool.h>

#include "base/err.h"
#include "bus/device.h"
#include "char/chr.h"

#define PLAN_DEVICES_MAX 32
#define PLAN_NO_IRQ      (-1)

struct machine_config; /* machine/config.h; only who put it into build_parts looks inside */

/* What constructors may draw on when the plan is made real. */
struct build_parts {
	const struct device_env *env;
	const struct machine_config *config;
	struct chr *console; /* the serial port's */
	struct chr *hvc;     /* the virtio console's */
};

struct plan_device;

/* Makes a planned device: *@out, or -errno with a sentence. */
typedef int plan_create(const struct build_parts *parts, const struct plan_device *planned,
			const struct device_place *place, struct device **out, struct err *e);

struct plan_device {
	char id[32];      /* "uart0", "disk1" */
	char detail[256]; /* for inspect */
	unsigned region_count;
	struct device_region regions[DEVICE_REGIONS_MAX]; /* space and length; no ops */
	uint64_t base[DEVICE_REGIONS_MAX];
	int gsi;        /* PLAN_NO_IRQ: none */
	bool pulsed;    /* the interrupt is edge-triggered by irq_pulse */
	unsigned index; /* which one of its kind: the disk's number */
	unsigned flags; /* enum plan_flags */
	plan_create *create;
};

enum plan_flags {
	PLAN_POWER_BUTTON = 1 << 0, /* arch_press_power_button wants this device */
};

/* One of a board's own chips, each at a fixed place. */
struct plan_chip {
	const char *id, *detail;
	uint32_t mmio, port; /* where its registers are; 0: not in that space */
	uint16_t len;
	int gsi; /* PLAN_NO_IRQ: none */
	bool pulsed;
	unsigned flags;
	plan_create *create;
};

struct plan {
	struct plan_device devices[PLAN_DEVICES_MAX];
	unsigned count;
	unsigned virtio_count;
};

/* Adds an empty entry with an id made by printf; NULL with a sentence when the plan is full. */
struct plan_device *plan_add(struct plan *plan, struct err *e, const char *id_fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a region at @base to an entry. */
void plan_add_region(struct plan_device *planned, enum bus_space space, uint64_t base,
		     uint64_t len);

/* Adds @count chips in their order. 0, or -ENOSPC with a sentence when the plan is full. */
int plan_add_chips(struct plan *plan, const struct plan_chip *chips, size_t count, struct err *e);

#endif
