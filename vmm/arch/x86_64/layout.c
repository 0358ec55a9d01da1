/* The memory map of an x86_64 machine: see layout.h and arch.h. Pure functions. */
#include "layout.h"

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

const struct arch_map_entry *arch_fixed_map(void)
{
	static const struct arch_map_entry map[] = {
		{X86_IOAPIC_BASE, 0x1000, "I/O APIC (in KVM)"},
		{X86_LAPIC_BASE, 0x1000, "local APIC (in KVM)"},
		{X86_KVM_IDENTITY_BASE, 0x4000, "pages KVM keeps for itself"},
		{0, 0, NULL},
	};

	return map;
}

const char *arch_default_cmdline(void)
{
	/*
	 * r: the terminal lowers RTS when it is full, so that pasted input waits; without, Linux
	 * drops what exceeds its buffers. reboot=acpi: on hardware-reduced machines Linux would try
	 * EFI, which is not there, then the BIOS. panic=-1: a guest that panics and has no pvpanic
	 * driver ends instead of hanging for ever.
	 */
	return "console=ttyS0,115200n8r reboot=acpi panic=-1";
}
