/*
 * A device: something a guest finds at an address.
 *
 *      create         start          stop           destroy
 *   -----------> made ------> running -----> stopped ------->
 *                               ^  |  start     |
 *                         reset |  |<-----------+
 *                               +--+
 *
 * create   takes the settings and what the board gave the device (struct device_place), opens what
 *          it needs from the host, adds no bus region: device_add does that from class->regions.
 * start    begins to serve: threads, doorbells. vCPUs do not run yet.
 * stop     drains what is under way and goes quiet; afterwards the device touches neither guest
 * memory nor interrupt lines. Repeatable. vCPUs do not run any more (or are paused). reset    back
 * to the power-on state; while vCPUs are paused. destroy  frees; vCPU threads have been joined.
 *
 * Accesses come on vCPU threads, several at once: register state sits under the device's own mutex,
 * and no bus call is made holding it. A device knows offsets into its regions, its irq_line, and
 * nothing of KVM.
 */
#ifndef SARANG_BUS_DEVICE_H
#define SARANG_BUS_DEVICE_H

#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "loop/loop.h"
#include "mem/gmem.h"

struct aml;         /* tables/aml.h: ACPI objects being written */
struct fdt_builder; /* tables/fdt.h: the device tree being written */

/* What a device can ask of the machine. On any thread; the machine acts on its main loop. */
enum machine_event {
	MACHINE_POWER_OFF,      /* the guest switched itself off */
	MACHINE_RESET,          /* the guest asked to be started anew */
	MACHINE_GUEST_PANICKED, /* the guest said that it died */
	MACHINE_QUIT,           /* the user ended the guest (Ctrl-A x) */
	MACHINE_IO_FAILED,      /* a device keeps what failed until it is told to retry */
};

struct machine_events {
	/* @detail: a few words on why or by which device; copied. */
	void (*raise)(struct machine_events *events, enum machine_event event, const char *detail);
};

/* What every device may use. Outlives all devices. */
struct device_env {
	struct gmem *mem;
	struct bus *bus;
	struct loop *loop; /* the main loop */
	struct machine_events *events;
};

#define DEVICE_REGIONS_MAX 4

/* Where the board has put a device. A device without interrupt has @irq NULL. */
struct device_place {
	struct irq_line *irq;
	uint64_t base[DEVICE_REGIONS_MAX]; /* of each region the class asks for */
};

/* A region a class asks for. The board chooses the base unless the architecture fixes it. */
struct device_region {
	enum bus_space space;
	uint64_t len;
	const struct bus_region_ops *ops;
};

struct device;

struct device_class {
	const char *name; /* "uart16550", "virtio-mmio" ... */
	unsigned region_count;
	struct device_region regions[DEVICE_REGIONS_MAX];

	/* All but destroy may be NULL where there is nothing to do. */
	int (*start)(struct device *dev, struct err *e);
	void (*stop)(struct device *dev);
	void (*reset)(struct device *dev);
	/* What failed and was kept is tried again: after MACHINE_IO_FAILED, or for nothing. */
	void (*retry)(struct device *dev);
	/* Adds what the guest is told of this device to the tables. */
	void (*describe_acpi)(const struct device *dev, struct aml *aml);
	int (*describe_fdt)(const struct device *dev, struct fdt_builder *fdt);
	void (*destroy)(struct device *dev);
};

/*
 * The part all devices share, embedded in each as its first member. A device's own
 * X_new(env, place, settings, &dev, err) fills it through device_init.
 */
struct device {
	const struct device_class *class;
	const struct device_env *env;
	struct device_place place;
	char id[32];     /* unique in its machine: "uart0", "disk0" */
	char detail[96]; /* what it is, for `inspect`: "16550A serial port" */
};

void device_init(struct device *dev, const struct device_class *class, const struct device_env *env,
		 const struct device_place *place, const char *id);

/* Adds the device's regions to the bus: its callbacks get @dev as opaque. 0 or -errno. */
int device_map(struct device *dev, struct err *e);

/* The class's calls, where it has them. */
int device_start(struct device *dev, struct err *e);
void device_stop(struct device *dev);
void device_reset(struct device *dev);
void device_retry(struct device *dev);
void device_destroy(struct device *dev); /* NULL is fine */

#endif
