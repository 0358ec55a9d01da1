/*
 * Exits of an x86 vCPU: port and memory accesses go to the bus, the rest is named. On the vCPU's
 * thread. Linux: Documentation/virt/kvm/api.rst, section 5.
 */
#include <inttypes.h>
#include <stdio.h>

#include "arch/exits.h"
#include "base/util.h"
#include "x86.h"

/* A string instruction (REP INSB) comes as one exit with @count accesses to the same port. */
static void handle_io(struct kvm_run *run, struct bus *bus)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(bus, BUS_PIO, run->io.port, run->io.size,
				  arch_get_value(data, run->io.size));
		else
			arch_put_value(data, run->io.size,
				       bus_read(bus, BUS_PIO, run->io.port, run->io.size));
	}
}

void arch_vcpu_was_paused(const struct vcpu *vcpu)
{
	/* Tells the guest's watchdog through kvmclock. A guest that uses none has nothing to hear.
	 */
	vcpu_ioctl(vcpu, KVM_KVMCLOCK_CTRL, NULL);
}

void arch_vcpu_where(const struct vcpu *vcpu, char why[ARCH_WHY_MAX])
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (vcpu_ioctl(vcpu, KVM_GET_REGS, &regs) < 0 ||
	    vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(why, ARCH_WHY_MAX, "vCPU %u", vcpu->index);
		return;
	}
	snprintf(why, ARCH_WHY_MAX,
		 "vCPU %u at cs:rip %04x:%#" PRIx64 ", rsp %#" PRIx64 ", cr0 %#" PRIx64
		 ", cr2 %#" PRIx64 ", cr3 %#" PRIx64 ", cr4 %#" PRIx64 ", efer %#" PRIx64,
		 vcpu->index, sregs.cs.selector, (uint64_t)regs.rip, (uint64_t)regs.rsp,
		 (uint64_t)sregs.cr0, (uint64_t)sregs.cr2, (uint64_t)sregs.cr3, (uint64_t)sregs.cr4,
		 (uint64_t)sregs.efer);
}

/* Adds the bytes of the instruction that KVM could not emulate, where it tells. */
static int describe_internal_error(const struct kvm_run *run, char *why, size_t room)
{
	static const char *const names[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "an instruction KVM cannot emulate",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "an event that could not be delivered",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit KVM did not expect",
	};
	uint32_t sub = run->internal.suberror;
	const char *name = sub < ARRAY_SIZE(names) ? names[sub] : NULL;
	int used = snprintf(why, room, "KVM internal error %u (%s)", sub, name ? name : "unknown");
	unsigned i;

	if (sub != KVM_INTERNAL_ERROR_EMULATION || run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return used;
	used += snprintf(why + used, room - (size_t)used, ", bytes");
	for (i = 0; i < MIN((unsigned)run->emulation_failure.insn_size, 15u); i++)
		used += snprintf(why + used, room - (size_t)used, " %02x",
				 run->emulation_failure.insn_bytes[i]);
	return used;
}

enum arch_exit arch_vcpu_exit(struct vcpu *vcpu, struct bus *bus, char why[ARCH_WHY_MAX])
{
	struct kvm_run *run = vcpu->run;
	char what[120];

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(run, bus);
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_MMIO:
		arch_handle_mmio(run, bus);
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_INTR:
	case KVM_EXIT_HLT: /* in-kernel APIC: KVM waits itself */
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return ARCH_EXIT_HANDLED;
	case KVM_EXIT_SHUTDOWN:
		return arch_died(vcpu, "triple fault", why);
	case KVM_EXIT_INTERNAL_ERROR:
		describe_internal_error(run, what, sizeof(what));
		return arch_died(vcpu, what, why);
	default:
		return arch_died_otherwise(vcpu, why);
	}
}
