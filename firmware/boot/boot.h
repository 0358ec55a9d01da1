/*
 * How a guest is started: kernel and initrd files into guest memory, and what they are told.
 *
 * Loaders know formats and boot protocols, not KVM and not registers of a vCPU: they say where the
 * kernel's entry is and which protocol it expects; vmm/arch sets the vCPU up for it.
 * Kernel and initrd files are hostile input.
 */
#ifndef SARANG_BOOT_BOOT_H
#define SARANG_BOOT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "boot/hardware.h"
#include "mem/gmem.h"

enum kernel_format {
	KERNEL_BZIMAGE,    /* x86: boot protocol 2.12 or later with a 64-bit entry */
	KERNEL_ELF_PVH,    /* x86: ELF with XEN_ELFNOTE_PHYS32_ENTRY */
	KERNEL_ELF_LINUX,  /* x86: Linux's vmlinux without one; its 64-bit entry */
	KERNEL_ARM64_IMAGE /* arm64 Image */
};

enum kernel_arch { KERNEL_X86_64, KERNEL_AARCH64 };

/* What kernel_open found in a bzImage (Documentation/arch/x86/boot.rst), checked. */
#define BZIMAGE_HEADER_OFFSET 0x1f1
#define BZIMAGE_HEADER_END    0x290 /* of the room for it in struct boot_params */
struct bzimage_info {
	uint8_t header[BZIMAGE_HEADER_END - BZIMAGE_HEADER_OFFSET]; /* zero after its end */
	uint64_t payload_offset; /* in the file: the protected-mode kernel */
	uint64_t payload_bytes;
	uint64_t load_gpa;   /* pref_address */
	uint64_t init_bytes; /* memory it needs from load_gpa on before it reads the memory map */
	uint64_t initrd_max_gpa; /* the last byte of an initrd lies here or below */
};

/* What it found in an ELF file, checked; segments in the order of their addresses. */
#define ELF_SEGMENTS_MAX 32
struct elf_segment {
	uint64_t offset; /* in the file */
	uint64_t file_bytes;
	uint64_t gpa;
	uint64_t mem_bytes;
};
struct elf_info {
	uint64_t pvh_gpa;   /* the entry in the PVH note; 0: there is none */
	uint64_t linux_gpa; /* Linux's own 64-bit entry; 0: this is no Linux */
	unsigned segment_count;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
};

/* What it found in an arm64 Image (Documentation/arch/arm64/booting.rst). */
enum arm64_page_size { /* its flags, bits 1 and 2 */
		       ARM64_PAGES_ANY,
		       ARM64_PAGES_4K,
		       ARM64_PAGES_16K,
		       ARM64_PAGES_64K,
};
struct arm64_info {
	uint64_t text_offset; /* from a multiple of 2 MiB */
	uint64_t image_bytes; /* in memory */
	enum arm64_page_size page_size;
};

/*
 * A kernel file, opened and recognised. A plain file is read straight into guest memory when it is
 * loaded; a gzip or zstd compressed one has been decompressed into a memfd that then stands for it.
 */
struct kernel_image {
	enum kernel_format format;
	enum kernel_arch arch;
	char *path; /* for messages */
	int fd;     /* the uncompressed file */
	uint64_t size_bytes;
	uint64_t cmdline_max; /* longest command line it takes, without the NUL */
	uint64_t min_bytes;   /* RAM that it needs from the first on, without an initrd */
	union {
		struct bzimage_info bzimage;
		struct elf_info elf;
		struct arm64_info arm64;
	};
};

/*
 * Opens @path, undoes EFI zboot, gzip or zstd (bounded: KERNEL_SIZE_MAX), recognises and checks it.
 * A kernel for another architecture than @host gives a sentence that names both. *@image is closed
 * with kernel_close. 0 or -errno.
 */
#define KERNEL_SIZE_MAX (1024ull << 20)
int kernel_open(const char *path, enum kernel_arch host, struct kernel_image *image, struct err *e);

/* Closes and frees; harmless on an image that is zeroed, closed or failed to open. */
void kernel_close(struct kernel_image *image);

/*
 * What the kernel says by its configuration (CONFIG_IKCONFIG) that it can be told of its hardware:
 * HARDWARE_FDT where it was built with device trees and without ACPI, HARDWARE_ACPI where it was
 * built with that, HARDWARE_AUTO when it says nothing. Only an ELF file is looked into: what a
 * bzImage says of itself is compressed, and unpacking it takes far longer than starting a machine.
 */
enum hardware kernel_hardware(const struct kernel_image *image);

/* "bzImage", "ELF (PVH)", "ELF (Linux)", "arm64 Image"; "x86_64", "aarch64". */
const char *kernel_format_name(enum kernel_format format);
const char *kernel_arch_name(enum kernel_arch arch);

/* What goes with the kernel. Strings are only read during the call. */
struct boot_request {
	const char *cmdline; /* NULL: empty */
	const char *initrd;  /* file; NULL: none */
	uint64_t rsdp_gpa;   /* x86: the ACPI root pointer; 0: no ACPI */
	/*
	 * x86: where boot_write_dtb will put a device tree; 0: no tree. The kernel is then started
	 * by Linux's own protocol: PVH has no place for one.
	 */
	uint64_t dtb_gpa;
};

enum boot_protocol {
	BOOT_LINUX64, /* 64-bit, paging on: RIP = entry, RSI = zero page (boot.rst, "64-bit boot
			 protocol") */
	BOOT_PVH32,   /* 32-bit, paging off: EIP = entry, EBX = hvm_start_info
			 (xen/docs/misc/pvh.pandoc) */
	BOOT_ARM64,   /* MMU off: PC = entry, X0 = device tree (arm64/booting.rst) */
};

/* How the first vCPU starts, and what was put where (for `inspect` and messages). */
struct boot_entry {
	enum boot_protocol protocol;
	uint64_t entry_gpa;
	uint64_t info_gpa;   /* the zero page, hvm_start_info or (room for) the device tree */
	uint64_t kernel_gpa; /* [kernel_gpa, kernel_end) belongs to the kernel */
	uint64_t kernel_end;
	uint64_t initrd_gpa; /* 0 with initrd_bytes 0: none */
	uint64_t initrd_bytes;
};

/*
 * Checks what can be known without a machine: that the kernel takes the command line, and that the
 * initrd can be opened. For who loads nothing: loading finds out itself. 0 or -errno with a
 * sentence.
 */
int boot_check_request(const struct kernel_image *image, const struct boot_request *request,
		       struct err *e);

/*
 * Loads an x86 @image and what @request says into @mem, which is laid out as x86_layout.h says and
 * still zeroed: sections that start as zeroes are not written. Fills *@entry.
 * 0, or -errno with a sentence: memory too small for the kernel or the initrd, a command line
 * longer than the kernel takes, an initrd that cannot be read.
 */
int boot_load_x86(const struct gmem *mem, const struct kernel_image *image,
		  const struct boot_request *request, struct boot_entry *entry, struct err *e);

/*
 * Puts a device tree where boot_load_x86 has told the kernel that it would be: X86_DTB_GPA, the one
 * value of boot_request.dtb_gpa. 0, or -E2BIG where it does not fit there.
 */
int boot_write_dtb(const struct gmem *mem, const void *blob, size_t len, struct err *e);

/*
 * Loads an arm64 @image and the initrd into @mem, and leaves room for the device tree, which has to
 * know of both: ARM64_DTB_MAX_BYTES at entry->info_gpa are the caller's to fill. As boot_load_x86.
 */
#define ARM64_DTB_MAX_BYTES (2u << 20)
int boot_load_arm64(const struct gmem *mem, const struct kernel_image *image,
		    const struct boot_request *request, struct boot_entry *entry, struct err *e);

#endif
