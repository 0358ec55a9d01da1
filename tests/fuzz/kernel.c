/*
 * Fuzzes kernel files: whatever the bytes are, kernel_open and boot_load_x86 or boot_load_arm64 end
 * in a sentence or in a loaded kernel whose parts lie inside guest memory and apart from each
 * other.
 *
 * The input is the kernel file itself; guest memory is 4 MiB, so that whole kernels of a few
 * kilobytes can be found that fit and that do not. Compressed inputs go through the decompressors.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/boot/synth.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "boot/boot.h"
#include "boot/x86_layout.h"

#define MEMORY_BYTES MIB(4)
#define INPUT_MAX    KIB(256)

_Static_assert(SYNTH_BZIMAGE_BYTES <= SYNTH_ELF_BYTES, "one buffer takes either");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* As load, for an arm64 Image: RAM is elsewhere, and the device tree needs room too. */
static void load_arm64(const struct kernel_image *image, const char *initrd)
{
	struct boot_request request = {.cmdline = "console=ttyAMA0", .initrd = initrd};
	const uint64_t base = GIB(1), end = base + 2 * MEMORY_BYTES;
	struct boot_entry entry;
	struct err e = {0};
	struct gmem *mem;

	require(!gmem_new(&mem, &e));
	require(!gmem_add(mem, base, end - base, &e));
	if (boot_load_arm64(mem, image, &request, &entry, &e) < 0) {
		require(e.code < 0 && e.text[0]);
	} else {
		require(entry.kernel_gpa >= base && entry.entry_gpa == entry.kernel_gpa);
		require(entry.info_gpa % 8 == 0 && entry.info_gpa >= entry.kernel_end);
		require(entry.initrd_gpa >= entry.info_gpa + ARM64_DTB_MAX_BYTES);
		require(entry.initrd_gpa <= end && entry.initrd_bytes <= end - entry.initrd_gpa);
	}
	gmem_free(mem);
}

/* With a device tree where the kernel says that it can use one, so that both ways in are taken. */
static void load(const struct kernel_image *image, const char *initrd)
{
	bool tree = kernel_hardware(image) == HARDWARE_FDT;
	struct boot_request request = {
		.cmdline = "console=ttyS0",
		.initrd = initrd,
		.dtb_gpa = tree ? X86_DTB_GPA : 0,
	};
	struct boot_entry entry;
	struct err e = {0};
	struct gmem *mem;

	require(!gmem_new(&mem, &e));
	require(!gmem_add(mem, 0, MEMORY_BYTES, &e));
	if (boot_load_x86(mem, image, &request, &entry, &e) < 0) {
		require(e.code < 0 && e.text[0]);
	} else {
		require(entry.kernel_gpa >= X86_HIGH_RAM_GPA);
		require(entry.kernel_end <= MEMORY_BYTES);
		require(entry.entry_gpa >= entry.kernel_gpa && entry.entry_gpa < entry.kernel_end);
		require(entry.initrd_gpa >= entry.kernel_end);
		require(range_inside(entry.initrd_gpa, entry.initrd_bytes, MEMORY_BYTES));
	}
	gmem_free(mem);
}

static void open_and_load(const uint8_t *bytes, size_t len, enum kernel_arch host)
{
	struct kernel_image image;
	struct err e = {0};
	char path[32];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && !fd_write_full(fd, bytes, len));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kernel_open(path, host, &image, &e) < 0) {
		require(e.code < 0 && e.text[0]);
	} else {
		if (image.arch == KERNEL_X86_64)
			load(&image, path); /* any file is an initrd */
		else
			load_arm64(&image, path);
		kernel_close(&image);
	}
	fd_close(&fd);
}

static void change(uint8_t *bytes, size_t len, const uint8_t *data, size_t size)
{
	while (size > 3) {
		size_t at = get_le16(data) % len, count = MIN((size_t)data[2], size - 3);

		count = MIN(count, len - at);
		memcpy(bytes + at, data + 3, count);
		data += 3 + count;
		size -= 3 + count;
	}
}

/* A good Image of 4 KiB for memory of 64 KiB, or one inside a zboot image, which takes it as it is.
 */
#define ARM64_BYTES 0x1000
_Static_assert(ARM64_BYTES <= SYNTH_ELF_BYTES, "one buffer takes either");
static void make_arm64(uint8_t bytes[ARM64_BYTES], bool zboot)
{
	uint8_t *image = bytes;

	memset(bytes, 0, ARM64_BYTES);
	if (zboot) {
		memcpy(bytes, "MZ\0\0zimg", 8);
		put_le32(bytes + 8, 64);
		put_le32(bytes + 12, ARM64_BYTES - 64);
		image += 64;
	}
	put_le64(image + 16, 0x10000);
	memcpy(image + 56, "ARM\x64", 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t bytes[SYNTH_ELF_BYTES];

	if (size < 2 || size > INPUT_MAX)
		return 0;
	switch (data[0] % 6) {
	case 0:
	case 1:
		open_and_load(data + 1, size - 1, data[0] % 6 ? KERNEL_AARCH64 : KERNEL_X86_64);
		break;
	case 2:
		synth_bzimage(bytes);
		change(bytes, SYNTH_BZIMAGE_BYTES, data + 1, size - 1);
		open_and_load(bytes, SYNTH_BZIMAGE_BYTES, KERNEL_X86_64);
		break;
	case 3:
	case 4:
		make_arm64(bytes, data[0] % 6 == 4);
		change(bytes, ARM64_BYTES, data + 1, size - 1);
		open_and_load(bytes, ARM64_BYTES, KERNEL_AARCH64);
		break;
	case 5:
		synth_elf(bytes);
		change(bytes, SYNTH_ELF_BYTES, data + 1, size - 1);
		open_and_load(bytes, SYNTH_ELF_BYTES, KERNEL_X86_64);
		break;
	}
	return 0;
}
