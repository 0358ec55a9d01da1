/*
 * How a guest is told what its machine consists of: by ACPI tables or by a device tree. Never by
 * both: a kernel that believed one of them for some devices would find the others twice.
 */
#ifndef SARANG_BOOT_HARDWARE_H
#define SARANG_BOOT_HARDWARE_H

enum hardware {
	HARDWARE_AUTO, /* what the architecture and the kernel say; never after a machine is planned
			*/
	HARDWARE_ACPI,
	HARDWARE_FDT,
};

#endif
