/*
 * Where the start of an x86 guest puts things below 1 MiB: the loaders write the tables of the boot
 * protocols here, vmm/arch/x86_64 its GDT and page tables. Kernels are loaded at 1 MiB and above
 * only, so nothing here meets a kernel or an initrd. The kernel is free to reuse all of it but the
 * ACPI tables, which the e820 map reports, and the device tree, which setup_data points at.
 */
#ifndef SARANG_BOOT_X86_LAYOUT_H
#define SARANG_BOOT_X86_LAYOUT_H

#define X86_GDT_GPA         0x500ull  /* written by vmm/arch */
#define X86_START_INFO_GPA  0x6000ull /* PVH: hvm_start_info, modules, memory map; one page */
#define X86_ZERO_PAGE_GPA   0x7000ull /* Linux: struct boot_params; one page */
#define X86_BOOT_STACK_GPA  0x8ff0ull /* top of a stack for those who want one */
#define X86_PAGE_TABLES_GPA 0x9000ull /* written by vmm/arch: PML4, PDPT, page directories */
#define X86_PAGE_TABLES_END 0x20000ull
#define X86_CMDLINE_GPA     0x20000ull
#define X86_CMDLINE_BYTES   0x10000ull /* with the NUL */
#define X86_DTB_GPA         0x30000ull /* struct setup_data with a device tree */
#define X86_DTB_END         X86_EBDA_GPA
#define X86_EBDA_GPA        0x9fc00ull /* low RAM ends here, as on a PC */
#define X86_VGA_HOLE_GPA    0xa0000ull
#define X86_ACPI_GPA        0xe0000ull /* where kernels scan for the RSDP */
#define X86_ACPI_BYTES      0x20000ull
#define X86_HIGH_RAM_GPA    0x100000ull   /* the first address a kernel may be loaded at */
#define X86_PCI_HOLE_GPA    0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define X86_ABOVE_4G_GPA    0x100000000ull

#endif
