/*
 * arm64 kernels: the Image format, and where an Image, its initrd and its device tree go.
 * Linux: Documentation/arch/arm64/booting.rst.
 *
 *	RAM base + text_offset   the kernel, as near to the start of RAM as its header allows
 *	next 2 MiB boundary      the device tree, in 2 MiB of its own
 *	end of RAM               the initrd ends here, or where the kernel cannot reach any further
 *
 * An Image that can also be started by EFI firmware is a PE file; its section headers tell how long
 *the file must be, which the Image's own header does not. Used by one thread while a machine is
 *built.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "base/util.h"
#include "boot/load.h"

/* booting.rst, "Call the kernel image": the header, little-endian. */
#define HEADER_BYTES       64
#define TEXT_OFFSET        8
#define IMAGE_SIZE         16
#define FLAGS              24
#define MAGIC_OFFSET       56
#define PE_OFFSET          60
#define MAGIC              0x644d5241 /* "ARM\x64" */
#define FLAGS_PAGE_SIZE(f) ((f) >> 1 & 3)

/* Linux: arch/arm64/include/uapi/asm/setup.h, COMMAND_LINE_SIZE */
#define COMMAND_LINE_BYTES 2048

/* The base that text_offset counts from. */
#define PLACEMENT MIB(2)

/* Kernel and initrd lie in a window of so much memory, which begins at a multiple of 1 GiB. */
#define WINDOW_BYTES GIB(32)

/* Microsoft PE/COFF: offsets from the signature, and in the headers of sections. */
#define MZ_MAGIC              0x5a4d
#define PE_MAGIC              0x00004550
#define PE_SECTION_COUNT      6
#define PE_OPTIONAL_BYTES     20
#define PE_HEADER_BYTES       24
#define PE_SECTION_BYTES      40
#define PE_SECTION_RAW_BYTES  16
#define PE_SECTION_RAW_OFFSET 20

bool arm64_sniff(const struct kernel_head *head)
{
	return head->len >= HEADER_BYTES && get_le32(head->bytes + MAGIC_OFFSET) == MAGIC;
}

/* The length of a PE file by its sections, as far as they can be seen; 0 for what is not PE. */
static uint64_t pe_file_bytes(const struct kernel_head *head)
{
	uint64_t pe = get_le32(head->bytes + PE_OFFSET), at, end = 0;
	unsigned i, count;

	if (get_le16(head->bytes) != MZ_MAGIC || !range_inside(pe, PE_HEADER_BYTES, head->len) ||
	    get_le32(head->bytes + pe) != PE_MAGIC)
		return 0;
	count = get_le16(head->bytes + pe + PE_SECTION_COUNT);
	at = pe + PE_HEADER_BYTES + get_le16(head->bytes + pe + PE_OPTIONAL_BYTES);
	for (i = 0; i < count && range_inside(at, PE_SECTION_BYTES, head->len); i++) {
		uint64_t raw = get_le32(head->bytes + at + PE_SECTION_RAW_OFFSET);

		end = MAX(end, raw + get_le32(head->bytes + at + PE_SECTION_RAW_BYTES));
		at += PE_SECTION_BYTES;
	}
	return end;
}

int arm64_parse(struct kernel_image *image, const struct kernel_head *head, struct err *e)
{
	struct arm64_info *info = &image->arm64;
	uint64_t needed = pe_file_bytes(head);

	image->format = KERNEL_ARM64_IMAGE;
	image->arch = KERNEL_AARCH64;
	image->cmdline_max = COMMAND_LINE_BYTES - 1;
	info->text_offset = get_le64(head->bytes + TEXT_OFFSET);
	info->image_bytes = get_le64(head->bytes + IMAGE_SIZE);
	info->page_size = (enum arm64_page_size)FLAGS_PAGE_SIZE(get_le64(head->bytes + FLAGS));
	if (!info->image_bytes)
		return err_set(e, EINVAL,
			       "the kernel %s is older than Linux 3.17: its header gives no size",
			       image->path);
	if (needed > image->size_bytes)
		return kernel_truncated(image, needed, e);
	if (info->text_offset % 4096 ||
	    !add_u64(info->text_offset, MAX(info->image_bytes, image->size_bytes),
		     &image->min_bytes) ||
	    image->min_bytes > KERNEL_SIZE_MAX * 4)
		return err_set(
			e, EINVAL,
			"the kernel %s gives itself an impossible size or place (%llu bytes at "
			"offset 0x%llx)",
			image->path, (unsigned long long)info->image_bytes,
			(unsigned long long)info->text_offset);
	return 0;
}

/* Where the first piece of RAM is; its start rounded up to what kernels are placed at. */
struct ram {
	uint64_t base;
	uint64_t end;
};

static struct ram first_ram(const struct gmem *mem)
{
	struct ram ram = {0};
	size_t i;

	for (i = 0; i < gmem_range_count(mem); i++) {
		const struct gmem_range *range = gmem_range_at(mem, i);

		if (i && range->gpa != ram.end)
			break;
		if (!i)
			ram.base = align_up(range->gpa, PLACEMENT);
		ram.end = range->gpa + range->size_bytes;
	}
	return ram;
}

static int load_kernel(const struct gmem *mem, const struct kernel_image *image,
		       const struct ram *ram, struct boot_entry *entry, struct err *e)
{
	char text[SIZE_TEXT_MAX];
	uint64_t end = ram->base + image->min_bytes, dtb = align_up(end, PLACEMENT);

	if (ram->end < ram->base || dtb + ARM64_DTB_MAX_BYTES > ram->end)
		return err_set(e, ENOSPC,
			       "the kernel %s needs %llu MiB of memory, the guest has %s: give it "
			       "more with --memory",
			       image->path,
			       (unsigned long long)(dtb + ARM64_DTB_MAX_BYTES - ram->base) >> 20,
			       size_format(gmem_total_bytes(mem), text));
	entry->protocol = BOOT_ARM64;
	entry->kernel_gpa = entry->entry_gpa = ram->base + image->arm64.text_offset;
	entry->kernel_end = end;
	entry->info_gpa = dtb;
	return kernel_load_piece(mem, image, entry->kernel_gpa, 0, image->size_bytes, e);
}

int boot_load_arm64(const struct gmem *mem, const struct kernel_image *image,
		    const struct boot_request *request, struct boot_entry *entry, struct err *e)
{
	struct ram ram = first_ram(mem);
	struct initrd_space space;
	int ret;

	memset(entry, 0, sizeof(*entry));
	if (image->arch != KERNEL_AARCH64)
		return err_set(e, EINVAL, "the kernel %s is for %s, this machine is %s",
			       image->path, kernel_arch_name(image->arch),
			       kernel_arch_name(KERNEL_AARCH64));
	ret = boot_check_cmdline(image, request->cmdline, e);
	if (!ret)
		ret = load_kernel(mem, image, &ram, entry, e);
	if (ret < 0 || !request->initrd)
		return ret;
	space.start = entry->info_gpa + ARM64_DTB_MAX_BYTES;
	space.limit = align_down(ram.base, GIB(1)) + WINDOW_BYTES;
	space.end = MIN(ram.end, space.limit);
	return initrd_load(mem, request->initrd, &space, entry, e);
}
