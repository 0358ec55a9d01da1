/*
 * A PL061: eight general-purpose lines, one of which is the machine's power button.
 *
 * Arm PrimeCell General Purpose Input/Output (PL061) Technical Reference Manual (DDI 0190),
 * chapter 3. The device tree gets the chip and, as gpio-keys, the button on line PL061_POWER_LINE.
 */
#ifndef SARANG_CHIP_PL061_H
#define SARANG_CHIP_PL061_H

#include "bus/device.h"

#define PL061_REGION_LEN 0x1000
#define PL061_POWER_LINE 3 /* as on QEMU's virt */

struct pl061_settings {
	const char *id; /* "gpio0" */
};

/* Region 0: MMIO, PL061_REGION_LEN bytes; one interrupt for all lines. 0 or -ENOMEM. */
int pl061_new(const struct device_env *env, const struct device_place *place,
	      const struct pl061_settings *settings, struct device **out, struct err *e);

/*
 * Presses the power button and lets it go again shortly after: a guest that listens shuts itself
 * down. Nothing tells whether it does. @dev comes from pl061_new. Any thread; does nothing before
 * start and after stop.
 */
void pl061_press_power_button(struct device *dev);

#endif
