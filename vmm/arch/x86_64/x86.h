/* What the files of this folder share. */
#ifndef SARANG_ARCH_X86_64_X86_H
#define SARANG_ARCH_X86_64_X86_H

#include <stdint.h>

#include "arch/arch.h"
#include "base/err.h"
#include "kvm/kvm.h"

struct kvm_cpuid2;

struct arch_vm {
	struct kvm_vm *kvm;
	unsigned cpus;
	struct kvm_cpuid2
		*cpuid; /* what the host supports, adapted to this machine; per vCPU fields open */
	struct boot_entry entry; /* where the boot vCPU starts */
};

/* cpuid.c: what KVM supports, with the topology of @vm->cpus; kept in @vm->cpuid. */
int x86_cpuid_init(struct arch_vm *vm, struct err *e);
/* Gives @vcpu its own copy. */
int x86_cpuid_set(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e);

/* msrs.c: power-on values of model-specific registers; those that a host refuses are left out. */
int x86_msrs_init(const struct vcpu *vcpu, struct err *e);

/* registers.c: general, segment and control registers, FPU, local APIC. */
int x86_registers_init(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e);
/* The descriptor and page tables that the 64-bit entry stands on, into guest memory. */
int x86_write_boot_tables(const struct gmem *mem, struct err *e);

#endif
