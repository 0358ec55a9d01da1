/* The memory map of an aarch64 machine: see layout.h and arch.h. Pure functions. */
#include "layout.h"

#include <errno.h>

#include "arch/arch.h"

const char *const arch_name = "aarch64";
const enum kernel_arch arch_kernel_arch = KERNEL_AARCH64;

unsigned arch_ram_layout(uint64_t bytes, struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX])
{
	/* One piece: all devices are below. How far it may go is asked of KVM (arch_vm_new). */
	ranges[0] = (struct arch_ram_range){.gpa = ARM64_RAM_BASE, .size_bytes = bytes};
	return 1;
}

const struct arch_map_entry *arch_fixed_map(void)
{
	static const struct arch_map_entry map[] = {
		{ARM64_FLASH_BASE, ARM64_FLASH_LEN, "reserved for flash"},
		{ARM64_GICD_BASE, ARM64_GICD_LEN, "interrupt distributor (in KVM)"},
		{ARM64_GICC_BASE, ARM64_GICC_LEN, "GICv2 CPU interface (in KVM)"},
		{ARM64_ITS_BASE, ARM64_ITS_LEN, "GICv3 interrupt translation (in KVM)"},
		{ARM64_GICR_BASE, ARM64_GICR_LEN, "GICv3 redistributors (in KVM)"},
		{ARM64_FWCFG_BASE, ARM64_FWCFG_LEN, "reserved for fw_cfg"},
		{0, 0, NULL},
	};

	return map;
}

int arch_choose_hardware(enum hardware wanted, const struct kernel_image *kernel,
			 enum hardware *hardware, struct err *e)
{
	(void)kernel;
	if (wanted == HARDWARE_ACPI)
		return err_set(e, ENOTSUP,
			       "--hardware acpi: an aarch64 machine is described by a device tree "
			       "only; use --hardware fdt");
	*hardware = HARDWARE_FDT;
	return 0;
}

const char *arch_default_cmdline(enum hardware hardware)
{
	(void)hardware;
	/*
	 * panic=-1: a guest that panics ends instead of hanging for ever. reboot=panic_warm: it
	 * then resets with PSCI's SYSTEM_RESET2, any other time with SYSTEM_RESET. Debian's cloud
	 * kernel for arm64 has no pvpanic driver; this is how its panics are known
	 * (arch_vcpu_exit).
	 */
	return "console=ttyAMA0 panic=-1 reboot=panic_warm";
}
