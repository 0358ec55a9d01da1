/*
 * A 16550A serial port behind a character back-end.
 *
 * National Semiconductor PC16550D data sheet, section 8 (registers), as Linux's 8250 driver uses
 * it. Eight byte-wide registers, in port space or MMIO; one interrupt, driven as a level.
 */
#ifndef SARANG_CHIP_UART16550_H
#define SARANG_CHIP_UART16550_H

#include "bus/device.h"
#include "char/chr.h"

#define UART16550_REGION_LEN 8

struct uart16550_settings {
	const char *id;  /* "uart0" */
	struct chr *chr; /* borrowed; the machine closes it after the loop has ended */
};

/* Region 0: port space, UART16550_REGION_LEN bytes; needs an interrupt. 0 or -ENOMEM. */
int uart16550_new(const struct device_env *env, const struct device_place *place,
		  const struct uart16550_settings *settings, struct device **out, struct err *e);

#endif
