/*
 * Pausing a guest and letting it go on: see private.h.
 *
 * A paused guest's vCPUs are parked, each on its own thread, with the last exit finished; devices
 * go on with what they have under way. A vCPU may be inside an exit that waits for the main loop,
 * so the loop runs on while this waits for the vCPUs.
 *
 * On the main thread, but for machine_io_failed.
 */
#include <unistd.h>

#include "base/log.h"
#include "machine/private.h"

static void vcpu_parked(struct vcpu *vcpu, void *opaque)
{
	struct machine *machine = opaque;

	(void)vcpu;
	loop_post(machine->loop, &machine->parked_work);
}

/* The loop has come round, which is all that machine_pause waits for. */
static void look_again(void *opaque)
{
	(void)opaque;
}

static bool all_parked(struct machine *machine)
{
	unsigned i;

	for (i = 0; i < machine->config->cpus; i++)
		if (!vcpu_is_parked(machine->vcpus[i]))
			return false;
	return true;
}

void machine_pause(struct machine *machine)
{
	unsigned i;

	if (machine->paused)
		return;
	machine->paused = true;
	for (i = 0; i < machine->config->cpus; i++)
		vcpu_pause(machine->vcpus[i]);
	while (machine->paused && !all_parked(machine))
		loop_run_once(machine->loop, -1);
}

void machine_resume(struct machine *machine)
{
	unsigned i;

	/* A pause that was asked for and has not begun is over, too. */
	atomic_store(&machine->in_trouble, false);
	for (i = 0; i < machine->device_count; i++)
		device_retry(machine->devices[i]);
	if (!machine->paused)
		return;
	machine->paused = false;
	for (i = 0; i < machine->config->cpus; i++) {
		arch_vcpu_was_paused(machine->vcpus[i]);
		vcpu_resume(machine->vcpus[i]);
	}
	log_info("%s: the guest goes on", machine->config->name);
}

static void pause_in_trouble(void *opaque)
{
	struct machine *machine = opaque;

	if (atomic_load(&machine->in_trouble))
		machine_pause(machine);
}

void machine_io_failed(struct machine *machine, const char *detail)
{
	atomic_store(&machine->in_trouble, true);
	log_error("%s: %s: the guest is paused; when the cause is gone, `kill -CONT %d` (or Ctrl-A "
		  "c on its console) tries again and lets it go on",
		  machine->config->name, detail, (int)getpid());
	loop_post(machine->loop, &machine->trouble_work);
}

void machine_pause_init(struct machine *machine)
{
	unsigned i;

	machine->parked_work = (struct loop_work){.run = look_again, .opaque = machine};
	machine->trouble_work = (struct loop_work){.run = pause_in_trouble, .opaque = machine};
	for (i = 0; i < machine->config->cpus; i++)
		machine->vcpus[i]->parked_cb = vcpu_parked;
}
