/*
 * What an aarch64 guest finds in its memory when it starts: the kernel, its initrd, and the device
 * tree that says where they are.
 */
#include <errno.h>
#include <sys/random.h>

#include "arm64.h"
#include "base/size.h"
#include "layout.h"

/*
 * RAM and the redistributors that KVM has at the end of the address space must not meet. (What goes
 * beyond that has been refused already.)
 */
static int check_memory(const struct arch_vm *vm, const struct gmem *mem, struct err *e)
{
	uint64_t limit = vm->ipa_bits < 64 ? 1ull << vm->ipa_bits : UINT64_MAX;
	size_t last = gmem_range_count(mem) - 1;
	const struct gmem_range *range = gmem_range_at(mem, last);
	char most[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];

	if (vm->gic.redist_count > 1)
		limit = vm->gic.redists[1].base;
	if (range->gpa < limit && range->size_bytes <= limit - range->gpa)
		return 0;
	return err_set(
		e, EINVAL,
		"--memory %s with --cpus %u: on this host, whose processor gives guests %u-bit "
		"addresses, that leaves at most %s",
		size_format(gmem_total_bytes(mem), size), vm->cpus, vm->ipa_bits,
		size_format(align_down(limit - ARM64_RAM_BASE, MIB(1)), most));
}

/* ID_AA64MMFR0_EL1 (Arm DDI 0487, D19.2): which translation granules a processor has. */
static bool has_page_size(uint64_t mmfr0, enum arm64_page_size size)
{
	unsigned granule4 = mmfr0 >> 28 & 0xf, granule64 = mmfr0 >> 24 & 0xf,
		 granule16 = mmfr0 >> 20 & 0xf;

	switch (size) {
	case ARM64_PAGES_4K:
		return granule4 < 8; /* signed: 0xf means none */
	case ARM64_PAGES_16K:
		return granule16 != 0;
	case ARM64_PAGES_64K:
		return granule64 < 8;
	case ARM64_PAGES_ANY:
		break;
	}
	return true;
}

/* Such a kernel would stop before it can say why. */
static int check_page_size(const struct arch_vm *vm, const struct kernel_image *kernel,
			   struct err *e)
{
	static const unsigned kib[] = {
		[ARM64_PAGES_4K] = 4,
		[ARM64_PAGES_16K] = 16,
		[ARM64_PAGES_64K] = 64,
	};
	enum arm64_page_size size = kernel->arm64.page_size;

	if (has_page_size(vm->mmfr0, size))
		return 0;
	return err_set(
		e, EINVAL,
		"the kernel %s is built for pages of %u KiB, which this host's processor does "
		"not have",
		kernel->path, kib[size]);
}

static int random_bytes(void *bytes, size_t len, struct err *e)
{
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		return err_errno(e, errno ? errno : EIO, "the host gives no random numbers");
	return 0;
}

static int write_tree(const struct arch_vm *vm, const struct arch_load *load, struct err *e)
{
	struct arm64_board board = {
		.cpus = vm->cpus,
		.mpidrs = vm->mpidrs,
		.gic_version = vm->gic.version,
		.has_its = vm->gic.its_fd >= 0,
		.redist_count = vm->gic.redist_count,
		.machine =
			{
				.mem = load->mem,
				.cmdline = load->cmdline,
				.initrd_gpa = vm->entry.initrd_gpa,
				.initrd_bytes = vm->entry.initrd_bytes,
				.devices = load->devices,
				.device_count = load->device_count,
			},
	};
	struct fdt_builder *fdt = NULL;
	const void *blob = NULL;
	size_t len = 0;
	unsigned i;
	int ret;

	for (i = 0; i < vm->gic.redist_count; i++)
		board.redists[i] = vm->gic.redists[i];
	ret = random_bytes(&board.kaslr_seed, sizeof(board.kaslr_seed), e);
	if (!ret)
		ret = random_bytes(board.rng_seed, sizeof(board.rng_seed), e);
	if (!ret)
		ret = arm64_tree_build(&board, &fdt, &blob, &len, e);
	if (ret < 0)
		return ret;
	if (len > ARM64_DTB_MAX_BYTES)
		ret = err_set(e, EFBIG, "the device tree has %zu bytes, a kernel takes at most %u",
			      len, ARM64_DTB_MAX_BYTES);
	if (!ret && load->dump_dtb)
		ret = fdt_dump(blob, len, load->dump_dtb, e);
	if (!ret && gmem_write(load->mem, vm->entry.info_gpa, blob, len) < 0)
		ret = err_set(e, EFAULT, "the guest has no memory for its device tree");
	fdtb_free(fdt);
	return ret;
}

int arch_load_kernel(const struct arch_load *load, struct boot_entry *entry, struct err *e)
{
	struct boot_request request = {.cmdline = load->cmdline, .initrd = load->initrd};

	return boot_load_arm64(load->mem, load->kernel, &request, entry, e);
}

int arch_vm_load(struct arch_vm *vm, const struct arch_load *load, const struct boot_entry *entry,
		 struct err *e)
{
	int ret;

	vm->entry = *entry;
	ret = check_memory(vm, load->mem, e);
	if (!ret)
		ret = check_page_size(vm, load->kernel, e);
	if (!ret)
		ret = write_tree(vm, load, e);
	return ret;
}
