/* Exits, as far as they are the same everywhere: see exits.h. On the vCPU's thread. */
#include "arch/exits.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

uint64_t arch_get_value(const uint8_t *data, unsigned size)
{
	uint8_t bytes[8] = {0};

	memcpy(bytes, data, MIN(size, 8u));
	return get_le64(bytes);
}

void arch_put_value(uint8_t *data, unsigned size, uint64_t value)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	memcpy(data, bytes, MIN(size, 8u));
}

void arch_handle_mmio(struct kvm_run *run, struct bus *bus)
{
	unsigned size = run->mmio.len;
	uint64_t addr = run->mmio.phys_addr;

	if (run->mmio.is_write)
		bus_write(bus, BUS_MMIO, addr, size, arch_get_value(run->mmio.data, size));
	else
		arch_put_value(run->mmio.data, size, bus_read(bus, BUS_MMIO, addr, size));
}

enum arch_exit arch_died(struct vcpu *vcpu, const char *what, char why[ARCH_WHY_MAX])
{
	char where[ARCH_WHY_MAX];

	arch_vcpu_where(vcpu, where);
	snprintf(why, ARCH_WHY_MAX, "%.120s; %.270s", what, where);
	return ARCH_EXIT_DIED;
}

enum arch_exit arch_died_otherwise(struct vcpu *vcpu, char why[ARCH_WHY_MAX])
{
	const struct kvm_run *run = vcpu->run;
	char what[120];

	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		snprintf(what, sizeof(what),
			 "the processor refused to enter the guest (reason %#llx)",
			 (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	else
		snprintf(what, sizeof(what), "an exit sarang does not know (reason %u)",
			 run->exit_reason);
	return arch_died(vcpu, what, why);
}
