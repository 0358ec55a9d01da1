/* What exits have in common on all architectures: a vCPU's access to memory that is no RAM. */
#ifndef SARANG_ARCH_MMIO_H
#define SARANG_ARCH_MMIO_H

#include <stdint.h>

#include "bus/bus.h"
#include "kvm/kvm.h"

/* The value in the first @size bytes (at most 8) of what KVM shares with us, and back. */
uint64_t arch_get_value(const uint8_t *data, unsigned size);
void arch_put_value(uint8_t *data, unsigned size, uint64_t value);

/* Does what KVM_EXIT_MMIO in @run asks for. */
void arch_handle_mmio(struct kvm_run *run, struct bus *bus);

#endif
