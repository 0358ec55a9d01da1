/*
 * poke: for each byte of its input, runs on every processor of the emulated KVM host in turn.
 *
 * Being moved to a processor takes an interrupt there, and that is all that is wanted. While
 * QEMU 7.2 enters a guest that waits for an interrupt window (helper_vmrun), it sets a bit in the
 * processor's word of pending interrupts without a lock. An interrupt that another thread puts
 * there meanwhile is lost: the local APIC still has it as requested, but the processor takes no
 * more notice until the next one comes. If the lost one was the timer's there may never be a next.
 * tests/lab/lab sends a byte five times a second; it arrives by an interrupt from a thread that no
 * processor can hold up.
 */
#include <err.h>
#include <sched.h>
#include <unistd.h>

/* Processors that do not exist are refused, which costs nothing. */
static void visit_processors(void)
{
	cpu_set_t set;

	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
}

int main(void)
{
	const struct sched_param first = {.sched_priority = 1};
	char byte;

	if (sched_setscheduler(0, SCHED_FIFO, &first))
		err(1, "poke: no real-time priority");
	while (read(STDIN_FILENO, &byte, 1) == 1)
		visit_processors();
	return 0;
}
