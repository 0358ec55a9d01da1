/* The probe: opens KVM, asks for its capabilities, has it measured and judged. On the caller's
 * thread. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "trial.h"

enum cap_kind { PLAIN, REQUIRED, COUNT };

struct cap {
	int number;
	const char *name;
	const char *what;
	enum cap_kind kind;
};

static const struct cap caps[] = {
	{KVM_CAP_USER_MEMORY, "user_memory", "user memory slots", REQUIRED},
	{KVM_CAP_IRQCHIP, "irqchip", "an interrupt controller in the kernel", REQUIRED},
	{KVM_CAP_IRQFD, "irqfd", "irqfd", REQUIRED},
	{KVM_CAP_IOEVENTFD, "ioeventfd", "ioeventfd", REQUIRED},
	{KVM_CAP_IMMEDIATE_EXIT, "immediate_exit", "immediate_exit", REQUIRED},
	{KVM_CAP_NR_VCPUS, "recommended_vcpus", "recommended number of vCPUs", COUNT},
	{KVM_CAP_MAX_VCPUS, "max_vcpus", "largest number of vCPUs", COUNT},
	{KVM_CAP_NR_MEMSLOTS, "max_memslots", "largest number of memory slots", COUNT},
	{KVM_CAP_READONLY_MEM, "readonly_mem", "read-only memory slots", PLAIN},
	{KVM_CAP_IRQ_ROUTING, "irq_routing", "interrupt routes", COUNT},
	{KVM_CAP_SIGNAL_MSI, "signal_msi", "MSI by ioctl", PLAIN},
	{KVM_CAP_SET_GUEST_DEBUG, "guest_debug", "guest debugging", PLAIN},
	{KVM_CAP_DIRTY_LOG_RING, "dirty_ring", "dirty page ring", PLAIN},
	{KVM_CAP_ONE_REG, "one_reg", "registers one by one", PLAIN},
	/* The rest means something on x86 only; elsewhere KVM answers 0. */
	{KVM_CAP_TSC_DEADLINE_TIMER, "tsc_deadline", "TSC-deadline timer", PLAIN},
	{KVM_CAP_ADJUST_CLOCK, "kvmclock", "kvmclock", PLAIN},
	{KVM_CAP_TSC_CONTROL, "tsc_control", "TSC scaling", PLAIN},
	{KVM_CAP_SPLIT_IRQCHIP, "split_irqchip", "split interrupt controller", PLAIN},
	{KVM_CAP_X2APIC_API, "x2apic_api", "x2APIC ids of 32 bits", PLAIN},
	{KVM_CAP_NESTED_STATE, "nested_state", "state of nested guests", PLAIN},
};
static_assert(ARRAY_SIZE(caps) <= PROBE_CAPS_MAX, "the report has no room");

static void ask_caps(const struct kvm_vm *vm, struct kvm_probe_report *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		out->caps[i] = (struct probe_cap){
			.name = caps[i].name,
			.what = caps[i].what,
			.value = kvm_vm_cap(vm, caps[i].number),
			.required = caps[i].kind == REQUIRED,
			.is_count = caps[i].kind == COUNT,
		};
	out->cap_count = ARRAY_SIZE(caps);
}

/* For people to read only: nothing is decided by the module's name. */
static void name_backend(struct kvm_probe_report *out)
{
	static const char *const modules[] = {"kvm_intel", "kvm_amd", "kvm_pvm"};

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		if (access(path, F_OK) == 0) {
			snprintf(out->backend, sizeof(out->backend), "%s", modules[i]);
			return;
		}
	}
}

static enum probe_presence presence_of(int ret)
{
	switch (ret) {
	case -ENOENT:
		return PROBE_KVM_MISSING;
	case -EACCES:
	case -EPERM:
		return PROBE_KVM_DENIED;
	default:
		return PROBE_KVM_UNUSABLE;
	}
}

int kvm_probe(struct kvm_probe_report *out, struct err *e)
{
	struct kvm_vm *vm;
	struct err problem = {0};
	struct trial trial;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = kvm_vm_new(&vm, 0, &problem);
	if (ret < 0) {
		out->presence = presence_of(ret);
		snprintf(out->problem, sizeof(out->problem), "%s", problem.text);
		kvm_probe_judge(out);
		return 0;
	}
	out->presence = PROBE_KVM_PRESENT;
	out->api_version = KVM_API_VERSION; /* kvm_vm_new takes no other */
	ask_caps(vm, out);
	name_backend(out);
	ret = trial_open(&trial, vm, e);
	if (!ret)
		ret = trial_measure(&trial, out, e);
	trial_close(&trial);
	kvm_vm_free(vm);
	if (!ret)
		kvm_probe_judge(out);
	return ret;
}
