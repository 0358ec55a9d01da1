/*
 * A throw-away VM with a little memory, in which small programs run for a bounded time.
 *
 * A timer bounds each run: its signal is blocked on this thread except inside KVM_RUN
 * (KVM_SET_SIGNAL_MASK), which therefore returns with EINTR even when the signal came before it was
 * entered. No signal handler, nothing to lose.
 */
#ifndef SARANG_PROBE_TRIAL_H
#define SARANG_PROBE_TRIAL_H

#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "kvm/kvm.h"
#include "probe/probe.h"

#define TRIAL_MEMORY_BYTES 0x20000u                  /* from address 0 on */
#define TRIAL_MMIO_BASE    0x200000u                 /* no memory: accesses leave the guest */
#define TRIAL_END          (TRIAL_MMIO_BASE + 0xff0) /* a write here, or HLT, ends a run */
#define TRIAL_DOORBELL     (TRIAL_MMIO_BASE + 0x100) /* 4-byte writes go to an ioeventfd */

struct trial {
	struct kvm_vm *vm;
	uint8_t *memory;
	int doorbell_fd;
	unsigned vcpu_count;
	timer_t timer;
	bool timer_made;
	sigset_t old_mask;
};

enum trial_end {
	TRIAL_DONE,
	TRIAL_BROKEN, /* KVM gave the guest up: internal error, shutdown, failed entry */
	TRIAL_LATE,   /* the timer ended it */
};

/* Makes the memory and the timer for @vm, which outlives @t. Closed with trial_close, also after
 * failure. */
int trial_open(struct trial *t, struct kvm_vm *vm, struct err *e);
void trial_close(struct trial *t);

/* A fresh vCPU, state as after reset, to be freed with vcpu_free before trial_close. */
int trial_vcpu(struct trial *t, struct vcpu **out, struct err *e);

/* Runs @vcpu until it ends by itself or @budget_ns is over. */
enum trial_end trial_run(struct trial *t, struct vcpu *vcpu, uint64_t budget_ns,
			 uint64_t *elapsed_ns);

/*
 * The architecture's part: fills cost_ps, insns, tsc_khz and measured. What KVM refuses is left
 * unmeasured. 0, or -errno with a sentence.
 */
int trial_measure(struct trial *t, struct kvm_probe_report *report, struct err *e);

#endif
