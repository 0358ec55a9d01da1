/*
 * As much of the keyboard controller as resets an x86 machine: ports 0x60 (data) and 0x64 (command,
 * status). It has neither keyboard nor mouse and is not described in the ACPI tables: the FADT says
 * that there is no 8042 (IAPC_BOOT_ARCH bit 1 clear), so a kernel does not wait for one, while what
 * resets a PC by writing 0xfe to port 0x64 (Linux's reboot=k among others) still finds it.
 */
#ifndef SARANG_CHIP_I8042_H
#define SARANG_CHIP_I8042_H

#include "bus/device.h"

/* Region 0 is ports 0x60 to 0x64; 0x61 to 0x63 read as ones, as without it. */
#define I8042_REGION_LEN 5

struct i8042_settings {
	const char *id;
};

/* Region 0: port space, I8042_REGION_LEN bytes; no interrupt. 0 or -ENOMEM. */
int i8042_new(const struct device_env *env, const struct device_place *place,
	      const struct i8042_settings *settings, struct device **out, struct err *e);

#endif
