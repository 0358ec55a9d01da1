/* The memory map of an x86_64 machine and what else is fixed: see layout.h and arch.h. Pure. */
#include "layout.h"

#include <errno.h>

#include "arch/arch.h"

const char *const arch_name = "x86_64";
const enum kernel_arch arch_kernel_arch = KERNEL_X86_64;

unsigned arch_ram_layout(uint64_t bytes, struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX])
{
	uint64_t low = MIN(bytes, X86_RAM_LOW_END);

	ranges[0] = (struct arch_ram_range){.gpa = 0, .size_bytes = low};
	if (low == bytes)
		return 1;
	ranges[1] = (struct arch_ram_range){.gpa = X86_RAM_HIGH_START, .size_bytes = bytes - low};
	return 2;
}

unsigned long arch_vcpu_id(unsigned index)
{
	/* One package with one thread a core: the APIC id is the index. */
	return index;
}

const struct arch_map_entry *arch_fixed_map(void)
{
	static const struct arch_map_entry map[] = {
		{X86_IOAPIC_BASE, X86_APIC_LEN, "I/O APIC (in KVM)"},
		{X86_LAPIC_BASE, X86_APIC_LEN, "local APIC (in KVM)"},
		{X86_KVM_IDENTITY_BASE, 0x4000, "pages KVM keeps for itself"},
		{0, 0, NULL},
	};

	return map;
}

int arch_choose_hardware(enum hardware wanted, const struct kernel_image *kernel,
			 enum hardware *hardware, struct err *e)
{
	if (wanted == HARDWARE_AUTO)
		wanted = kernel_hardware(kernel) == HARDWARE_FDT ? HARDWARE_FDT : HARDWARE_ACPI;
	if (wanted == HARDWARE_FDT && kernel->format == KERNEL_ELF_PVH && !kernel->elf.linux_gpa)
		return err_set(e, ENOTSUP,
			       "--hardware fdt: the kernel %s is started through PVH, which cannot "
			       "hand over a device tree; only Linux's own boot protocol can",
			       kernel->path);
	*hardware = wanted;
	return 0;
}

const char *arch_default_cmdline(enum hardware hardware)
{
	/*
	 * reboot=k: without ACPI, the keyboard controller is what resets a PC; Linux gets there by
	 * itself, but only after it has tried what is not there. acpi=off: a kernel that knows both
	 * would look for tables and complain that there are none.
	 */
	if (hardware == HARDWARE_FDT)
		return "console=ttyS0,115200n8r acpi=off reboot=k panic=-1";
	/*
	 * r: the terminal lowers RTS when it is full, so that pasted input waits; without, Linux
	 * drops what exceeds its buffers. reboot=acpi: on hardware-reduced machines Linux would try
	 * EFI, which is not there, then the BIOS. panic=-1: a guest that panics and has no pvpanic
	 * driver ends instead of hanging for ever.
	 */
	return "console=ttyS0,115200n8r reboot=acpi panic=-1";
}
