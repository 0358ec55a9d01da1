/*
 * What a vCPU is, and its registers at the kernel's entry.
 *
 * Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image": X0 is the address of the
 * device tree, X1 to X3 are 0, the MMU is off, interrupts are masked, EL1h. The other processors
 * are off until PSCI's CPU_ON, which KVM handles. KVM_ARM_VCPU_INIT leaves all else as an arm64
 * reset does.
 */
#include <errno.h>

#include "arm64.h"

/* SPSR_EL1: D, A, I, F masked, EL1 with its own stack pointer. */
#define PSTATE_ENTRY 0x3c5u

int arm64_get_reg(const struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	return vcpu_ioctl(vcpu, KVM_GET_ONE_REG, &reg);
}

int arm64_set_reg(const struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return vcpu_ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

/* The features a guest gets where the host has them. */
static void choose_features(const struct arch_vm *vm, unsigned index, struct kvm_vcpu_init *init)
{
	init->features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (index)
		init->features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	/* Pointer authentication comes with both kinds of keys or not at all. */
	if (kvm_vm_cap(vm->kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    kvm_vm_cap(vm->kvm, KVM_CAP_ARM_PTRAUTH_GENERIC))
		init->features[0] |=
			1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
}

int arm64_vcpu_setup(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e)
{
	struct kvm_vcpu_init init = {0};
	int ret = kvm_vm_ioctl(vm->kvm, KVM_ARM_PREFERRED_TARGET, &init);

	if (ret < 0)
		return err_errno(e, -ret, "KVM does not say which processor a guest can have");
	choose_features(vm, vcpu->index, &init);
	ret = vcpu_ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
	return ret < 0 ? err_errno(e, -ret, "KVM cannot set up vCPU %u", vcpu->index) : 0;
}

int arch_vcpu_init(struct arch_vm *vm, struct vcpu *vcpu, struct err *e)
{
	int ret;

	/* The others are off: who switches one on says where it starts. */
	if (vcpu->index)
		return 0;
	ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.pc), vm->entry.entry_gpa);
	if (!ret)
		ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.regs[0]), vm->entry.info_gpa);
	if (!ret)
		ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.pstate), PSTATE_ENTRY);
	return ret < 0 ? err_errno(e, -ret, "KVM refuses the registers of vCPU %u", vcpu->index)
		       : 0;
}
