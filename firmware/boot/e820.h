/*
 * The memory map an x86 guest is told: usable RAM, and what a PC keeps for itself below 1 MiB.
 *
 * Types are those of ACPI Specification 6.5, table 15.5 ("Address Range Types"), which both the
 * Linux boot protocol and PVH use.
 */
#ifndef SARANG_BOOT_E820_H
#define SARANG_BOOT_E820_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/gmem.h"

enum e820_type {
	E820_RAM = 1,
	E820_RESERVED = 2,
	E820_ACPI = 3, /* tables: RAM once the kernel has read them */
};

struct e820_entry {
	uint64_t gpa;
	uint64_t size_bytes;
	enum e820_type type;
};

#define E820_MAX 32

/*
 * Describes the RAM of @mem, in the order of addresses, with the holes of a PC below 1 MiB cut out
 * (X86_EBDA_GPA to 1 MiB; of it, X86_ACPI_GPA and up hold the ACPI tables, or are reserved when
 * there are none: not @acpi). Returns the number of entries written.
 */
unsigned e820_build(const struct gmem *mem, bool acpi, struct e820_entry map[E820_MAX]);

/* "usable", "reserved", "ACPI tables". */
const char *e820_type_name(enum e820_type type);

#endif
