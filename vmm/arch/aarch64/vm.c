/*
 * The aarch64 part of a virtual machine: the size of its address space, its interrupt controller,
 * and what its vCPUs are. Linux: Documentation/virt/kvm/api.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "arm64.h"
#include "base/fd.h"
#include "layout.h"

/* As kvm_vm_cap, but before there is a VM. 0 where the host has no KVM: kvm_vm_new says so. */
static int host_ipa_bits(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int ret = fd < 0 ? -1 : ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	fd_close(&fd);
	return MAX(ret, 0);
}

unsigned long arch_vm_type(void)
{
	/* Zero asks for 40 bits, also where the host knows no other answer. */
	return KVM_VM_TYPE_ARM_IPA_SIZE((unsigned)host_ipa_bits());
}

unsigned long arch_vcpu_id(unsigned index)
{
	return index;
}

/* The GIC takes an irqfd at once. */
struct kvm_irq_number arch_irq_number(unsigned gsi)
{
	return (struct kvm_irq_number){
		.gsi = gsi,
		.ioctl_irq = (uint32_t)KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT |
			     (ARM64_GIC_PRIVATE + gsi),
		.pulse = KVM_PULSE_BY_FD,
	};
}

int arch_vm_new(struct kvm_vm *kvm, unsigned cpus, struct arch_vm **out, struct err *e)
{
	struct arch_vm *vm = calloc(1, sizeof(*vm));
	struct kvm_enable_cap nisv = {.cap = KVM_CAP_ARM_NISV_TO_USER};
	int bits;

	if (!vm)
		return err_set(e, ENOMEM, "out of memory");
	vm->kvm = kvm;
	vm->cpus = cpus;
	vm->gic.fd = vm->gic.its_fd = -1;
	bits = kvm_vm_cap(kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	vm->ipa_bits = bits > 0 ? (unsigned)bits : ARM64_IPA_BITS_DEFAULT;
	/* Only for a better message about a guest that does such a thing: it may fail. */
	kvm_vm_ioctl(kvm, KVM_ENABLE_CAP, &nisv);
	vm->mpidrs = calloc(cpus, sizeof(*vm->mpidrs));
	if (!vm->mpidrs) {
		arch_vm_free(vm);
		return err_set(e, ENOMEM, "out of memory");
	}
	*out = vm;
	return 0;
}

unsigned arch_vm_address_bits(const struct arch_vm *vm)
{
	return vm->ipa_bits;
}

int arch_vm_make_chips(struct arch_vm *vm, struct err *e)
{
	return arm64_gic_new(&vm->gic, vm->kvm, vm->cpus, vm->ipa_bits, e);
}

void arch_vm_free(struct arch_vm *vm)
{
	if (!vm)
		return;
	arm64_gic_free(&vm->gic);
	free(vm->mpidrs);
	free(vm);
}

int arch_vm_finish(struct arch_vm *vm, struct vcpu *const *vcpus, struct err *e)
{
	unsigned i;
	int ret;

	for (i = 0; i < vm->cpus; i++) {
		ret = arm64_vcpu_setup(vm, vcpus[i], e);
		if (ret < 0)
			return ret;
		ret = arm64_get_reg(vcpus[i], ARM64_REG_MPIDR_EL1, &vm->mpidrs[i]);
		if (ret < 0)
			return err_errno(e, -ret, "KVM does not tell the affinity of vCPU %u", i);
	}
	ret = arm64_get_reg(vcpus[0], ARM64_REG_MMFR0_EL1, &vm->mmfr0);
	if (ret < 0)
		return err_errno(e, -ret, "KVM does not tell the page sizes of this host");
	return arm64_gic_finish(&vm->gic, vm->kvm, e);
}
