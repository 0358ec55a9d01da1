/*
 * A PL011 serial port behind a character back-end.
 *
 * Arm PrimeCell UART (PL011) Technical Reference Manual (DDI 0183), chapter 3, as Linux's
 * amba-pl011 driver uses it. One interrupt, driven as a level. See pl011.c.
 */
#ifndef SARANG_CHIP_PL011_H
#define SARANG_CHIP_PL011_H

#include "bus/device.h"
#include "char/chr.h"

#define PL011_REGION_LEN 0x1000

struct pl011_settings {
	const char *id;  /* "uart0" */
	struct chr *chr; /* borrowed; the machine closes it after the loop has ended */
};

/* Region 0: MMIO, PL011_REGION_LEN bytes; needs an interrupt. 0 or -ENOMEM. */
int pl011_new(const struct device_env *env, const struct device_place *place,
	      const struct pl011_settings *settings, struct device **out, struct err *e);

#endif
