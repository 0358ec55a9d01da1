/*
 * A PL031 real-time clock: seconds since 1970, and an alarm.
 *
 * Arm PrimeCell Real Time Clock (PL031) Technical Reference Manual (DDI 0224), chapter 3. The clock
 * runs on the host's, in UTC; a guest that sets it gets an offset of its own.
 */
#ifndef SARANG_CHIP_PL031_H
#define SARANG_CHIP_PL031_H

#include "bus/device.h"

#define PL031_REGION_LEN 0x1000

struct pl031_settings {
	const char *id; /* "rtc0" */
	/* Nanoseconds since 1970 in UTC; NULL: the host's clock. Tests give their own. */
	uint64_t (*now_ns)(void *opaque);
	void *opaque;
};

/* Region 0: MMIO, PL031_REGION_LEN bytes; an interrupt for the alarm. 0 or -ENOMEM. */
int pl031_new(const struct device_env *env, const struct device_place *place,
	      const struct pl031_settings *settings, struct device **out, struct err *e);

#endif
