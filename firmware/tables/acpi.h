/*
 * The ACPI tables of an x86 guest: RSDP, XSDT, FADT (hardware-reduced), MADT and the DSDT that the
 * devices wrote. ACPI Specification 6.5, chapters 4 (hardware-reduced ACPI) and 5 (tables).
 */
#ifndef SARANG_TABLES_ACPI_H
#define SARANG_TABLES_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tables/aml.h"

/* A byte-wide register of the Generic Address Structure kind (5.2.3.2). */
enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1 };
struct acpi_register {
	enum acpi_space space;
	uint64_t addr; /* 0: the machine has none */
};

/* An ISA interrupt that reaches the IOAPIC elsewhere or otherwise than identity, edge, active high.
 */
struct acpi_irq_override {
	uint8_t isa_irq;
	uint32_t gsi;
	bool level;
	bool active_low;
};

#define ACPI_OVERRIDES_MAX 4

/* What the tables say of the board itself. */
struct acpi_board {
	unsigned cpus;
	const uint32_t *apic_ids; /* one each */
	uint32_t lapic_addr;
	uint32_t ioapic_addr;
	uint8_t ioapic_id;
	uint32_t ioapic_gsi_base;
	unsigned override_count;
	struct acpi_irq_override overrides[ACPI_OVERRIDES_MAX];
	struct acpi_register reset; /* writing reset_value restarts the machine */
	uint8_t reset_value;
	struct acpi_register sleep_control; /* 4.8.3.7: SLP_TYPx in bits 2..4, SLP_EN bit 5 */
	struct acpi_register sleep_status;
	bool has_i8042;      /* a keyboard controller that answers probing */
	bool has_rtc;        /* the CMOS clock at ports 0x70 and 0x71 */
	uint64_t tables_gpa; /* where they will be: page aligned, below 1 MiB for the RSDP scan */
	uint64_t tables_max; /* room there */
};

#define ACPI_TABLES_MAX 8

/* One table within the blob. The RSDP, which is only a pointer, is not among them. */
struct acpi_table {
	char file[16]; /* as acpidump names it: "facp.dat" */
	uint64_t gpa;
	const uint8_t *data;
	uint32_t len;
};

struct acpi_tables {
	uint8_t *blob; /* to be copied to @gpa; owned */
	uint64_t gpa;
	size_t len;
	uint64_t rsdp_gpa;
	unsigned count;
	struct acpi_table tables[ACPI_TABLES_MAX];
};

/*
 * Builds the set; @dsdt is the AML that goes into the DSDT (all packages closed). *@out is freed
 * with acpi_free. 0, or -ENOSPC with a sentence when it does not fit @board->tables_max.
 */
int acpi_build(const struct acpi_board *board, const struct aml *dsdt, struct acpi_tables *out,
	       struct err *e);

/* Frees; harmless on a zeroed one. */
void acpi_free(struct acpi_tables *tables);

/*
 * Writes each table as a file of its own into the directory @dir, which is made when missing. 0, or
 * -errno with a sentence, and then nothing is left of any of them.
 */
int acpi_dump(const struct acpi_tables *tables, const char *dir, struct err *e);

#endif
