/*
 * What exits have in common on all architectures: a vCPU's access to memory that is no RAM, and the
 * ends that KVM has the same names for.
 */
#ifndef SARANG_ARCH_EXITS_H
#define SARANG_ARCH_EXITS_H

#include <stdint.h>

#include "arch/arch.h"
#include "bus/bus.h"
#include "kvm/kvm.h"

/* The value in the first @size bytes (at most 8) of what KVM shares with us, and back. */
uint64_t arch_get_value(const uint8_t *data, unsigned size);
void arch_put_value(uint8_t *data, unsigned size, uint64_t value);

/* Does what KVM_EXIT_MMIO in @run asks for. */
void arch_handle_mmio(struct kvm_run *run, struct bus *bus);

/* A guest that cannot go on: @why says @what happened and where. */
enum arch_exit arch_died(struct vcpu *vcpu, const char *what, char why[ARCH_WHY_MAX]);

/* An exit that no architecture has a use for: refused at entry, or unknown. As arch_died. */
enum arch_exit arch_died_otherwise(struct vcpu *vcpu, char why[ARCH_WHY_MAX]);

#endif
