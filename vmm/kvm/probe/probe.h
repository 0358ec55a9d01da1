/*
 * What this host's KVM can do, asked and measured: for `sarang doctor`.
 *
 * A KVM need not be what /proc/cpuinfo suggests. Some have no VMX or SVM below them and emulate a
 * guest's kernel instruction by instruction, not knowing all of them. So small programs are run in
 * a throw-away VM, in each processor mode, and timed; each run is ended by a timer, so that a KVM
 * that loses its guest costs a fraction of a second. The whole takes well under a second.
 */
#ifndef SARANG_PROBE_PROBE_H
#define SARANG_PROBE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PROBE_CAPS_MAX   24
#define PROBE_INSNS_MAX  16
#define PROBE_REASON_MAX 1024

enum probe_presence {
	PROBE_KVM_PRESENT,
	PROBE_KVM_MISSING,  /* there is no /dev/kvm */
	PROBE_KVM_DENIED,   /* there is one, this user may not open it */
	PROBE_KVM_UNUSABLE, /* it opens, but makes no VM that sarang could use */
};

/* One KVM_CAP_*. Texts are constants. */
struct probe_cap {
	const char *name; /* for programs: "irqfd" */
	const char *what; /* for people */
	int value;        /* what KVM_CHECK_EXTENSION says; 0: not there */
	bool required;    /* sarang does not run without it */
	bool is_count;    /* the value is a number of something, not yes, no or a set of bits */
};

/* What is timed. A turn is one of a loop of two instructions. */
enum probe_cost {
	PROBE_CPL0_REAL, /* a turn in real mode */
	PROBE_CPL0_LONG, /* a turn in 64-bit mode, as in a guest's kernel */
	PROBE_CPL3_LONG, /* a turn in 64-bit mode, as in a guest's user programs */
	PROBE_PIO_EXIT,  /* a port access that goes to user space and back, from CPL 3 */
	PROBE_MMIO_EXIT, /* an MMIO write that does, from CPL 3 */
	PROBE_DOORBELL,  /* an MMIO write that an ioeventfd answers in the kernel, from CPL 3 */
	PROBE_COSTS
};

/* A processor instruction that a kernel uses at CPL 0. */
enum probe_insn_result {
	PROBE_INSN_WORKS,
	PROBE_INSN_FAILS,  /* offered to guests by KVM's own CPUID, and does not work */
	PROBE_INSN_ABSENT, /* not offered: a kernel will not use it */
};

struct probe_insn {
	const char *name;
	enum probe_insn_result result;
};

struct kvm_probe_report {
	enum probe_presence presence;
	char problem[ERR_TEXT_MAX]; /* a sentence, unless presence is PROBE_KVM_PRESENT */
	int api_version;
	char backend[32]; /* the module: "kvm_intel"; empty when unknown */
	uint32_t tsc_khz; /* of a guest; 0: not told */
	struct probe_cap caps[PROBE_CAPS_MAX];
	unsigned cap_count;
	uint64_t cost_ps[PROBE_COSTS]; /* picoseconds each; 0: not measured, or it did not end */
	bool measured;                 /* whether this architecture has measurements at all */
	struct probe_insn insns[PROBE_INSNS_MAX];
	unsigned insn_count;
	bool kernel_emulated; /* CPL 0 is emulated, CPL 3 is not */
	bool can_boot_linux;
	char reason[PROBE_REASON_MAX]; /* the verdict in a sentence */
};

/*
 * Fills @out: the state of /dev/kvm (missing, denied, unusable are findings, not errors),
 * capabilities, measurements, verdict. Blocks one real-time signal on the calling thread meanwhile.
 * 0, or -errno with a sentence when the probe itself could not be made (out of memory, no timer).
 */
int kvm_probe(struct kvm_probe_report *out, struct err *e);

/* Decides kernel_emulated, can_boot_linux and reason from the rest of @report. */
void kvm_probe_judge(struct kvm_probe_report *report);

/* "cpl0_real" ..., for programs, and in words. */
const char *probe_cost_name(enum probe_cost cost);
const char *probe_cost_words(enum probe_cost cost);

#endif
