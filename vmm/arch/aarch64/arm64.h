/* What the files of this folder share. */
#ifndef SARANG_ARCH_AARCH64_ARM64_H
#define SARANG_ARCH_AARCH64_ARM64_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/err.h"
#include "kvm/kvm.h"
#include "tree.h"

/* The interrupt controller, in KVM. */
struct arm64_gic {
	unsigned version; /* 2 or 3 */
	int fd;           /* KVM devices */
	int its_fd;       /* -1: none */
	struct fdt_window redists[ARM64_REDIST_REGIONS_MAX];
	unsigned redist_count;
};

struct arch_vm {
	struct kvm_vm *kvm;
	unsigned cpus;
	unsigned ipa_bits; /* the guest has physical addresses below 1 << ipa_bits */
	struct arm64_gic gic;
	uint64_t *mpidrs; /* of each vCPU, once they have been made */
	uint64_t mmfr0;   /* ID_AA64MMFR0_EL1: page sizes */
	struct boot_entry entry;
};

/* vm.c: how many bits a guest's physical addresses may have on this host. */
#define ARM64_IPA_BITS_DEFAULT 40

/*
 * gic.c: makes the interrupt controller, before any vCPU: version 3, or 2 where the host has only
 * that. @ipa_bits bounds where it may lie.
 */
int arm64_gic_new(struct arm64_gic *gic, struct kvm_vm *kvm, unsigned cpus, unsigned ipa_bits,
		  struct err *e);
/* After all vCPUs have been made: fixes it, and adds an ITS where KVM has it. */
int arm64_gic_finish(struct arm64_gic *gic, struct kvm_vm *kvm, struct err *e);
void arm64_gic_free(struct arm64_gic *gic);

/* registers.c: makes @vcpu a processor that waits for PSCI (vCPU 0: that runs). */
int arm64_vcpu_setup(const struct arch_vm *vm, const struct vcpu *vcpu, struct err *e);
/* As KVM_GET_ONE_REG and KVM_SET_ONE_REG of a 64-bit register; -errno. */
int arm64_get_reg(const struct vcpu *vcpu, uint64_t id, uint64_t *value);
int arm64_set_reg(const struct vcpu *vcpu, uint64_t id, uint64_t value);

/* Registers by their number for KVM: members of struct kvm_regs, and system registers. */
#define ARM64_CORE_REG(member) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))
#define ARM64_REG_MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define ARM64_REG_MMFR0_EL1 ARM64_SYS_REG(3, 0, 0, 7, 0)
#define ARM64_REG_ESR_EL1   ARM64_SYS_REG(3, 0, 5, 2, 0)
#define ARM64_REG_FAR_EL1   ARM64_SYS_REG(3, 0, 6, 0, 0)

#endif
