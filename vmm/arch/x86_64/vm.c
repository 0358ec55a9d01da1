/*
 * The x86 part of a virtual machine: in-kernel PIC, I/O APIC, local APICs and PIT; CPUID.
 * Linux: Documentation/virt/kvm/api.rst, KVM_CREATE_IRQCHIP and KVM_CREATE_PIT2.
 */
#include <errno.h>
#include <stdlib.h>

#include "layout.h"
#include "x86.h"

unsigned long arch_vm_type(void)
{
	return 0;
}

/* For pins of the I/O APIC KVM leaves an irqfd to a worker thread, which has to wake up first. */
struct kvm_irq_number arch_irq_number(unsigned gsi)
{
	return (struct kvm_irq_number){
		.gsi = gsi,
		.ioctl_irq = gsi,
		.pulse = KVM_PULSE_BY_LEVELS,
	};
}

/* APIC ids past 254 need the 32-bit format, and broadcasts that are not mistaken for one of them.
 */
static int enable_x2apic_ids(struct arch_vm *vm, struct err *e)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args[0] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	};
	int ret;

	if (vm->cpus <= 255)
		return 0;
	ret = kvm_vm_ioctl(vm->kvm, KVM_ENABLE_CAP, &cap);
	return ret < 0 ? err_errno(e, -ret, "this host's KVM takes no more than 255 vCPUs") : 0;
}

int arch_vm_make_chips(struct arch_vm *vm, struct err *e)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	uint64_t identity = X86_KVM_IDENTITY_BASE;
	int ret;

	/* Wanted by old Intel processors without unrestricted guests; harmless elsewhere. */
	ret = kvm_vm_ioctl(vm->kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (ret >= 0)
		ret = kvm_vm_ioctl(vm->kvm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)X86_KVM_TSS_BASE);
	if (ret < 0)
		return err_errno(e, -ret, "KVM refuses its reserved pages at 0x%x",
				 X86_KVM_IDENTITY_BASE);
	ret = kvm_vm_ioctl(vm->kvm, KVM_CREATE_IRQCHIP, NULL);
	if (ret < 0)
		return err_errno(e, -ret, "KVM cannot make the interrupt controllers");
	ret = kvm_vm_ioctl(vm->kvm, KVM_CREATE_PIT2, &pit);
	if (ret < 0)
		return err_errno(e, -ret, "KVM cannot make the interval timer");
	return 0;
}

int arch_vm_new(struct kvm_vm *kvm, unsigned cpus, struct arch_vm **out, struct err *e)
{
	struct arch_vm *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return err_set(e, ENOMEM, "out of memory");
	vm->kvm = kvm;
	vm->cpus = cpus;
	ret = enable_x2apic_ids(vm, e);
	if (!ret)
		ret = x86_cpuid_init(vm, e);
	if (ret < 0) {
		arch_vm_free(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

void arch_vm_free(struct arch_vm *vm)
{
	if (!vm)
		return;
	free(vm->cpuid);
	free(vm);
}

int arch_vm_finish(struct arch_vm *vm, struct vcpu *const *vcpus, struct err *e)
{
	(void)vm;
	(void)vcpus;
	(void)e;
	return 0;
}

int arch_vcpu_init(struct arch_vm *vm, struct vcpu *vcpu, struct err *e)
{
	int ret = x86_cpuid_set(vm, vcpu, e);

	if (!ret)
		ret = x86_msrs_init(vcpu, e);
	if (!ret)
		ret = x86_registers_init(vm, vcpu, e);
	return ret;
}
