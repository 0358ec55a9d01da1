/*
 * Loading an x86 guest: the command line, the kernel, the initrd, and last the structure that tells
 * the kernel of them, in which the two protocols differ. Used by one thread, before a vCPU runs.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "base/util.h"
#include "boot/load.h"
#include "boot/x86_layout.h"

/* struct setup_data (boot.rst, protocol 2.09): next, type, len, then the data. */
#define SETUP_DATA_BYTES 16
#define SETUP_DTB        2

static int write_cmdline(const struct gmem *mem, const char *cmdline, struct err *e)
{
	if (gmem_write(mem, X86_CMDLINE_GPA, cmdline, strlen(cmdline) + 1) < 0)
		return err_set(e, EFAULT, "the guest has no memory at 0x%llx for its command line",
			       X86_CMDLINE_GPA);
	return 0;
}

/* The end of the RAM that begins at or before 1 MiB; 0 without any there. */
static uint64_t low_ram_end(const struct gmem *mem)
{
	uint64_t end = 0;
	size_t i;

	/* Ranges that adjoin are one piece of RAM. */
	for (i = 0; i < gmem_range_count(mem); i++) {
		const struct gmem_range *r = gmem_range_at(mem, i);

		if (r->gpa <= MAX(end, X86_HIGH_RAM_GPA))
			end = r->gpa + r->size_bytes;
	}
	return MIN(end, X86_ABOVE_4G_GPA);
}

static int load_kernel(const struct gmem *mem, const struct kernel_image *image, uint64_t ram_end,
		       struct boot_entry *entry, struct err *e)
{
	char text[SIZE_TEXT_MAX];

	if (image->min_bytes > X86_PCI_HOLE_GPA)
		return err_set(e, ENOSPC,
			       "the kernel %s needs the first %llu MiB of memory in one piece, of "
			       "which there are never more than %llu",
			       image->path,
			       (unsigned long long)(image->min_bytes + MIB(1) - 1) >> 20,
			       X86_PCI_HOLE_GPA >> 20);
	if (image->min_bytes > ram_end)
		return err_set(
			e, ENOSPC,
			"the kernel %s needs the first %llu MiB of memory, the guest has %s: "
			"give it more with --memory",
			image->path, (unsigned long long)(image->min_bytes + MIB(1) - 1) >> 20,
			size_format(gmem_total_bytes(mem), text));
	if (image->format == KERNEL_BZIMAGE)
		return bzimage_load(mem, image, entry, e);
	return elf_load(mem, image, entry, e);
}

int boot_load_x86(const struct gmem *mem, const struct kernel_image *image,
		  const struct boot_request *request, struct boot_entry *entry, struct err *e)
{
	struct initrd_space space = {.end = low_ram_end(mem), .limit = X86_PCI_HOLE_GPA};
	int ret;

	memset(entry, 0, sizeof(*entry));
	entry->protocol =
		image->format == KERNEL_ELF_PVH && !request->dtb_gpa ? BOOT_PVH32 : BOOT_LINUX64;
	if (image->arch != KERNEL_X86_64)
		return err_set(e, EINVAL, "the kernel %s is for %s, this machine is %s",
			       image->path, kernel_arch_name(image->arch),
			       kernel_arch_name(KERNEL_X86_64));
	ret = boot_check_cmdline(image, request->cmdline, e);
	if (!ret)
		ret = write_cmdline(mem, request->cmdline ? request->cmdline : "", e);
	if (ret < 0)
		return ret;
	ret = load_kernel(mem, image, space.end, entry, e);
	if (ret < 0)
		return ret;
	space.start = entry->kernel_end;
	if (image->format == KERNEL_BZIMAGE) {
		space.limit = MIN(space.limit, image->bzimage.initrd_max_gpa + 1);
		space.end = MIN(space.end, space.limit);
	}
	if (request->initrd) {
		ret = initrd_load(mem, request->initrd, &space, entry, e);
		if (ret < 0)
			return ret;
	}
	if (entry->protocol == BOOT_LINUX64)
		return linux64_write_info(mem, image, request, entry, e);
	return pvh_write_info(mem, request, entry, e);
}

int boot_write_dtb(const struct gmem *mem, const void *blob, size_t len, struct err *e)
{
	size_t room = X86_DTB_END - X86_DTB_GPA - SETUP_DATA_BYTES;
	uint8_t header[SETUP_DATA_BYTES] = {0}; /* the last one: next is 0 */

	if (len > room)
		return err_set(e, E2BIG, "the device tree has %zu bytes, there is room for %zu",
			       len, room);
	put_le32(header + 8, SETUP_DTB);
	put_le32(header + 12, (uint32_t)len);
	if (gmem_write(mem, X86_DTB_GPA, header, sizeof(header)) < 0 ||
	    gmem_write(mem, X86_DTB_GPA + sizeof(header), blob, len) < 0)
		return err_set(e, EFAULT, "the guest has no memory at 0x%llx for its device tree",
			       X86_DTB_GPA);
	return 0;
}
