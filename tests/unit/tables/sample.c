/* A machine of the shape sarang builds, for tests of its tables. */
#include "tests.h"

static uint32_t apic_ids[SAMPLE_CPUS_MAX];

void sample_board(struct acpi_board *board, unsigned cpus)
{
	unsigned i;

	for (i = 0; i < cpus; i++)
		apic_ids[i] = i;
	*board = (struct acpi_board){
		.cpus = cpus,
		.apic_ids = apic_ids,
		.lapic_addr = 0xfee00000,
		.ioapic_addr = 0xfec00000,
		.reset = {ACPI_SPACE_IO, 0x602},
		.reset_value = 1,
		.sleep_control = {ACPI_SPACE_IO, 0x600},
		.sleep_status = {ACPI_SPACE_IO, 0x601},
		.has_rtc = true,
		.tables_gpa = SAMPLE_GPA,
		.tables_max = 0x20000,
	};
}

static void add_virtio(struct aml *aml, unsigned index)
{
	char name[5] = {'V', 'I', 'O', (char)('A' + index), 0};

	aml_begin_device(aml, name);
	aml_name_string(aml, "_HID", "LNRO0005");
	aml_name_int(aml, "_UID", index);
	aml_name_int(aml, "_CCA", 1);
	aml_begin_crs(aml);
	aml_res_memory32(aml, 0xfeb00000 + 0x200 * index, 0x200, true);
	aml_res_irq(aml, 16 + index, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
}

static void add_serial(struct aml *aml)
{
	aml_begin_device(aml, "COM1");
	aml_name_eisaid(aml, "_HID", "PNP0501");
	aml_name_int(aml, "_UID", 1);
	aml_begin_crs(aml);
	aml_res_io(aml, 0x3f8, 8);
	aml_res_irq(aml, 4, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
}

static void add_power(struct aml *aml)
{
	aml_begin_device(aml, "PWRB");
	aml_name_eisaid(aml, "_HID", "PNP0C0C");
	aml_end(aml);
	aml_begin_device(aml, "GED0");
	aml_name_string(aml, "_HID", "ACPI0013");
	aml_name_int(aml, "_UID", 0);
	aml_begin_crs(aml);
	aml_res_irq(aml, 9, AML_IRQ_EDGE);
	aml_end(aml);
	aml_begin_method(aml, "_EVT", 1, true);
	aml_notify(aml, "\\_SB.PWRB", 0x80);
	aml_end(aml);
	aml_end(aml);
}

void sample_dsdt(struct aml *aml)
{
	unsigned i;

	aml_begin_package(aml, "\\_S5", 4);
	aml_int(aml, 5);
	aml_int(aml, 0);
	aml_int(aml, 0);
	aml_int(aml, 0);
	aml_end(aml);
	aml_begin_scope(aml, "\\_SB");
	add_serial(aml);
	add_power(aml);
	for (i = 0; i < 12; i++)
		add_virtio(aml, i);
	aml_end(aml);
}
