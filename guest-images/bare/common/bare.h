/*
 * What every guest here is written with: no operating system, no C library, 64-bit mode at CPL 3
 * (start.S), one serial port, and a few ports that end the machine.
 */
#ifndef BARE_H
#define BARE_H

#define LOAD_BASE \
	0x100000 /* start.S and bare.ld: everything with a 16-bit half lies in these 64 KiB */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The machine's ports. */
enum {
	PORT_UART = 0x3f8,
	PORT_PVPANIC = 0x505,       /* write 1: "I panicked" */
	PORT_SLEEP_CONTROL = 0x600, /* ACPI sleep control register */
	PORT_RESET = 0x602,         /* ACPI reset register: write 1 */
};

/* What the loader says of the machine: Xen's public/arch-x86/hvm/start_info.h. */
#define START_INFO_MAGIC 0x336ec578

struct start_info {
	uint32_t magic;
	uint32_t version; /* the memory map is there from 1 on */
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_count;
	uint32_t reserved;
};

struct memory_map_entry {
	uint64_t address;
	uint64_t bytes;
	uint32_t type; /* as in e820: 1 is RAM */
	uint32_t reserved;
};

/* The stack of an exception, as stubs in start.S leave it. */
struct fault_frame {
	uint64_t vector;
	uint64_t error;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* Each guest provides this one; returning from it powers the machine off. */
void guest_main(const struct start_info *start);

/* Called by start.S. */
_Noreturn void guest_start(const struct start_info *start);
_Noreturn void fault(const struct fault_frame *frame);

/* Ends the machine: power off, or "the guest panicked" after a sentence. */
_Noreturn void finish(void);
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* printf on the serial port: %s %c %d %u %x with l for 64 bits, width, leading zeroes. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Options from the kernel command line, written NAME=VALUE and separated by blanks. option_u64
 * takes decimal and 0x numbers, and ends the guest with a sentence at anything else.
 */
uint64_t option_u64(const char *name, uint64_t otherwise);
bool option_is(const char *name, const char *value, bool otherwise);

/* Whether all of [@address, @address + @bytes) is RAM by the loader's memory map. */
bool is_ram(const struct start_info *start, uint64_t address, uint64_t bytes);

/*
 * The time stamp counter, its rate, and the conversion. The rate is tsc_khz= of the command line,
 * or what kvmclock, CPUID 0x40000010 or CPUID 0x15 say; 0 when nothing says (then conversions give
 * 0).
 */
uint64_t tsc_khz(void);
uint64_t ticks_to_ns(uint64_t ticks);
uint64_t ns_to_ticks(uint64_t ns);

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static inline void relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/*
 * MMIO by single MOVs of the natural size through a register: the forms that any hypervisor's
 * instruction emulator knows.
 */
static inline uint32_t mmio_read32(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=a"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" ::"a"(value), "r"(address) : "memory");
}

void *memset(void *to, int byte, size_t len);
void *memcpy(void *restrict to, const void *restrict from, size_t len);

#endif
#endif
