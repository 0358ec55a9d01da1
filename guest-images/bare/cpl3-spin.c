/*
 * cpl3-spin: how long one turn of a two-instruction loop takes at CPL 3. Half a nanosecond or so
 * means that the guest's user mode runs on the processor itself; hundreds, that it is emulated.
 *
 *   turns=N        default 100,000,000
 */
#include "common/bare.h"

void guest_main(const struct start_info *start)
{
	uint64_t turns = option_u64("turns", 100000000);
	uint64_t left = turns;
	uint64_t begin, elapsed, ns;

	(void)start;
	if (!turns)
		panic("option turns= takes a number above 0");
	begin = ticks();
	__asm__ volatile("1: decq %0; jnz 1b" : "+r"(left)::"cc");
	elapsed = ticks() - begin;
	ns = ticks_to_ns(elapsed);
	print("cpl3-spin: turns=%lu ns=%lu ticks=%lu tsc_khz=%lu ps_per_turn=%lu\n", turns, ns,
	      elapsed, tsc_khz(), ns / turns * 1000 + ns % turns * 1000 / turns);
}
