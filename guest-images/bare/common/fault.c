/* Where every exception ends: a sentence on the serial port, then the machine. Runs at CPL 0. */
#include "bare.h"

void fault(const struct fault_frame *frame)
{
	uint64_t address = 0;

	if (frame->vector == 14)
		__asm__ volatile("movq %%cr2, %0" : "=r"(address));
	panic("exception %lu, error %lx, at %lx (CPL %lu), stack %lx, address %lx", frame->vector,
	      frame->error, frame->rip, frame->cs & 3, frame->rsp, address);
}
