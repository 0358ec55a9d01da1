/*
 * The x86_64 measurements: loops in three processor modes, exits, and instructions that a kernel
 * needs.
 *
 * A loop is run with more and more turns until it takes long enough to be timed by the host's
 * clock.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/util.h"
#include "x86_64.h"

#define CPUID_ENTRIES 512
/* Where real mode's helper pages go on processors that need them: as QEMU and others have it. */
#define TSS_ADDRESS 0xfffbd000ul

#define ENOUGH_NS      3000000ull   /* a run this long is timed well enough */
#define BUDGET_NS      150000000ull /* a run that takes longer is ended */
#define INSN_BUDGET_NS 100000000ull
#define ROUNDS         3
#define LOOP_TURNS_MAX 100000000ull
#define EXIT_TURNS_MAX 1000000ull
#define QUIET_PORT     0x80 /* nothing is there: the VMM is asked */

extern const uint8_t probe_spin16[], probe_spin64[], probe_mmio[], probe_pio[];
extern const uint8_t probe_cpuid[], probe_int3[], probe_iretq[], probe_sysretq[], probe_swapgs[];
extern const uint8_t probe_popcnt[], probe_cmpxchg16b[], probe_clac[], probe_stac[];
extern const uint8_t probe_xsave[], probe_xrstor[];

struct x86_probe {
	struct trial *trial;
	struct kvm_cpuid2 *cpuid;
	struct kvm_probe_report *report;
};

static const struct measurement {
	enum probe_cost cost;
	const uint8_t *code;
	enum x86_mode mode;
	uint64_t rdx;
	uint64_t turns_first, turns_max;
} measurements[] = {
	{PROBE_CPL0_REAL, probe_spin16, X86_REAL, 0, 1000, LOOP_TURNS_MAX},
	{PROBE_CPL0_LONG, probe_spin64, X86_CPL0, 0, 1000, LOOP_TURNS_MAX},
	{PROBE_CPL3_LONG, probe_spin64, X86_CPL3, 0, 1000, LOOP_TURNS_MAX},
	{PROBE_PIO_EXIT, probe_pio, X86_CPL3, QUIET_PORT, 100, EXIT_TURNS_MAX},
	{PROBE_MMIO_EXIT, probe_mmio, X86_CPL3, TRIAL_MMIO_BASE, 100, EXIT_TURNS_MAX},
	{PROBE_DOORBELL, probe_mmio, X86_CPL3, TRIAL_DOORBELL, 100, EXIT_TURNS_MAX},
};

/* Where CPUID offers an instruction; none for what every 64-bit processor has. */
enum feature { FEATURE_NONE, FEATURE_1_ECX, FEATURE_7_EBX };

static const struct insn {
	const char *name;
	const uint8_t *code;
	enum feature feature;
	unsigned bit;
} insns[] = {
	{"cpuid", probe_cpuid, FEATURE_NONE, 0},
	{"int3", probe_int3, FEATURE_NONE, 0},
	{"iretq", probe_iretq, FEATURE_NONE, 0},
	{"sysretq", probe_sysretq, FEATURE_NONE, 0},
	{"swapgs", probe_swapgs, FEATURE_NONE, 0},
	{"popcnt", probe_popcnt, FEATURE_1_ECX, 23},
	{"cmpxchg16b", probe_cmpxchg16b, FEATURE_1_ECX, 13},
	{"clac", probe_clac, FEATURE_7_EBX, 20},
	{"stac", probe_stac, FEATURE_7_EBX, 20},
	{"xsave", probe_xsave, FEATURE_1_ECX, 26},
	{"xrstor", probe_xrstor, FEATURE_1_ECX, 26},
};
static_assert(ARRAY_SIZE(insns) <= PROBE_INSNS_MAX, "the report has no room");

/* A vCPU with all that KVM supports. */
static int make_vcpu(struct x86_probe *p, struct vcpu **out, struct err *e)
{
	int ret = trial_vcpu(p->trial, out, e);

	if (ret < 0)
		return ret;
	ret = vcpu_ioctl(*out, KVM_SET_CPUID2, p->cpuid);
	if (ret < 0) {
		vcpu_free(*out);
		return err_errno(e, -ret, "KVM refuses the CPUID that it supports");
	}
	return 0;
}

/* One run of @turns: its nanoseconds, 0 when it did not come to its end. */
static uint64_t time_turns(struct x86_probe *p, struct vcpu *vcpu, const struct measurement *m,
			   uint64_t turns)
{
	struct x86_program program = {.code = m->code,
				      .mode = m->mode,
				      .rcx = turns,
				      .rdx = m->rdx};
	uint64_t elapsed_ns;

	if (x86_start(vcpu, p->cpuid, &program) < 0 ||
	    trial_run(p->trial, vcpu, BUDGET_NS, &elapsed_ns) != TRIAL_DONE)
		return 0;
	return MAX(elapsed_ns, UINT64_C(1));
}

/*
 * The best of a few rounds: what else the host does only ever makes one longer, and so do page
 * faults in the first. 0 when the first did not come to its end.
 */
static uint64_t time_rounds(struct x86_probe *p, struct vcpu *vcpu, const struct measurement *m,
			    uint64_t turns)
{
	uint64_t best_ns = time_turns(p, vcpu, m, turns);

	for (unsigned i = 1; i < ROUNDS && best_ns; i++) {
		uint64_t ns = time_turns(p, vcpu, m, turns);

		if (!ns)
			break;
		best_ns = MIN(ns, best_ns);
	}
	return best_ns;
}

/* More and more turns, until entering and leaving the guest, which is timed too, does not count. */
static int measure_cost(struct x86_probe *p, const struct measurement *m, struct err *e)
{
	uint64_t best_ps = 0;
	struct vcpu *vcpu;
	int ret = make_vcpu(p, &vcpu, e);

	if (ret < 0)
		return ret;
	for (uint64_t turns = m->turns_first; turns <= m->turns_max; turns *= 10) {
		uint64_t ns = time_rounds(p, vcpu, m, turns);

		/* One too long for its budget, on a busy host: what fewer turns told still holds.
		 */
		if (!ns)
			break;
		best_ps = MAX(ns * 1000 / turns, UINT64_C(1));
		if (ns >= ENOUGH_NS)
			break;
	}
	p->report->cost_ps[m->cost] = best_ps;
	vcpu_free(vcpu);
	return 0;
}

/* Runs @code at CPL 0 with @rcx; whether it came to its end. */
static bool run_at_cpl0(struct x86_probe *p, struct vcpu *vcpu, const uint8_t *code, uint64_t rcx,
			struct kvm_regs *regs)
{
	struct x86_program program = {.code = code, .mode = X86_CPL0, .rcx = rcx};
	uint64_t elapsed_ns;

	return x86_start(vcpu, p->cpuid, &program) == 0 &&
	       trial_run(p->trial, vcpu, INSN_BUDGET_NS, &elapsed_ns) == TRIAL_DONE &&
	       vcpu_ioctl(vcpu, KVM_GET_REGS, regs) == 0;
}

/*
 * Whether the guest sees the feature. The guest itself is asked: what KVM was told to show is not
 * everywhere what it shows.
 */
static bool insn_offered(struct x86_probe *p, struct vcpu *vcpu, const struct insn *insn)
{
	struct kvm_regs regs;
	uint64_t bits;

	if (insn->feature == FEATURE_NONE)
		return true;
	if (!run_at_cpl0(p, vcpu, probe_cpuid, insn->feature == FEATURE_1_ECX ? 1 : 7, &regs))
		return true; /* CPUID itself fails: let the instruction be judged */
	bits = insn->feature == FEATURE_1_ECX ? regs.rcx : regs.rbx;
	return bits >> insn->bit & 1;
}

/* Each on a vCPU of its own: one that failed may hold a half-delivered exception. */
static int try_insn(struct x86_probe *p, const struct insn *insn, struct probe_insn *result,
		    struct err *e)
{
	struct kvm_regs regs;
	struct vcpu *vcpu;
	int ret = make_vcpu(p, &vcpu, e);

	if (ret < 0)
		return ret;
	result->name = insn->name;
	if (!insn_offered(p, vcpu, insn))
		result->result = PROBE_INSN_ABSENT;
	else if (run_at_cpl0(p, vcpu, insn->code, 0, &regs) && regs.rbx != X86_FAULTED)
		result->result = PROBE_INSN_WORKS;
	else
		result->result = PROBE_INSN_FAILS;
	vcpu_free(vcpu);
	return 0;
}

static int get_cpuid(struct x86_probe *p, struct err *e)
{
	p->cpuid = calloc(1, sizeof(*p->cpuid) + CPUID_ENTRIES * sizeof(p->cpuid->entries[0]));
	if (!p->cpuid)
		return err_set(e, ENOMEM, "out of memory");
	p->cpuid->nent = CPUID_ENTRIES;
	if (ioctl(p->trial->vm->sys_fd, KVM_GET_SUPPORTED_CPUID, p->cpuid) < 0)
		return err_errno(e, errno, "KVM does not tell which CPU features it has");
	return 0;
}

static int measure_all(struct x86_probe *p, struct err *e)
{
	struct vcpu *vcpu;
	int ret = make_vcpu(p, &vcpu, e);

	if (ret < 0)
		return ret;
	ret = vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL);
	p->report->tsc_khz = ret > 0 ? (uint32_t)ret : 0;
	vcpu_free(vcpu);

	ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(measurements) && !ret; i++)
		ret = measure_cost(p, &measurements[i], e);
	for (size_t i = 0; i < ARRAY_SIZE(insns) && !ret; i++, p->report->insn_count++)
		ret = try_insn(p, &insns[i], &p->report->insns[i], e);
	return ret;
}

int trial_measure(struct trial *t, struct kvm_probe_report *report, struct err *e)
{
	struct x86_probe p = {.trial = t, .report = report};
	int ret;

	report->measured = true;
	/* Old hosts lack it and do without. */
	(void)kvm_vm_ioctl(t->vm, KVM_SET_TSS_ADDR, (void *)TSS_ADDRESS);
	x86_fill_memory(t);
	ret = get_cpuid(&p, e);
	if (!ret)
		ret = measure_all(&p, e);
	free(p.cpuid);
	return ret;
}
