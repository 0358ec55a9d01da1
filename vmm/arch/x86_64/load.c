/*
 * What an x86 guest finds in its memory when it starts: ACPI tables or a device tree that the
 * devices wrote, the kernel, its initrd, and the tables the 64-bit entry stands on.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "boot/x86_layout.h"
#include "chip/power.h"
#include "layout.h"
#include "tables/acpi.h"
#include "tables/fdt.h"
#include "tree.h"
#include "x86.h"

static void describe_acpi(const struct arch_load *load, struct aml *dsdt)
{
	unsigned i;

	for (i = 0; i < load->device_count; i++) {
		const struct device *dev = load->devices[i];

		if (dev->class->describe_acpi)
			dev->class->describe_acpi(dev, dsdt);
	}
}

static int build_tables(const struct arch_vm *vm, const struct arch_load *load,
			struct acpi_tables *tables, struct err *e)
{
	uint32_t *apic_ids = calloc(vm->cpus, sizeof(*apic_ids));
	struct acpi_board board = {
		.cpus = vm->cpus,
		.apic_ids = apic_ids,
		.lapic_addr = X86_LAPIC_BASE,
		.ioapic_addr = X86_IOAPIC_BASE,
		.reset = {ACPI_SPACE_IO, X86_PORT_POWER + POWER_RESET},
		.reset_value = POWER_RESET_VALUE,
		.sleep_control = {ACPI_SPACE_IO, X86_PORT_POWER + POWER_SLEEP_CONTROL},
		.sleep_status = {ACPI_SPACE_IO, X86_PORT_POWER + POWER_SLEEP_STATUS},
		.has_rtc = true,
		.tables_gpa = X86_ACPI_GPA,
		.tables_max = X86_RESET_VECTOR - X86_ACPI_GPA,
	};
	struct aml dsdt;
	unsigned i;
	int ret;

	if (!apic_ids)
		return err_set(e, ENOMEM, "out of memory");
	for (i = 0; i < vm->cpus; i++)
		apic_ids[i] = (uint32_t)arch_vcpu_id(i);
	aml_init(&dsdt);
	describe_acpi(load, &dsdt);
	ret = acpi_build(&board, &dsdt, tables, e);
	aml_free(&dsdt);
	free(apic_ids);
	return ret;
}

/*
 * What takes the place of firmware at the reset vector: who jumps to FFFF:0000 in real mode to
 * restart a PC (Linux does so as a last resort) reaches the reset register.
 */
static int write_reset_vector(const struct gmem *mem, struct err *e)
{
	static const uint8_t code[] = {
		0xba,
		(X86_PORT_POWER + POWER_RESET) & 0xff,
		(X86_PORT_POWER + POWER_RESET) >> 8, /* mov dx */
		0xb0,
		POWER_RESET_VALUE, /* mov al */
		0xee,              /* out dx, al */
		0xf4,              /* hlt */
		0xeb,
		0xfd, /* jmp hlt */
	};

	return gmem_write(mem, X86_RESET_VECTOR, code, sizeof(code)) < 0
		       ? err_set(e, ENOMEM, "the guest has no memory at its reset vector")
		       : 0;
}

/* What describes the machine is not there yet, but where it will begin is known. */
int arch_load_kernel(const struct arch_load *load, struct boot_entry *entry, struct err *e)
{
	struct boot_request request = {
		.cmdline = load->cmdline,
		.initrd = load->initrd,
		.rsdp_gpa = load->hardware == HARDWARE_ACPI ? X86_ACPI_GPA : 0,
		.dtb_gpa = load->hardware == HARDWARE_FDT ? X86_DTB_GPA : 0,
	};
	int ret = boot_load_x86(load->mem, load->kernel, &request, entry, e);

	if (!ret)
		ret = x86_write_boot_tables(load->mem, e);
	if (!ret)
		ret = write_reset_vector(load->mem, e);
	return ret;
}

static int write_acpi(const struct arch_vm *vm, const struct arch_load *load, struct err *e)
{
	struct acpi_tables tables = {0};
	int ret = build_tables(vm, load, &tables, e);

	if (ret < 0)
		return ret;
	assert(tables.rsdp_gpa == X86_ACPI_GPA);
	if (load->dump_acpi)
		ret = acpi_dump(&tables, load->dump_acpi, e);
	if (!ret && gmem_write(load->mem, tables.gpa, tables.blob, tables.len) < 0)
		ret = err_set(e, ENOMEM, "the guest has no memory for its ACPI tables");
	acpi_free(&tables);
	return ret;
}

static int write_tree(const struct arch_vm *vm, const struct arch_load *load, struct err *e)
{
	struct x86_board board = {
		.cpus = vm->cpus,
		.machine =
			{
				.mem = load->mem,
				.cmdline = load->cmdline,
				.initrd_gpa = vm->entry.initrd_gpa,
				.initrd_bytes = vm->entry.initrd_bytes,
				.devices = load->devices,
				.device_count = load->device_count,
			},
	};
	struct fdt_builder *fdt = NULL;
	const void *blob = NULL;
	size_t len = 0;
	int ret = x86_tree_build(&board, &fdt, &blob, &len, e);

	if (ret < 0)
		return ret;
	if (load->dump_dtb)
		ret = fdt_dump(blob, len, load->dump_dtb, e);
	if (!ret)
		ret = boot_write_dtb(load->mem, blob, len, e);
	fdtb_free(fdt);
	return ret;
}

int arch_vm_load(struct arch_vm *vm, const struct arch_load *load, const struct boot_entry *entry,
		 struct err *e)
{
	vm->entry = *entry;
	return load->hardware == HARDWARE_FDT ? write_tree(vm, load, e) : write_acpi(vm, load, e);
}
