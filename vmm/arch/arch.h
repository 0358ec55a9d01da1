/*
 * What an architecture is to the rest of vmm/: the same symbols in arch/x86_64 and arch/aarch64,
 * one of which is linked in. No #ifdef for an architecture anywhere else.
 */
#ifndef SARANG_ARCH_ARCH_H
#define SARANG_ARCH_ARCH_H

#include <stdint.h>

#include "arch/plan.h"
#include "base/err.h"
#include "boot/boot.h"
#include "kvm/kvm.h"
#include "mem/gmem.h"

/* "x86_64", "aarch64": for messages and inspect. */
extern const char *const arch_name;
extern const enum kernel_arch arch_kernel_arch;

/* --- pure: what a machine looks like ------------------------------------------------------- */

#define ARCH_RAM_RANGES_MAX 2

struct arch_ram_range {
	uint64_t gpa;
	uint64_t size_bytes;
};

/* Splits @bytes of RAM around the holes of the memory map; returns how many ranges there are. */
unsigned arch_ram_layout(uint64_t bytes, struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX]);

/* A part of the memory map that is neither RAM nor a planned device: for inspect. */
struct arch_map_entry {
	uint64_t base;
	uint64_t len;
	const char *what;
};

/* The fixed parts of the memory map (interrupt controller ...); a NULL name ends the list. */
const struct arch_map_entry *arch_fixed_map(void);

/* Adds the board's own chips (serial port, clock, power ...) to the plan. */
int arch_plan_chips(struct plan *plan, struct err *e);

/* Gives @planned the next free virtio-mmio window and interrupt. */
int arch_plan_virtio(struct plan *plan, struct plan_device *planned, struct err *e);

/* The command line a guest gets before the user's own text: console, what to do on a panic. */
const char *arch_default_cmdline(enum hardware hardware);

/*
 * Decides how @kernel is told of its machine: HARDWARE_ACPI or HARDWARE_FDT into *@hardware, as
 * @wanted, or for HARDWARE_AUTO what the architecture and the kernel say. 0, or -ENOTSUP with a
 * sentence where what is wanted cannot be had.
 */
int arch_choose_hardware(enum hardware wanted, const struct kernel_image *kernel,
			 enum hardware *hardware, struct err *e);

/* --- on KVM -------------------------------------------------------------------------------- */

/* The architecture's part of a virtual machine: interrupt controller, timers, the boot entry. */
struct arch_vm;

/* KVM_CREATE_VM's type argument. */
unsigned long arch_vm_type(void);

/* Finds out what the host can give; before anything is made. Freed with arch_vm_free. */
int arch_vm_new(struct kvm_vm *kvm, unsigned cpus, struct arch_vm **out, struct err *e);
void arch_vm_free(struct arch_vm *vm);

/* The bits that the guest's physical addresses have: all of its RAM is below 1 << that. */
unsigned arch_vm_address_bits(const struct arch_vm *vm);

/* Makes the interrupt controllers: before any vCPU. */
int arch_vm_make_chips(struct arch_vm *vm, struct err *e);

/* The KVM id that vCPU @index is made with. */
unsigned long arch_vcpu_id(unsigned index);

/* What KVM is told about the line @gsi. */
struct kvm_irq_number arch_irq_number(unsigned gsi);

/* After all vCPUs have been made, before anything is loaded (aarch64: the GIC is finished here). */
int arch_vm_finish(struct arch_vm *vm, struct vcpu *const *vcpus, struct err *e);

/* What is loaded into a guest. */
struct arch_load {
	const struct gmem *mem;
	enum hardware hardware; /* as arch_choose_hardware decided */
	struct kernel_image *kernel;
	const char *initrd; /* path or NULL */
	const char *cmdline;
	struct device *const *devices; /* they describe themselves in the tables */
	unsigned device_count;
	const char *dump_acpi; /* directory or NULL; with HARDWARE_ACPI only */
	const char *dump_dtb;  /* file or NULL; with HARDWARE_FDT only */
};

/*
 * Kernel and initrd into guest memory: only memory and files, no KVM and no devices, so that it can
 * run on a thread of its own while those are made. *@entry says where the boot vCPU starts.
 */
int arch_load_kernel(const struct arch_load *load, struct boot_entry *entry, struct err *e);

/* After that, and when all devices are there: the tables. Remembers @entry for arch_vcpu_init. */
int arch_vm_load(struct arch_vm *vm, const struct arch_load *load, const struct boot_entry *entry,
		 struct err *e);

/* Brings a vCPU to its power-on state: vCPU 0 at the kernel's entry, the others waiting. */
int arch_vcpu_init(struct arch_vm *vm, struct vcpu *vcpu, struct err *e);

/* What an exit meant. */
enum arch_exit {
	ARCH_EXIT_HANDLED,   /* back into the guest */
	ARCH_EXIT_POWER_OFF, /* the guest asked for it without a device (PSCI) */
	ARCH_EXIT_RESET,
	ARCH_EXIT_PANICKED, /* it reset itself in the way it does after a panic */
	ARCH_EXIT_DIED,     /* triple fault, KVM internal error: @why says what is known */
};

#define ARCH_WHY_MAX 400

/* Handles the exit in @vcpu->run, on its thread. @why is filled for all but HANDLED. */
enum arch_exit arch_vcpu_exit(struct vcpu *vcpu, struct bus *bus, char why[ARCH_WHY_MAX]);

/* The vCPU, which is parked, goes on after a pause that its guest should not take for a hang. */
void arch_vcpu_was_paused(const struct vcpu *vcpu);

/* A few words on where a vCPU stands, for messages about a guest that died. */
void arch_vcpu_where(const struct vcpu *vcpu, char why[ARCH_WHY_MAX]);

/* Presses the power button of the machine: @button is the device planned with PLAN_POWER_BUTTON. */
void arch_press_power_button(struct device *button);

#endif
