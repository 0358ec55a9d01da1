/* What the files of this folder share: the machine itself. */
#ifndef SARANG_MACHINE_PRIVATE_H
#define SARANG_MACHINE_PRIVATE_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "arch/arch.h"
#include "bus/bus.h"
#include "bus/device.h"
#include "char/chr.h"
#include "kvm/kvm.h"
#include "loop/loop.h"
#include "machine/config.h"
#include "machine/plan.h"
#include "mem/gmem.h"

/* How a run ended. */
enum machine_end {
	MACHINE_END_NONE, /* it has not */
	MACHINE_END_POWER_OFF,
	MACHINE_END_RESET,
	MACHINE_END_USER,
	MACHINE_END_TIMEOUT,
	MACHINE_END_SIGNAL,
	MACHINE_END_PANICKED,
	MACHINE_END_DIED,
};

struct machine {
	const struct machine_config *config;
	struct plan plan;
	enum hardware hardware; /* how the guest is told of it: never HARDWARE_AUTO */

	struct loop *loop; /* the main loop */
	struct bus *bus;
	struct gmem *mem;
	struct kvm_vm *kvm;
	struct arch_vm *arch;
	struct vcpu **vcpus; /* config->cpus of them, as far as they have been made */
	struct chr *console;
	struct chr *hvc;
	struct machine_events events;
	struct device_env env;
	struct irq_line *irqs[PLAN_DEVICES_MAX];
	struct device *devices[PLAN_DEVICES_MAX]; /* in the order of the plan */
	unsigned device_count;

	bool paused; /* the main thread's, as are the works: see pause.c */
	struct loop_work parked_work, trouble_work;
	atomic_bool in_trouble;   /* a device keeps requests that failed */
	atomic_bool halting;      /* vCPUs do not go back into the guest */
	pthread_mutex_t end_lock; /* guards what follows: the first end counts */
	enum machine_end end;
	int end_signal;
	char end_why[ARCH_WHY_MAX];
};

/* build.c: the one constructor. On failure nothing is left; *@out is freed with machine_free. */
int machine_build(const struct machine_config *config, struct machine **out, struct err *e);
void machine_free(struct machine *machine);

/* What a host sets to a guest's memory. */
struct memory_limits {
	unsigned address_bits; /* physical addresses are below 1 << that */
	uint64_t range_bytes;  /* of one range */
};

/* memory.c: 0, or -EINVAL with a sentence that says how much --memory can be. Pure. */
int machine_check_memory(const struct arch_ram_range *ranges, unsigned count,
			 const struct memory_limits *limits, struct err *e);

/* run.c: says how the run ended, unless it has been said already; wakes the main loop. Any thread.
 */
void machine_finish(struct machine *machine, enum machine_end end, const char *why);

/* run.c: what vCPUs call. */
enum vcpu_next machine_handle_exit(struct vcpu *vcpu, void *opaque);
void machine_vcpu_failed(struct vcpu *vcpu, int errnum, void *opaque);

/* run.c: asks the guest to power off, as far as it listens. Main thread. */
void machine_press_power_button(struct machine *machine);

/* pause.c: after the vCPUs have been made. */
void machine_pause_init(struct machine *machine);
/* Returns when no vCPU is in the guest any more, running the main loop meanwhile. Main thread. */
void machine_pause(struct machine *machine);
/* Devices retry what failed, then the guest goes on; harmless when it is not paused. Main thread.
 */
void machine_resume(struct machine *machine);
/* A device keeps a request that failed, as @detail says: pauses the guest. Any thread. */
void machine_io_failed(struct machine *machine, const char *detail);

/* signals.c: signals that ask the process to end or to go on, taken by the main loop while a
 * machine runs. */
struct signals {
	struct machine *machine;
	struct loop_fd source;
	sigset_t old_mask;
};

/* Blocks them from here on, so that none is lost or ends the process half-way. */
void signals_block(struct signals *signals);
/* Takes them on the machine's loop. */
int signals_watch(struct signals *signals, struct machine *machine, struct err *e);
void signals_unwatch(struct signals *signals);
/* Back to how signals were. */
void signals_restore(struct signals *signals);

#endif
