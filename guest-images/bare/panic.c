/*
 * panic: tells the VMM through the pvpanic port that the guest has panicked, as Linux's pvpanic
 * driver does, and then hangs: that one write has to be enough (QEMU, docs/specs/pvpanic.txt).
 */
#include "common/bare.h"

enum { PVPANIC_PANICKED = 1 };

void guest_main(const struct start_info *start)
{
	(void)start;
	print("panic: reporting it, pvpanic offers %x\n", in8(PORT_PVPANIC));
	out8(PORT_PVPANIC, PVPANIC_PANICKED);
	for (;;)
		relax();
}
