/*
 * The x86 ACPI table set: see acpi.h.
 *
 * The tables are written into one growing buffer that will lie at board->tables_gpa, so a table's
 * address is known the moment it is begun: RSDP (5.2.5), DSDT, FADT (5.2.9), MADT (5.2.12) and last
 * the XSDT (5.2.8), to which the RSDP, left blank until then, points. The model is hardware-reduced
 * (4.1): no FACS, no SCI, no PM timer, and with it no legacy interrupt controllers. Fields are
 * written by offset or in order; the checks of their places are in tests/unit/tables, and iasl's.
 * Used by one thread while a machine is built.
 */
#include "tables/acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/save.h"
#include "base/util.h"

#define HEADER_BYTES 36 /* 5.2.6, System Description Table Header */
#define RSDP_BYTES   36
#define FADT_BYTES   276
#define TABLE_ALIGN  16

static const char oem_id[6] = "SARANG";
static const char oem_table_id[8] = "SARANGVM";
static const char creator_id[4] = "SRNG";

/* FADT fixed feature flags, table 5.10; IA-PC boot architecture flags, table 5.11. */
enum {
	FADT_WBINVD = 1u << 0,
	FADT_PROC_C1 = 1u << 2,
	FADT_PWR_BUTTON = 1u << 4, /* set: no fixed-hardware power button */
	FADT_SLP_BUTTON = 1u << 5, /* set: no fixed-hardware sleep button */
	FADT_RESET_REG_SUP = 1u << 10,
	FADT_HW_REDUCED = 1u << 20,

	BOOT_8042 = 1u << 1,
	BOOT_NO_VGA = 1u << 2,
	BOOT_NO_CMOS_RTC = 1u << 5,
};

/* Interrupt Controller Structure types, table 5.21, and MPS INTI flags, table 5.26. */
enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,

	LAPIC_ENABLED = 1u << 0,
	INTI_ACTIVE_HIGH = 1u << 0,
	INTI_ACTIVE_LOW = 3u << 0,
	INTI_EDGE = 1u << 2,
	INTI_LEVEL = 3u << 2,
	NMI_LINT = 1,
};

struct builder {
	const struct acpi_board *board;
	struct strbuf out;
	size_t start; /* of the table being written */
	struct acpi_tables *tables;
	size_t offsets[ACPI_TABLES_MAX];
};

static void add(struct builder *b, uint64_t value, size_t size)
{
	strbuf_add_le(&b->out, value, size);
}

static void add_zeroes(struct builder *b, size_t len)
{
	while (len--)
		add(b, 0, 1);
}

/* Makes every byte of [start, start + len) add up to 0 with the one at @where. */
static void fix_checksum(struct builder *b, size_t start, size_t len, size_t where)
{
	uint8_t *bytes = (uint8_t *)b->out.data, sum = 0;
	size_t i;

	bytes[where] = 0;
	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[start + i]);
	bytes[where] = (uint8_t)-sum;
}

/* Notes the table that begins here for the caller's list. */
static void note_table(struct builder *b, const char *name)
{
	struct acpi_table *table = &b->tables->tables[b->tables->count];

	b->offsets[b->tables->count++] = b->start;
	snprintf(table->file, sizeof(table->file), "%s.dat", name);
	table->gpa = b->board->tables_gpa + b->start;
}

static void begin_table(struct builder *b, const char *signature, uint8_t revision)
{
	char name[5] = {0};
	size_t i;

	add_zeroes(b, align_up(b->out.len, TABLE_ALIGN) - b->out.len);
	b->start = b->out.len;
	for (i = 0; i < 4; i++)
		name[i] = (char)(signature[i] | 0x20);
	note_table(b, name);
	strbuf_add(&b->out, signature, 4);
	add(b, 0, 4); /* length */
	add(b, revision, 1);
	add(b, 0, 1); /* checksum */
	strbuf_add(&b->out, oem_id, sizeof(oem_id));
	strbuf_add(&b->out, oem_table_id, sizeof(oem_table_id));
	add(b, 1, 4); /* OEM revision */
	strbuf_add(&b->out, creator_id, sizeof(creator_id));
	add(b, 1, 4); /* creator revision */
}

/* Closes it; returns its address. */
static uint64_t end_table(struct builder *b)
{
	size_t len = b->out.len - b->start;

	put_le32(b->out.data + b->start + 4, (uint32_t)len);
	fix_checksum(b, b->start, len, b->start + 9);
	b->tables->tables[b->tables->count - 1].len = (uint32_t)len;
	return b->board->tables_gpa + b->start;
}

/* A Generic Address Structure (table 5.1) of one byte, or of none where there is no register. */
static void put_gas(uint8_t *at, const struct acpi_register *reg)
{
	if (!reg->addr)
		return;
	at[0] = (uint8_t)reg->space;
	at[1] = 8; /* bits */
	at[2] = 0; /* bit offset */
	at[3] = 1; /* byte access */
	put_le64(at + 4, reg->addr);
}

/* 5.2.9, revision 6.5. Registers and blocks of fixed hardware stay zero, as 4.1 asks. */
static uint64_t add_fadt(struct builder *b, uint64_t dsdt_gpa)
{
	const struct acpi_board *board = b->board;
	uint32_t flags =
		FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_HW_REDUCED;
	uint16_t boot_flags = BOOT_NO_VGA;
	uint8_t *t;

	begin_table(b, "FACP", 6);
	add_zeroes(b, FADT_BYTES - HEADER_BYTES);
	t = (uint8_t *)b->out.data + b->start;
	if (board->reset.addr)
		flags |= FADT_RESET_REG_SUP;
	if (board->has_i8042)
		boot_flags |= BOOT_8042;
	if (!board->has_rtc)
		boot_flags |= BOOT_NO_CMOS_RTC;
	if (dsdt_gpa <= UINT32_MAX)
		put_le32(t + 40, (uint32_t)dsdt_gpa);
	put_le16(t + 96, UINT16_MAX);       /* P_LVL2_LAT: above 100 says that there is no C2 */
	put_le16(t + 98, UINT16_MAX);       /* P_LVL3_LAT: above 1000, no C3 */
	t[108] = board->has_rtc ? 0x32 : 0; /* CENTURY in CMOS RAM */
	put_le16(t + 109, boot_flags);
	put_le32(t + 112, flags);
	put_gas(t + 116, &board->reset);
	t[128] = board->reset_value;
	t[131] = 5; /* minor revision */
	put_le64(t + 140, dsdt_gpa);
	put_gas(t + 244, &board->sleep_control);
	put_gas(t + 256, &board->sleep_status);
	memcpy(t + 268, oem_id, sizeof(oem_id)); /* hypervisor vendor identity */
	return end_table(b);
}

/* 5.2.12.2 and 5.2.12.12. An xAPIC id or a processor UID past a byte needs the x2APIC form. */
static bool add_cpu(struct builder *b, unsigned index)
{
	uint32_t apic_id = b->board->apic_ids[index];
	bool x2apic = apic_id >= 0xff || index >= 0xff;

	if (x2apic) {
		add(b, MADT_X2APIC, 1);
		add(b, 16, 1);
		add(b, 0, 2);
		add(b, apic_id, 4);
		add(b, LAPIC_ENABLED, 4);
		add(b, index, 4);
	} else {
		add(b, MADT_LAPIC, 1);
		add(b, 8, 1);
		add(b, index, 1);
		add(b, apic_id, 1);
		add(b, LAPIC_ENABLED, 4);
	}
	return x2apic;
}

/* 5.2.12.5 */
static void add_override(struct builder *b, const struct acpi_irq_override *o)
{
	add(b, MADT_OVERRIDE, 1);
	add(b, 10, 1);
	add(b, 0, 1); /* ISA */
	add(b, o->isa_irq, 1);
	add(b, o->gsi, 4);
	add(b,
	    (o->active_low ? INTI_ACTIVE_LOW : INTI_ACTIVE_HIGH) |
		    (o->level ? INTI_LEVEL : INTI_EDGE),
	    2);
}

static uint64_t add_madt(struct builder *b)
{
	const struct acpi_board *board = b->board;
	bool any_x2apic = false;
	unsigned i;

	begin_table(b, "APIC", 5);
	add(b, board->lapic_addr, 4);
	add(b, 0, 4); /* no PCAT_COMPAT: an operating system need not mask a pair of 8259 */
	for (i = 0; i < board->cpus; i++)
		any_x2apic |= add_cpu(b, i);
	add(b, MADT_IOAPIC, 1);
	add(b, 12, 1);
	add(b, board->ioapic_id, 1);
	add(b, 0, 1);
	add(b, board->ioapic_addr, 4);
	add(b, board->ioapic_gsi_base, 4);
	for (i = 0; i < board->override_count; i++)
		add_override(b, &board->overrides[i]);
	add(b, MADT_LAPIC_NMI, 1); /* all processors, LINT1 */
	add(b, 6, 1);
	add(b, 0xff, 1);
	add(b, 0, 2);
	add(b, NMI_LINT, 1);
	if (any_x2apic) {
		add(b, MADT_X2APIC_NMI, 1);
		add(b, 12, 1);
		add(b, 0, 2);
		add(b, UINT32_MAX, 4);
		add(b, NMI_LINT, 1);
		add(b, 0, 3);
	}
	return end_table(b);
}

/* 5.2.5.3: the first 20 bytes have a checksum of their own, that of ACPI 1.0. */
static void fill_rsdp(struct builder *b, uint64_t xsdt_gpa)
{
	uint8_t *t = (uint8_t *)b->out.data;

	memcpy(t, "RSD PTR ", 8);
	memcpy(t + 9, oem_id, sizeof(oem_id));
	t[15] = 2; /* revision */
	put_le32(t + 20, RSDP_BYTES);
	put_le64(t + 24, xsdt_gpa);
	fix_checksum(b, 0, 20, 8);
	fix_checksum(b, 0, RSDP_BYTES, 32);
}

static void add_all(struct builder *b, const struct aml *dsdt)
{
	uint64_t dsdt_gpa, fadt_gpa, madt_gpa;

	add_zeroes(b, RSDP_BYTES);
	begin_table(b, "DSDT", 2); /* 2: integers of 64 bits */
	strbuf_add(&b->out, dsdt->out.data, dsdt->out.len);
	dsdt_gpa = end_table(b);
	fadt_gpa = add_fadt(b, dsdt_gpa);
	madt_gpa = add_madt(b);
	begin_table(b, "XSDT", 1);
	add(b, fadt_gpa, 8);
	add(b, madt_gpa, 8);
	fill_rsdp(b, end_table(b));
}

int acpi_build(const struct acpi_board *board, const struct aml *dsdt, struct acpi_tables *out,
	       struct err *e)
{
	struct builder b = {.board = board, .tables = out};
	unsigned i;

	memset(out, 0, sizeof(*out));
	if (dsdt->depth)
		return err_set(e, EINVAL, "the DSDT has %u AML packages that are not closed",
			       dsdt->depth);
	add_all(&b, dsdt);
	if (b.out.len > board->tables_max) {
		err_set(e, ENOSPC,
			"ACPI tables of %zu bytes for %u vCPUs do not fit the %llu bytes kept for "
			"them: use fewer vCPUs or devices",
			b.out.len, board->cpus, (unsigned long long)board->tables_max);
		strbuf_free(&b.out);
		memset(out, 0, sizeof(*out));
		return -ENOSPC;
	}
	out->gpa = board->tables_gpa;
	out->rsdp_gpa = board->tables_gpa;
	out->len = b.out.len;
	out->blob = (uint8_t *)strbuf_take(&b.out);
	for (i = 0; i < out->count; i++)
		out->tables[i].data = out->blob + b.offsets[i];
	return 0;
}

void acpi_free(struct acpi_tables *tables)
{
	free(tables->blob);
	memset(tables, 0, sizeof(*tables));
}

/* Names the files of the tables in @dir. False: no memory. */
static bool name_files(const struct acpi_tables *tables, const char *dir,
		       struct save saves[ACPI_TABLES_MAX])
{
	unsigned i;

	for (i = 0; i < tables->count; i++) {
		char *path;

		if (asprintf(&path, "%s/%s", dir, tables->tables[i].file) < 0)
			return false;
		saves[i] = (struct save){.path = path,
					 .what = "an ACPI table",
					 .data = tables->tables[i].data,
					 .len = tables->tables[i].len};
	}
	return true;
}

int acpi_dump(const struct acpi_tables *tables, const char *dir, struct err *e)
{
	struct save saves[ACPI_TABLES_MAX] = {0};
	bool made = !mkdir(dir, 0755);
	unsigned i;
	int ret = 0;

	if (!made && errno != EEXIST)
		return err_errno(e, errno, "cannot make the directory %s for ACPI tables", dir);
	if (!name_files(tables, dir, saves))
		ret = err_set(e, ENOMEM, "out of memory");
	/* All of them, or none. */
	for (i = 0; i < tables->count && !ret; i++)
		ret = save_begin(&saves[i], e);
	for (i = 0; i < tables->count && !ret; i++)
		ret = save_commit(&saves[i], e);
	for (i = 0; i < tables->count; i++) {
		save_abandon(&saves[i]);
		free((void *)(uintptr_t)saves[i].path);
	}
	if (ret < 0 && made)
		rmdir(dir);
	return ret;
}
