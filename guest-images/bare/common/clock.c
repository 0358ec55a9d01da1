/*
 * How fast the time stamp counter runs.
 *
 * Asked in this order: the command line; kvmclock's time page, which start.S switched on (Linux,
 * Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW); the hypervisor's timing leaf
 * 0x40000010; CPUID 0x15.
 */
#include "bare.h"

struct kvmclock {
	uint32_t version; /* odd while the host writes it; 0: never written */
	uint32_t padding;
	uint64_t tsc_timestamp;
	uint64_t system_time_ns;
	uint32_t tsc_to_ns_mul; /* ns = ((ticks << shift) * mul) >> 32 */
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t padding2[2];
};

extern volatile struct kvmclock kvmclock_page;

static void cpuid(uint32_t leaf, uint32_t regs[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(0));
}

/* 10^6 ns * 2^32 / mul is ticks a millisecond before the shift. */
static uint64_t khz_of_kvmclock(void)
{
	uint64_t khz;

	if (!kvmclock_page.version || !kvmclock_page.tsc_to_ns_mul)
		return 0;
	khz = (1000000ull << 32) / kvmclock_page.tsc_to_ns_mul;
	return kvmclock_page.tsc_shift < 0 ? khz << -kvmclock_page.tsc_shift
					   : khz >> kvmclock_page.tsc_shift;
}

static uint64_t khz_of_cpuid(void)
{
	uint32_t regs[4];

	cpuid(0x40000000, regs);
	if (regs[0] >= 0x40000010 && regs[0] < 0x40010000) {
		cpuid(0x40000010, regs);
		if (regs[0])
			return regs[0];
	}
	cpuid(0, regs);
	if (regs[0] < 0x15)
		return 0;
	cpuid(0x15, regs);
	if (!regs[0] || !regs[1] || !regs[2])
		return 0;
	return (uint64_t)regs[2] * regs[1] / regs[0] / 1000;
}

uint64_t tsc_khz(void)
{
	uint64_t khz = option_u64("tsc_khz", 0);

	if (!khz)
		khz = khz_of_kvmclock();
	return khz ? khz : khz_of_cpuid();
}

uint64_t ticks_to_ns(uint64_t elapsed)
{
	uint64_t khz = tsc_khz();

	/* In two steps, so that hours of ticks times a million do not overflow. */
	return khz ? elapsed / khz * 1000000 + elapsed % khz * 1000000 / khz : 0;
}

uint64_t ns_to_ticks(uint64_t ns)
{
	uint64_t khz = tsc_khz();

	return ns / 1000000 * khz + ns % 1000000 * khz / 1000000;
}
