/*
 * smp: starts the other processors, and each says once that it is there.
 *
 * Intel SDM volume 3, section 9.4.4 ("MP Initialization Example"): INIT to all but oneself, then
 * STARTUP twice; its vector is the page, below 1 MiB, in which they begin in real mode (smp-ap.S).
 * The broadcast needs no APIC ids and hence no MADT; how many are to answer is cpus=N of the
 * command line. The local APIC is MMIO, which CPL 3 reaches like anything else.
 */
#include "common/bare.h"

enum {
	LAPIC_BASE = 0xfee00000u,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ICR_LOW = 0x300,
	SPURIOUS_ENABLE = 1 << 8,
	ICR_PENDING = 1 << 12,
	ICR_ASSERT = 1 << 14,
	ICR_ALL_BUT_SELF = 3 << 18,
	ICR_INIT = 5 << 8,
	ICR_STARTUP = 6 << 8,
	AP_BASE = 0x70000, /* smp-ap.S: a page below 1 MiB */
};

#define PATIENCE_TICKS 60000000000ull /* some 20 s */

/* smp-ap.S: what is copied to AP_BASE, and where in it the count of those that have reported is. */
extern const uint8_t ap_begin[], ap_end[], ap_count[];

static void delay(uint64_t count_ticks)
{
	uint64_t begin = ticks();

	while (ticks() - begin < count_ticks)
		relax();
}

static void send(uint32_t command)
{
	mmio_write32(LAPIC_BASE + LAPIC_ICR_LOW, command | ICR_ASSERT | ICR_ALL_BUT_SELF);
	while (mmio_read32(LAPIC_BASE + LAPIC_ICR_LOW) & ICR_PENDING)
		relax();
}

void guest_main(const struct start_info *start)
{
	uint64_t cpus = option_u64("cpus", 1);
	volatile uint32_t *count = (void *)(AP_BASE + (uint64_t)(ap_count - ap_begin));
	uint64_t begin;

	if (!is_ram(start, AP_BASE, 0x1000))
		panic("there is no memory at %x for the other processors to start in", AP_BASE);
	memcpy((void *)AP_BASE, ap_begin, (size_t)(ap_end - ap_begin));
	print("smp: processor 0 is up\n");
	if (cpus > 1) {
		mmio_write32(LAPIC_BASE + LAPIC_SPURIOUS, SPURIOUS_ENABLE | 0xff);
		send(ICR_INIT);
		delay(30000000); /* 10 ms by the book */
		send(ICR_STARTUP | AP_BASE >> 12);
		delay(600000); /* 200 us */
		send(ICR_STARTUP | AP_BASE >> 12);
	}
	begin = ticks();
	while (*count < cpus - 1) {
		if (ticks() - begin > PATIENCE_TICKS)
			panic("%lu processors were to start, %u have", cpus - 1, *count);
		relax();
	}
	print("smp: all %lu processors are up\n", cpus);
}
