/*
 * The PC's clock: a Motorola MC146818 with 128 bytes of CMOS RAM behind an index port and a data
 * port.
 *
 * MC146818A data sheet (registers A to D, update cycle, alarm); byte 0x32 holds the century, as the
 * FADT says. The clock runs on the host's, in UTC; a guest that sets it gets an offset of its own.
 */
#ifndef SARANG_CHIP_RTC_H
#define SARANG_CHIP_RTC_H

#include "bus/device.h"

#define RTC_REGION_LEN 2

struct rtc_settings {
	const char *id;
	/* Nanoseconds since 1970 in UTC; NULL: the host's clock. Tests give their own. */
	uint64_t (*now_ns)(void *opaque);
	void *opaque;
};

/* Region 0: port space, RTC_REGION_LEN bytes; an interrupt (ISA IRQ 8) for the alarm. 0 or -ENOMEM.
 */
int rtc_new(const struct device_env *env, const struct device_place *place,
	    const struct rtc_settings *settings, struct device **out, struct err *e);

#endif
