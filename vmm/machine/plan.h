/* From a configuration to the plan of a machine, and the command line it gives its guest. Pure. */
#ifndef SARANG_MACHINE_PLAN_H
#define SARANG_MACHINE_PLAN_H

#include "arch/plan.h"
#include "boot/boot.h"
#include "machine/config.h"

/* Fills *@plan with the board's chips and the configured devices. */
int machine_plan(const struct machine_config *config, struct plan *plan, struct err *e);

/*
 * The guest's command line: the architecture's defaults, a root device when there is a disk and the
 * user named none, then the user's own words (the last one wins in a kernel). Freed by the caller.
 */
char *machine_cmdline(const struct machine_config *config, enum hardware hardware);

/*
 * How the guest is told of its hardware: as --hardware says, or what @kernel can use. *@hardware is
 * then HARDWARE_ACPI or HARDWARE_FDT. 0, or -ENOTSUP with a sentence where that cannot be had, or
 * where the tables to be written to a file are not those of this machine.
 */
int machine_choose_hardware(const struct machine_config *config, const struct kernel_image *kernel,
			    enum hardware *hardware, struct err *e);

#endif
