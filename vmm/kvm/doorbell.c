/* Doorbells as ioeventfds: see bus/bus.h and KVM_IOEVENTFD. Any thread. */
#include <errno.h>

#include "kvm/kvm.h"

static int doorbell_request(struct kvm_vm *vm, const struct doorbell *bell, uint32_t flags)
{
	struct kvm_ioeventfd request = {
		.datamatch = bell->match,
		.addr = bell->addr,
		.len = bell->size,
		.fd = bell->fd,
		.flags = flags | KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (bell->space == BUS_PIO)
		request.flags |= KVM_IOEVENTFD_FLAG_PIO;
	return kvm_vm_ioctl(vm, KVM_IOEVENTFD, &request);
}

static int doorbell_add(void *opaque, const struct doorbell *bell)
{
	return doorbell_request(opaque, bell, 0);
}

static void doorbell_remove(void *opaque, const struct doorbell *bell)
{
	doorbell_request(opaque, bell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct doorbell_ops kvm_doorbell_ops = {
	.add = doorbell_add,
	.remove = doorbell_remove,
};
