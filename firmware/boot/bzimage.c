/*
 * The Linux/x86 64-bit boot protocol: Documentation/arch/x86/boot.rst, protocol 2.12 and later, and
 * zero-page.rst for struct boot_params.
 *
 * A bzImage is a real-mode setup part, which sarang skips but for its header, and the
 * protected-mode kernel, which is read to its preferred address and entered 0x200 bytes in, in
 * 64-bit mode. A relocatable kernel may lie elsewhere, but decompresses itself to its preferred
 * address or above in any case, so that a lower place would not make it fit into less memory.
 * Offsets are those of the file and of struct boot_params, in which the header has the same place.
 *
 * An ELF vmlinux of Linux can be entered by the same protocol, at its ELF entry: it has no header,
 * so the zero page gets one made here.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot/e820.h"
#include "boot/load.h"
#include "boot/x86_layout.h"

enum {
	/* struct setup_header */
	HDR_SETUP_SECTS = 0x1f1,
	HDR_SYSSIZE = 0x1f4,
	HDR_VID_MODE = 0x1fa,
	HDR_BOOT_FLAG = 0x1fe,
	HDR_JUMP_LENGTH = 0x201, /* of the header, from 0x202 on */
	HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206,
	HDR_TYPE_OF_LOADER = 0x210,
	HDR_LOADFLAGS = 0x211,
	HDR_CODE32_START = 0x214,
	HDR_RAMDISK_IMAGE = 0x218,
	HDR_RAMDISK_SIZE = 0x21c,
	HDR_CMD_LINE_PTR = 0x228,
	HDR_INITRD_ADDR_MAX = 0x22c,
	HDR_XLOADFLAGS = 0x236,
	HDR_CMDLINE_SIZE = 0x238,
	HDR_HARDWARE_SUBARCH = 0x23c,
	HDR_SETUP_DATA = 0x250,
	HDR_PREF_ADDRESS = 0x258,
	HDR_INIT_SIZE = 0x260,
	HDR_END_2_12 = 0x268, /* of the fields of protocol 2.12 */

	/* struct boot_params around it */
	BP_ACPI_RSDP_ADDR = 0x070,
	BP_EXT_RAMDISK_IMAGE = 0x0c0,
	BP_EXT_RAMDISK_SIZE = 0x0c4,
	BP_EXT_CMD_LINE_PTR = 0x0c8,
	BP_E820_ENTRIES = 0x1e8,
	BP_E820_TABLE = 0x2d0,
	BP_BYTES = 0x1000,
};

#define E820_BP_BYTES       20         /* an entry in boot_params: address, size, type, packed */
#define SETUP_MAGIC         0x53726448 /* "HdrS" */
#define BOOT_FLAG           0xaa55
#define VERSION_MIN         0x020c
#define LOADED_HIGH         (1u << 0)
#define XLF_KERNEL_64       (1u << 0)
#define LOADER_UNDEFINED    0xff
#define VID_MODE_NORMAL     0xffff
#define SECTOR_BYTES        512
#define SETUP_SECTS_DEFAULT 4     /* what 0 stands for */
#define ENTRY64_OFFSET      0x200 /* of startup_64 */

_Static_assert(BP_E820_TABLE + E820_MAX * E820_BP_BYTES <= BP_BYTES, "the memory map fits");

bool bzimage_sniff(const struct kernel_head *head)
{
	return head->len >= HDR_VERSION && get_le16(head->bytes + HDR_BOOT_FLAG) == BOOT_FLAG &&
	       get_le32(head->bytes + HDR_MAGIC) == SETUP_MAGIC;
}

/* Whether this is a kernel, and of a kind, that the 64-bit protocol can start. */
static int check_protocol(const struct kernel_image *image, const struct kernel_head *head,
			  struct err *e)
{
	const uint8_t *h = head->bytes;
	unsigned version = get_le16(h + HDR_VERSION);

	if (head->len < HDR_END_2_12)
		return kernel_truncated(image, HDR_END_2_12, e);
	if (version < VERSION_MIN)
		return err_set(e, EINVAL,
			       "the kernel %s speaks boot protocol %u.%02u; sarang needs 2.12 or "
			       "later (Linux 3.8)",
			       image->path, version >> 8, version & 0xff);
	if (!(h[HDR_LOADFLAGS] & LOADED_HIGH))
		return err_set(e, EINVAL, "the kernel %s is a zImage; sarang needs a bzImage",
			       image->path);
	if (!(get_le16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return err_set(e, EINVAL,
			       "the kernel %s is for 32-bit x86 (i386): it has no 64-bit entry "
			       "point, this machine is x86_64",
			       image->path);
	if (HDR_MAGIC + h[HDR_JUMP_LENGTH] < HDR_INIT_SIZE + 4)
		return err_set(e, EINVAL, "the kernel %s is damaged: its setup header ends at 0x%x",
			       image->path, HDR_MAGIC + h[HDR_JUMP_LENGTH]);
	return 0;
}

/* Where in the file the protected-mode kernel is. */
static int find_payload(struct kernel_image *image, const uint8_t *h, struct err *e)
{
	struct bzimage_info *info = &image->bzimage;
	uint64_t sects = h[HDR_SETUP_SECTS] ? h[HDR_SETUP_SECTS] : SETUP_SECTS_DEFAULT;
	uint64_t promised = (uint64_t)get_le32(h + HDR_SYSSIZE) * 16, there;

	info->payload_offset = (sects + 1) * SECTOR_BYTES;
	if (image->size_bytes <= info->payload_offset + ENTRY64_OFFSET)
		return kernel_truncated(image, info->payload_offset + promised, e);
	there = image->size_bytes - info->payload_offset;
	/* syssize counts paragraphs: the file may end within the last one. */
	if (align_up(there, 16) < promised)
		return kernel_truncated(image, info->payload_offset + promised, e);
	/* What follows the kernel (a signature, padding) is not loaded. */
	info->payload_bytes = promised ? MIN(promised, there) : there;
	if (info->payload_bytes <= ENTRY64_OFFSET)
		return err_set(e, EINVAL,
			       "the kernel %s is damaged: it has only %llu bytes of code",
			       image->path, (unsigned long long)info->payload_bytes);
	return 0;
}

int bzimage_parse(struct kernel_image *image, const struct kernel_head *head, struct err *e)
{
	struct bzimage_info *info = &image->bzimage;
	const uint8_t *h = head->bytes;
	size_t header_end;
	int ret;

	image->format = KERNEL_BZIMAGE;
	image->arch = KERNEL_X86_64;
	ret = check_protocol(image, head, e);
	if (ret < 0)
		return ret;
	ret = find_payload(image, h, e);
	if (ret < 0)
		return ret;
	header_end = MIN((size_t)HDR_MAGIC + h[HDR_JUMP_LENGTH], (size_t)BZIMAGE_HEADER_END);
	memcpy(info->header, h + BZIMAGE_HEADER_OFFSET, header_end - BZIMAGE_HEADER_OFFSET);
	info->load_gpa = get_le64(h + HDR_PREF_ADDRESS);
	if (!info->load_gpa) /* no preference */
		info->load_gpa = X86_HIGH_RAM_GPA;
	info->init_bytes = MAX((uint64_t)get_le32(h + HDR_INIT_SIZE), info->payload_bytes);
	info->initrd_max_gpa = get_le32(h + HDR_INITRD_ADDR_MAX);
	/* What a kernel claims to take, and the room there is. */
	image->cmdline_max = MIN((uint64_t)get_le32(h + HDR_CMDLINE_SIZE), X86_CMDLINE_BYTES - 1);
	if (info->load_gpa < X86_HIGH_RAM_GPA || info->load_gpa >= X86_PCI_HOLE_GPA)
		return err_set(e, EINVAL,
			       "the kernel %s wants to be at 0x%llx, where no RAM can be",
			       image->path, (unsigned long long)info->load_gpa);
	image->min_bytes = info->load_gpa + info->init_bytes;
	return 0;
}

int bzimage_load(const struct gmem *mem, const struct kernel_image *image, struct boot_entry *entry,
		 struct err *e)
{
	const struct bzimage_info *info = &image->bzimage;

	entry->entry_gpa = info->load_gpa + ENTRY64_OFFSET;
	entry->info_gpa = X86_ZERO_PAGE_GPA;
	entry->kernel_gpa = info->load_gpa;
	entry->kernel_end = info->load_gpa + info->init_bytes;
	return kernel_load_piece(mem, image, info->load_gpa, info->payload_offset,
				 info->payload_bytes, e);
}

static void put_e820(const struct gmem *mem, bool acpi, uint8_t *page)
{
	struct e820_entry map[E820_MAX];
	unsigned count = e820_build(mem, acpi, map), i;

	page[BP_E820_ENTRIES] = (uint8_t)count;
	for (i = 0; i < count; i++) {
		uint8_t *at = page + BP_E820_TABLE + i * E820_BP_BYTES;

		put_le64(at, map[i].gpa);
		put_le64(at + 8, map[i].size_bytes);
		put_le32(at + 16, map[i].type);
	}
}

/* The setup header: the bzImage's own, or for a vmlinux as much of one as Linux looks at. */
static void put_header(const struct kernel_image *image, uint8_t *page)
{
	if (image->format == KERNEL_BZIMAGE) {
		memcpy(page + BZIMAGE_HEADER_OFFSET, image->bzimage.header,
		       sizeof(image->bzimage.header));
		return;
	}
	put_le16(page + HDR_BOOT_FLAG, BOOT_FLAG);
	put_le32(page + HDR_MAGIC, SETUP_MAGIC);
	put_le16(page + HDR_VERSION, VERSION_MIN);
	put_le32(page + HDR_CMDLINE_SIZE, (uint32_t)image->cmdline_max);
}

int linux64_write_info(const struct gmem *mem, const struct kernel_image *image,
		       const struct boot_request *request, const struct boot_entry *entry,
		       struct err *e)
{
	uint8_t page[BP_BYTES] = {0};

	put_header(image, page);
	put_le16(page + HDR_VID_MODE, VID_MODE_NORMAL);
	page[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	page[HDR_LOADFLAGS] = LOADED_HIGH;
	put_le32(page + HDR_CODE32_START, (uint32_t)entry->kernel_gpa);
	put_le32(page + HDR_RAMDISK_IMAGE, (uint32_t)entry->initrd_gpa);
	put_le32(page + BP_EXT_RAMDISK_IMAGE, (uint32_t)(entry->initrd_gpa >> 32));
	put_le32(page + HDR_RAMDISK_SIZE, (uint32_t)entry->initrd_bytes);
	put_le32(page + BP_EXT_RAMDISK_SIZE, (uint32_t)(entry->initrd_bytes >> 32));
	put_le32(page + HDR_CMD_LINE_PTR, (uint32_t)X86_CMDLINE_GPA);
	put_le32(page + BP_EXT_CMD_LINE_PTR, 0);
	put_le32(page + HDR_HARDWARE_SUBARCH, 0); /* a PC */
	put_le64(page + HDR_SETUP_DATA, request->dtb_gpa);
	put_le64(page + BP_ACPI_RSDP_ADDR, request->rsdp_gpa);
	put_e820(mem, request->rsdp_gpa != 0, page);
	if (gmem_write(mem, entry->info_gpa, page, sizeof(page)) < 0)
		return err_set(e, EFAULT,
			       "the guest has no memory at 0x%llx for its boot parameters",
			       (unsigned long long)entry->info_gpa);
	return 0;
}
