/*
 * Running a machine: starts devices and vCPUs, runs the main loop until somebody says how the run
 * ended, stops everything in the opposite order, and turns the end into an exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "machine/machine.h"
#include "machine/private.h"

void machine_finish(struct machine *machine, enum machine_end end, const char *why)
{
	pthread_mutex_lock(&machine->end_lock);
	if (machine->end == MACHINE_END_NONE) {
		machine->end = end;
		snprintf(machine->end_why, sizeof(machine->end_why), "%s", why);
	}
	pthread_mutex_unlock(&machine->end_lock);
	atomic_store(&machine->halting, true);
	loop_stop(machine->loop);
}

enum vcpu_next machine_handle_exit(struct vcpu *vcpu, void *opaque)
{
	struct machine *machine = opaque;
	char why[ARCH_WHY_MAX];

	switch (arch_vcpu_exit(vcpu, machine->bus, why)) {
	case ARCH_EXIT_HANDLED:
		break;
	case ARCH_EXIT_POWER_OFF:
		machine_finish(machine, MACHINE_END_POWER_OFF, why);
		break;
	case ARCH_EXIT_RESET:
		machine_finish(machine, MACHINE_END_RESET, why);
		break;
	case ARCH_EXIT_PANICKED:
		machine_finish(machine, MACHINE_END_PANICKED, why);
		break;
	case ARCH_EXIT_DIED:
		machine_finish(machine, MACHINE_END_DIED, why);
		break;
	}
	/* A guest that switched itself off must not run on until the main loop has noticed. */
	return atomic_load(&machine->halting) ? VCPU_STOP : VCPU_CONTINUE;
}

void machine_vcpu_failed(struct vcpu *vcpu, int errnum, void *opaque)
{
	char why[ARCH_WHY_MAX], where[ARCH_WHY_MAX], text[64];

	arch_vcpu_where(vcpu, where);
	snprintf(why, sizeof(why), "KVM cannot run it: %s; %.300s",
		 strerror_r(errnum, text, sizeof(text)), where);
	machine_finish(opaque, MACHINE_END_DIED, why);
}

void machine_press_power_button(struct machine *machine)
{
	unsigned i;

	for (i = 0; i < machine->device_count; i++)
		if (machine->plan.devices[i].flags & PLAN_POWER_BUTTON)
			arch_press_power_button(machine->devices[i]);
	log_info("%s: its power button was pressed", machine->config->name);
}

static int start_all(struct machine *machine, struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; i < machine->device_count && !ret; i++)
		ret = device_start(machine->devices[i], e);
	/* The boot vCPU last: by then the others wait for its call. */
	for (i = machine->config->cpus; i-- > 0 && !ret;)
		ret = vcpu_start(machine->vcpus[i], e);
	return ret;
}

static void stop_all(struct machine *machine)
{
	unsigned i;

	atomic_store(&machine->halting, true);
	for (i = 0; i < machine->config->cpus; i++)
		vcpu_stop(machine->vcpus[i]);
	for (i = machine->device_count; i-- > 0;)
		device_stop(machine->devices[i]);
}

/* Where a guest that did not end by itself stands: for the one who wants to know why. */
static void log_vcpus(const struct machine *machine)
{
	char where[ARCH_WHY_MAX];
	unsigned i;

	for (i = 0; i < machine->config->cpus && log_enabled(LOG_INFO); i++) {
		arch_vcpu_where(machine->vcpus[i], where);
		log_info("%s: %s", machine->config->name, where);
	}
}

static void time_is_up(void *opaque)
{
	machine_finish(opaque, MACHINE_END_TIMEOUT, "--timeout");
}

/* From the first vCPU to the last: the machine runs until somebody called machine_finish. */
static int run(struct machine *machine, struct err *e)
{
	struct loop_timer timeout = {.fired = time_is_up, .opaque = machine};
	int ret;

	/* While the loop does not run, a vCPU may be in a loop_call: its timers are not ours then.
	 */
	if (machine->config->timeout_ns)
		loop_timer_arm(machine->loop, &timeout, machine->config->timeout_ns);
	ret = start_all(machine, e);
	if (!ret)
		loop_run(machine->loop);
	stop_all(machine);
	loop_timer_cancel(machine->loop, &timeout);
	if (machine->end == MACHINE_END_TIMEOUT)
		log_vcpus(machine);
	return ret;
}

/* What the user reads, and what the script gets. After the terminal has been restored. */
static int report_end(enum machine_end end, const char *why, const char *name)
{
	switch (end) {
	case MACHINE_END_TIMEOUT:
		log_error("%s: ended by --timeout", name);
		return MACHINE_STATUS_TIMEOUT;
	case MACHINE_END_PANICKED:
		log_error("%s: the guest panicked (%s)", name, why);
		return MACHINE_STATUS_DIED;
	case MACHINE_END_DIED:
		log_error("%s: the guest died: %s", name, why);
		return MACHINE_STATUS_DIED;
	default:
		log_info("%s: ended: %s", name, why);
		return MACHINE_STATUS_OK;
	}
}

int machine_run_config(const struct machine_config *config, int *exit_status, struct err *e)
{
	struct signals signals = {0};
	struct machine *machine = NULL;
	enum machine_end end = MACHINE_END_NONE;
	char why[ARCH_WHY_MAX] = "";
	int signo = 0, ret;

	signals_block(&signals);
	ret = machine_build(config, &machine, e);
	if (!ret)
		ret = signals_watch(&signals, machine, e);
	if (!ret)
		ret = run(machine, e);
	if (machine) {
		end = machine->end;
		signo = machine->end_signal;
		memcpy(why, machine->end_why, sizeof(why));
	}
	signals_unwatch(&signals);
	machine_free(machine);
	if (!ret)
		*exit_status = report_end(end, why, config->name);
	if (!ret && end == MACHINE_END_SIGNAL)
		raise(signo);
	signals_restore(&signals);
	return ret;
}
