/*
 * pvpanic: one port, or byte of MMIO, through which a guest says that it has panicked.
 *
 * QEMU docs/specs/pvpanic. Reading gives the events that are understood, writing raises them.
 * ACPI object QEMU0001, for which Linux has the driver pvpanic-mmio.
 */
#ifndef SARANG_CHIP_PVPANIC_H
#define SARANG_CHIP_PVPANIC_H

#include "bus/device.h"

#define PVPANIC_REGION_LEN 1

enum pvpanic_event {
	PVPANIC_PANICKED = 1 << 0,     /* the guest died and does nothing about it */
	PVPANIC_CRASH_LOADED = 1 << 1, /* it died and its own crash kernel takes over */
};

struct pvpanic_settings {
	const char *id;
};

/* Region 0: port space, PVPANIC_REGION_LEN bytes; no interrupt. 0 or -ENOMEM. */
int pvpanic_new(const struct device_env *env, const struct device_place *place,
		const struct pvpanic_settings *settings, struct device **out, struct err *e);

/* The same for a machine without ports, described in its device tree. Region 0: MMIO, as long. */
int pvpanic_mmio_new(const struct device_env *env, const struct device_place *place,
		     const struct pvpanic_settings *settings, struct device **out, struct err *e);

#endif
