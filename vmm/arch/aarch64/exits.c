/*
 * Exits of an aarch64 vCPU: memory accesses go to the bus, PSCI's system calls end the guest, the
 * rest is named. On the vCPU's thread. Linux: Documentation/virt/kvm/api.rst, section 5.
 */
#include <inttypes.h>
#include <stdio.h>

#include "arch/exits.h"
#include "arm64.h"
#include "base/util.h"

void arch_vcpu_was_paused(const struct vcpu *vcpu)
{
	/* The virtual counter has gone on, and there is no way to say why. */
	(void)vcpu;
}

void arch_vcpu_where(const struct vcpu *vcpu, char why[ARCH_WHY_MAX])
{
	static const struct {
		const char *name;
		uint64_t id;
	} shown[] = {
		{"pc", ARM64_CORE_REG(regs.pc)},    {"lr", ARM64_CORE_REG(regs.regs[30])},
		{"sp_el1", ARM64_CORE_REG(sp_el1)}, {"pstate", ARM64_CORE_REG(regs.pstate)},
		{"esr_el1", ARM64_REG_ESR_EL1},     {"far_el1", ARM64_REG_FAR_EL1},
	};
	int used = snprintf(why, ARCH_WHY_MAX, "vCPU %u", vcpu->index);
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (arm64_get_reg(vcpu, shown[i].id, &value) >= 0)
			used += snprintf(why + used, ARCH_WHY_MAX - (size_t)used, "%s %s %#" PRIx64,
					 i ? "," : " at", shown[i].name, value);
}

/*
 * PSCI (Arm DEN0022) SYSTEM_OFF, SYSTEM_RESET and SYSTEM_RESET2, which KVM hands on. The last is
 * what Linux does after a panic with the command line that arch_default_cmdline gives.
 */
static enum arch_exit handle_system_event(struct vcpu *vcpu, char why[ARCH_WHY_MAX])
{
	const struct kvm_run *run = vcpu->run;
	bool reset2 = run->system_event.ndata > 0 &&
		      (run->system_event.data[0] & KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2);
	char what[64];

	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		snprintf(why, ARCH_WHY_MAX, "PSCI SYSTEM_OFF");
		return ARCH_EXIT_POWER_OFF;
	case KVM_SYSTEM_EVENT_RESET:
		snprintf(why, ARCH_WHY_MAX, "PSCI %s", reset2 ? "SYSTEM_RESET2" : "SYSTEM_RESET");
		return reset2 ? ARCH_EXIT_PANICKED : ARCH_EXIT_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return arch_died(vcpu, "it reported a crash", why);
	default:
		snprintf(what, sizeof(what), "a system event sarang does not know (type %u)",
			 run->system_event.type);
		return arch_died(vcpu, what, why);
	}
}

enum arch_exit arch_vcpu_exit(struct vcpu *vcpu, struct bus *bus, char why[ARCH_WHY_MAX])
{
	struct kvm_run *run = vcpu->run;
	char what[120];

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		arch_handle_mmio(run, bus);
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_INTR:
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_SYSTEM_EVENT:
		return handle_system_event(vcpu, why);
	case KVM_EXIT_ARM_NISV:
		snprintf(what, sizeof(what),
			 "it reached for 0x%" PRIx64
			 ", where there is no RAM, with an instruction that cannot be emulated",
			 (uint64_t)run->arm_nisv.fault_ipa);
		return arch_died(vcpu, what, why);
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(what, sizeof(what), "KVM internal error %u", run->internal.suberror);
		return arch_died(vcpu, what, why);
	default:
		return arch_died_otherwise(vcpu, why);
	}
}
