/*
 * Where things are in an x86_64 machine: QEMU's microvm board, so that programs written for it run
 * unmodified. What boot loaders put below 1 MiB is in boot/x86_layout.h.
 */
#ifndef SARANG_ARCH_X86_64_LAYOUT_H
#define SARANG_ARCH_X86_64_LAYOUT_H

#include "base/util.h"

/* RAM goes up to 3 GiB, then continues above 4 GiB: devices live in between. */
#define X86_RAM_LOW_END    GIB(3)
#define X86_RAM_HIGH_START GIB(4)

/* FFFF:0000, where a PC has its firmware's entry. */
#define X86_RESET_VECTOR 0xffff0u

#define X86_VIRTIO_BASE 0xfeb00000u
#define X86_VIRTIO_STEP 0x200u

/* Where microvm has these registers too; a device tree can name memory only. */
#define X86_POWER_BASE 0xfea00200u

#define X86_IOAPIC_BASE       0xfec00000u
#define X86_LAPIC_BASE        0xfee00000u
#define X86_APIC_LEN          0x1000u     /* of either */
#define X86_KVM_IDENTITY_BASE 0xfffbc000u /* one page KVM needs on old Intel processors ... */
#define X86_KVM_TSS_BASE      0xfffbd000u /* ... and three more behind it */

#define X86_PORT_RTC     0x70
#define X86_PORT_I8042   0x60
#define X86_PORT_UART0   0x3f8
#define X86_PORT_PVPANIC 0x505
#define X86_PORT_POWER   0x600

#define X86_GSI_UART0 4
#define X86_GSI_RTC   8
#define X86_GSI_POWER 9

/* One IOAPIC: GSIs 0 to 23. */
#define X86_GSI_COUNT 24

#endif
