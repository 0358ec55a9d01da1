/* The virtual machine and its memory slots: see kvm.h. Called by the thread that builds the
 * machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "kvm/kvm.h"

#define KVM_PATH "/dev/kvm"

static int open_device(struct kvm_vm *vm, struct err *e)
{
	int version;

	vm->sys_fd = open(KVM_PATH, O_RDWR | O_CLOEXEC);
	if (vm->sys_fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT,
			       "this host has no " KVM_PATH
			       ": load the module kvm_intel or kvm_amd, or enable virtualisation "
			       "in the firmware (`sarang doctor` tells more)");
	if (vm->sys_fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(e, errno,
			       "no permission to open " KVM_PATH
			       ": add yourself to the group kvm (usermod -aG kvm USER) and log in "
			       "again");
	if (vm->sys_fd < 0)
		return err_errno(e, errno, "cannot open " KVM_PATH);
	version = ioctl(vm->sys_fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return err_set(e, ENODEV,
			       KVM_PATH " is not KVM: it does not answer "
					"KVM_GET_API_VERSION");
	if (version != KVM_API_VERSION)
		return err_set(e, ENODEV, KVM_PATH " speaks version %d of the KVM API, not %d",
			       version, KVM_API_VERSION);
	return 0;
}

static int check_required(const struct kvm_vm *vm, struct err *e)
{
	static const struct {
		int cap;
		const char *name;
	} required[] = {
		{KVM_CAP_USER_MEMORY, "user memory slots"},
		{KVM_CAP_IRQCHIP, "an in-kernel interrupt controller"},
		{KVM_CAP_IRQFD, "irqfd"},
		{KVM_CAP_IOEVENTFD, "ioeventfd"},
		{KVM_CAP_IMMEDIATE_EXIT, "immediate_exit"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(required); i++)
		if (kvm_vm_cap(vm, required[i].cap) <= 0)
			return err_set(e, ENOTSUP, "this host's KVM has no support for %s",
				       required[i].name);
	return 0;
}

int kvm_vm_new(struct kvm_vm **out, unsigned long type, struct err *e)
{
	struct kvm_vm *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return err_set(e, ENOMEM, "out of memory");
	vm->sys_fd = vm->fd = -1;
	ret = open_device(vm, e);
	if (ret < 0)
		goto fail;
	do {
		vm->fd = ioctl(vm->sys_fd, KVM_CREATE_VM, type);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0) {
		ret = err_errno(e, errno, "KVM cannot make a virtual machine");
		goto fail;
	}
	ret = ioctl(vm->sys_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < (int)sizeof(struct kvm_run)) {
		ret = err_set(e, ENODEV, "KVM gives no usable size for its vCPU area");
		goto fail;
	}
	vm->run_size_bytes = (size_t)ret;
	ret = check_required(vm, e);
	if (ret < 0)
		goto fail;
	*out = vm;
	return 0;
fail:
	kvm_vm_free(vm);
	return ret;
}

void kvm_vm_free(struct kvm_vm *vm)
{
	if (!vm)
		return;
	fd_close(&vm->fd);
	fd_close(&vm->sys_fd);
	free(vm);
}

int kvm_vm_cap(const struct kvm_vm *vm, int cap)
{
	/* Asked of the VM where it answers: some values depend on the kind of VM. */
	int ret = ioctl(vm->fd, KVM_CHECK_EXTENSION, cap);

	if (ret < 0)
		ret = ioctl(vm->sys_fd, KVM_CHECK_EXTENSION, cap);
	return ret < 0 ? 0 : ret;
}

int kvm_vm_ioctl(const struct kvm_vm *vm, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(vm->fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

uint64_t kvm_slot_bytes_max(void)
{
	/* virt/kvm/kvm_main.c, KVM_MEM_MAX_NR_PAGES: it is not told. */
	return (uint64_t)INT32_MAX * (uint64_t)sysconf(_SC_PAGESIZE);
}

int kvm_vm_add_memory(struct kvm_vm *vm, const struct gmem *mem, struct err *e)
{
	char size[SIZE_TEXT_MAX];
	size_t i;
	int ret;

	for (i = 0; i < gmem_range_count(mem); i++) {
		const struct gmem_range *range = gmem_range_at(mem, i);
		struct kvm_userspace_memory_region slot = {
			.slot = (uint32_t)i,
			.guest_phys_addr = range->gpa,
			.memory_size = range->size_bytes,
			.userspace_addr = (uintptr_t)range->host,
		};

		ret = kvm_vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot);
		if (ret < 0)
			return err_errno(e, -ret,
					 "this host's KVM refuses %s of guest RAM at 0x%llx (give "
					 "the guest less with --memory)",
					 size_format(range->size_bytes, size),
					 (unsigned long long)range->gpa);
	}
	return 0;
}
