/*
 * Where things are in an aarch64 machine: QEMU's virt board, so that programs written for it run
 * unmodified. Interrupts are SPI numbers, from 0; the GIC counts them from 32.
 */
#ifndef SARANG_ARCH_AARCH64_LAYOUT_H
#define SARANG_ARCH_AARCH64_LAYOUT_H

#include "base/util.h"

/* Two banks of flash on virt; kept free for firmware. */
#define ARM64_FLASH_BASE 0x00000000u
#define ARM64_FLASH_LEN  0x08000000u

/* The GIC. Version 2 has a CPU interface where version 3 has its ITS and redistributors. */
#define ARM64_GICD_BASE 0x08000000u
#define ARM64_GICD_LEN  0x00010000u
#define ARM64_GICC_BASE 0x08010000u
#define ARM64_GICC_LEN  0x00002000u
#define ARM64_ITS_BASE  0x08080000u
#define ARM64_ITS_LEN   0x00020000u
#define ARM64_GICR_BASE 0x080a0000u
#define ARM64_GICR_LEN  0x00f60000u
#define ARM64_GICR_STEP 0x00020000u /* a redistributor: one a vCPU */
#define ARM64_GICR_MAX  (ARM64_GICR_LEN / ARM64_GICR_STEP)

/* Interrupt numbers the GIC has: 32 private ones and 256 SPIs. */
#define ARM64_GIC_PRIVATE 32u
#define ARM64_GIC_IRQS    (ARM64_GIC_PRIVATE + 256u)

#define ARM64_UART0_BASE   0x09000000u
#define ARM64_RTC_BASE     0x09010000u
#define ARM64_FWCFG_BASE   0x09020000u
#define ARM64_FWCFG_LEN    0x00000018u
#define ARM64_GPIO_BASE    0x09030000u
#define ARM64_PVPANIC_BASE 0x09200000u /* virt has its own on PCI, and nothing here */

#define ARM64_SPI_UART0 1
#define ARM64_SPI_RTC   2
#define ARM64_SPI_GPIO  7

#define ARM64_VIRTIO_BASE  0x0a000000u
#define ARM64_VIRTIO_STEP  0x00000200u
#define ARM64_VIRTIO_COUNT 32u
#define ARM64_SPI_VIRTIO   16

#define ARM64_RAM_BASE GIB(1)

/* The architected timer's private interrupts (PPI numbers, from 0). */
#define ARM64_PPI_TIMER_SECURE    13
#define ARM64_PPI_TIMER_NONSECURE 14
#define ARM64_PPI_TIMER_VIRTUAL   11
#define ARM64_PPI_TIMER_HYP       10

#endif
