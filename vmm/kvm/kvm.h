/*
 * KVM, as the rest of vmm/ sees it: a virtual machine, its memory slots, interrupt lines and
 * doorbells, and its vCPUs. Linux: Documentation/virt/kvm/api.rst.
 *
 * What a host can do is asked of /dev/kvm, never read from cpuinfo.
 */
#ifndef SARANG_KVM_KVM_H
#define SARANG_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "mem/gmem.h"

struct kvm_vm {
	int sys_fd;            /* /dev/kvm */
	int fd;                /* the VM */
	size_t run_size_bytes; /* of each vCPU's shared struct kvm_run */
};

/*
 * Opens /dev/kvm, checks its version and that it has what sarang cannot do without, and makes a VM
 * of
 * @type (KVM_CREATE_VM's argument; 0 for the default). A host without KVM, or a user without
 * permission, gets a sentence that says what to do. Freed with kvm_vm_free.
 */
int kvm_vm_new(struct kvm_vm **out, unsigned long type, struct err *e);

/* Closes everything; vCPUs have been freed. NULL is fine. */
void kvm_vm_free(struct kvm_vm *vm);

/* KVM_CHECK_EXTENSION on the VM: 0 when the host lacks @cap, else its value. */
int kvm_vm_cap(const struct kvm_vm *vm, int cap);

/* As ioctl(2) on the VM, with -errno for errors. For arch code; retried on EINTR. */
int kvm_vm_ioctl(const struct kvm_vm *vm, unsigned long request, void *arg);

/* The most bytes of a range that kvm_vm_add_memory can add. */
uint64_t kvm_slot_bytes_max(void);

/* Gives the guest every range of @mem. The memory outlives the VM. */
int kvm_vm_add_memory(struct kvm_vm *vm, const struct gmem *mem, struct err *e);

/* How KVM takes a pulse of a line soonest: by the line's irqfd, or as two levels. */
enum kvm_irq_pulse {
	KVM_PULSE_BY_FD,
	KVM_PULSE_BY_LEVELS,
};

/* What KVM is told about a line of the interrupt controller. */
struct kvm_irq_number {
	unsigned gsi;
	uint32_t
		ioctl_irq; /* the number KVM_IRQ_LINE takes; on aarch64 it encodes the controller */
	enum kvm_irq_pulse pulse;
};

/*
 * A line of the in-kernel interrupt controller. Level changes are a KVM_IRQ_LINE ioctl. Where
 * @pulsed is asked for there is an irqfd as well; pulses are sent as @number says. Freed with
 * kvm_irq_free.
 */
struct kvm_irq {
	struct irq_line line;
	struct kvm_vm *vm;
	struct kvm_irq_number number;
	pthread_mutex_t lock; /* the two levels of a pulse belong together */
	int event_fd;         /* -1: no irqfd */
};

int kvm_irq_new(struct kvm_vm *vm, const struct kvm_irq_number *number, bool pulsed,
		struct irq_line **out, struct err *e);
void kvm_irq_free(struct irq_line *line);

/* Catches doorbells with ioeventfds: bus_set_doorbells(bus, &kvm_doorbell_ops, vm). */
extern const struct doorbell_ops kvm_doorbell_ops;

/* What the handler of an exit says should happen. */
enum vcpu_next {
	VCPU_CONTINUE, /* back into the guest */
	VCPU_STOP,     /* this vCPU has no more to do; its thread ends */
};

/*
 * A vCPU and its thread. The thread enters the guest, hands each exit to @handle_exit, and ends
 * when that says so or after vcpu_stop.
 */
struct vcpu {
	struct kvm_vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;                                            /* shared with the kernel */
	enum vcpu_next (*handle_exit)(struct vcpu *vcpu, void *opaque); /* on the vCPU's thread */
	/* KVM_RUN itself failed, with @errnum: the vCPU is lost and its thread ends. */
	void (*failed)(struct vcpu *vcpu, int errnum, void *opaque);
	/* The vCPU is parked now, or its thread ends; on its thread. May be NULL. */
	void (*parked_cb)(struct vcpu *vcpu, void *opaque);
	void *opaque;
	atomic_bool stopping, pausing;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t moved;
	bool parked; /* not in the guest, and not going there */
};

/* Makes vCPU @index with the KVM id @id; the caller sets handle_exit, failed and opaque. */
int vcpu_new(struct kvm_vm *vm, unsigned index, unsigned long id, struct vcpu **out, struct err *e);

/* Frees a vCPU whose thread has ended. NULL is fine. */
void vcpu_free(struct vcpu *vcpu);

/* Starts its thread. */
int vcpu_start(struct vcpu *vcpu, struct err *e);

/* Asks the thread to end, wherever it is, and waits until it has. Not on a vCPU's own thread. */
void vcpu_stop(struct vcpu *vcpu);

/*
 * Asks the vCPU to leave the guest and stay out, until vcpu_resume. When it is parked, what its
 * last exit began is finished: its state can be read and is whole. Neither waits.
 */
void vcpu_pause(struct vcpu *vcpu);
void vcpu_resume(struct vcpu *vcpu);

/* Whether it is parked; also one that was not started, or has ended. */
bool vcpu_is_parked(struct vcpu *vcpu);

/* As ioctl(2) on the vCPU, with -errno for errors. */
int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, void *arg);

#endif
