/*
 * Model-specific registers at power-on that KVM's own reset leaves otherwise than firmware would.
 * Intel SDM volume 4. Hosts differ in what they take: each is set by itself, and one that is
 * refused is left out with a note for the curious.
 */
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "x86.h"

#define MSR_IA32_MISC_ENABLE    0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_IA32_MTRR_DEF_TYPE  0x2ff
#define MTRR_ENABLE             (1 << 11)
#define MTRR_WRITE_BACK         6

int x86_msrs_init(const struct vcpu *vcpu, struct err *e)
{
	static const struct kvm_msr_entry wanted[] = {
		{.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
		/* No ranges: all memory is write-back, devices are KVM's business. */
		{.index = MSR_IA32_MTRR_DEF_TYPE, .data = MTRR_ENABLE | MTRR_WRITE_BACK},
	};
	/* struct kvm_msrs ends in an array: room for one element of it. */
	_Alignas(struct kvm_msrs) char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *request = (struct kvm_msrs *)(void *)room;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		memset(room, 0, sizeof(room));
		request->nmsrs = 1;
		request->entries[0] = wanted[i];
		ret = vcpu_ioctl(vcpu, KVM_SET_MSRS, request);
		if (ret < 0)
			return err_errno(e, -ret, "KVM refuses registers of vCPU %u", vcpu->index);
		if (ret == 0)
			log_info("this host refuses MSR 0x%x; the guest starts without it",
				 wanted[i].index);
	}
	return 0;
}
