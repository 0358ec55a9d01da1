/* reset: asks for a reset through the ACPI reset register, as a kernel does when it reboots. */
#include "common/bare.h"

void guest_main(const struct start_info *start)
{
	(void)start;
	print("reset: writing the reset register\n");
	out8(PORT_RESET, 1);
	for (;;)
		relax();
}
