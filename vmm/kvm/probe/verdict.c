/* From what was found to what it means: whether a stock Linux boots here, and why not. */
#include <inttypes.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "probe/probe.h"

/*
 * Emulated code is hundreds of times slower than native code; one loop turn natively is a
 * nanosecond or less, and some 10 where the whole host is itself emulated.
 */
#define EMULATED_PS    100000u /* a turn at CPL 0 that takes this long, and ... */
#define EMULATED_RATIO 20u     /* ... so many times longer than at CPL 3 */

static const struct {
	const char *name;
	const char *words;
} costs[PROBE_COSTS] = {
	[PROBE_CPL0_REAL] = {"cpl0_real", "kernel code (CPL 0), real mode, a loop turn"},
	[PROBE_CPL0_LONG] = {"cpl0_long", "kernel code (CPL 0), 64-bit, a loop turn"},
	[PROBE_CPL3_LONG] = {"cpl3_long", "user code (CPL 3), 64-bit, a loop turn"},
	[PROBE_PIO_EXIT] = {"pio_exit", "port access handled by the VMM"},
	[PROBE_MMIO_EXIT] = {"mmio_exit", "MMIO write handled by the VMM"},
	[PROBE_DOORBELL] = {"ioeventfd", "MMIO write caught by an ioeventfd"},
};

const char *probe_cost_name(enum probe_cost cost)
{
	return costs[cost].name;
}

const char *probe_cost_words(enum probe_cost cost)
{
	return costs[cost].words;
}

static void judge_caps(const struct kvm_probe_report *r, struct strbuf *why)
{
	for (unsigned i = 0; i < r->cap_count; i++) {
		if (r->caps[i].required && r->caps[i].value <= 0)
			strbuf_addf(why, "%sKVM lacks %s", why->len ? "; " : "", r->caps[i].what);
	}
}

static void judge_insns(const struct kvm_probe_report *r, struct strbuf *why)
{
	const char *before = why->len ? "; " : "";
	unsigned failing = 0;

	for (unsigned i = 0; i < r->insn_count; i++) {
		if (r->insns[i].result != PROBE_INSN_FAILS)
			continue;
		strbuf_addf(why, "%s%s", failing ? ", " : before, r->insns[i].name);
		failing++;
	}
	if (failing)
		strbuf_addf(why, " %s not work at CPL 0", failing == 1 ? "does" : "do");
}

static void judge_speed(struct kvm_probe_report *r, struct strbuf *why)
{
	uint64_t kernel = r->cost_ps[PROBE_CPL0_LONG], user = r->cost_ps[PROBE_CPL3_LONG];

	r->kernel_emulated = kernel >= EMULATED_PS && kernel / EMULATED_RATIO >= user;
	if (!kernel)
		strbuf_addf(why, "%skernel code in 64-bit mode does not run", why->len ? "; " : "");
	else if (r->kernel_emulated)
		/* Two instructions a turn. */
		strbuf_addf(why,
			    "%sguest kernel code is emulated (about %" PRIu64 " ns an instruction)",
			    why->len ? "; " : "", kernel / 2000);
}

void kvm_probe_judge(struct kvm_probe_report *r)
{
	struct strbuf why = {0};

	r->kernel_emulated = false;
	if (r->presence != PROBE_KVM_PRESENT) {
		strbuf_addstr(&why, r->problem);
	} else {
		judge_caps(r, &why);
		if (r->measured) {
			judge_speed(r, &why);
			judge_insns(r, &why);
		}
	}
	r->can_boot_linux = !why.len;
	if (r->can_boot_linux)
		snprintf(r->reason, sizeof(r->reason), "a stock Linux boots here%s",
			 r->measured ? "" : " as far as capabilities tell: nothing was measured");
	else if (r->presence != PROBE_KVM_PRESENT)
		snprintf(r->reason, sizeof(r->reason), "no guest runs here: %s", why.data);
	else
		snprintf(r->reason, sizeof(r->reason), "a stock Linux does not boot here: %s%s",
			 why.data,
			 r->kernel_emulated && r->cost_ps[PROBE_CPL3_LONG]
				 ? "; small guests run, at CPL 3 at the processor's full speed"
				 : "");
	strbuf_free(&why);
}
