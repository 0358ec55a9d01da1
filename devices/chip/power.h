/*
 * Power management of a hardware-reduced ACPI machine: the registers that switch it off and reset
 * it, and its power button. The registers are in port space, which the FADT names, and once more in
 * memory, for a device tree, whose syscon-poweroff knows nothing of ports.
 *
 * ACPI Specification 6.5: sleep control and status registers (4.8.3.7), reset register (4.8.3.6),
 * Generic Event Device (5.6.9), control method power button (4.8.2.2.1.2).
 *
 * The DSDT gets from describe_acpi: \_S5, \_SB.PWRB (PNP0C0C) and \_SB.GED0 (ACPI0013), whose one
 * interrupt means that the button was pressed. The FADT has to be given the registers below.
 */
#ifndef SARANG_CHIP_POWER_H
#define SARANG_CHIP_POWER_H

#include "bus/device.h"

#define POWER_REGION_LEN 4

/* Offsets in both regions: what the FADT points to, all byte-wide. */
enum power_register {
	POWER_SLEEP_CONTROL = 0,
	POWER_SLEEP_STATUS = 1,
	POWER_RESET = 2,
};

/* The FADT's RESET_VALUE. */
#define POWER_RESET_VALUE 0x01

/* SLP_TYPx of \_S5, the only sleeping state there is. */
#define POWER_SLP_TYP_S5 5

struct power_settings {
	const char *id;
};

/*
 * Region 0: MMIO, region 1: port space, the same registers, POWER_REGION_LEN bytes each; an
 * interrupt that is pulsed. 0 or -ENOMEM.
 */
int power_new(const struct device_env *env, const struct device_place *place,
	      const struct power_settings *settings, struct device **out, struct err *e);

/*
 * Presses the button: a guest that listens shuts itself down. Nothing tells whether it does.
 * @dev comes from power_new. Any thread; does nothing before start and after stop.
 */
void power_press_button(struct device *dev);

#endif
