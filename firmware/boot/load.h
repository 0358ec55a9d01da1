/*
 * What the files of this folder share; not for others.
 *
 * A format has two halves: NAME_parse, called with the head of the file when a kernel is opened,
 * which checks every number and keeps what is needed; and NAME_load, which puts the kernel into
 * guest memory.
 */
#ifndef SARANG_BOOT_LOAD_H
#define SARANG_BOOT_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"

/* As much of a kernel file as the parsers are shown; less when the file is shorter. */
#define KERNEL_HEAD_BYTES 4096
struct kernel_head {
	size_t len;
	uint8_t bytes[KERNEL_HEAD_BYTES];
};

/* Opens @path, which must be a regular file that is not empty; @what ("kernel", "initrd") is for
 * sentences. */
int boot_open_file(const char *path, const char *what, int *fd, uint64_t *size_bytes,
		   struct err *e);

/* Reads the head of @fd. 0 or -errno. */
int kernel_read_head(int fd, const char *path, struct kernel_head *head, struct err *e);

/* EFI zboot: replaces *@fd, whose head is @head, by a memfd with the packed kernel that is in it.
 */
bool zboot_sniff(const struct kernel_head *head);
int zboot_extract(const char *path, const struct kernel_head *head, int *fd, uint64_t *size_bytes,
		  struct err *e);

enum pack_format { PACK_NONE, PACK_GZIP, PACK_ZSTD };
enum pack_format pack_sniff(const struct kernel_head *head);

/*
 * Replaces *@fd, a file compressed with @format, by a memfd with its contents, of *@size_bytes.
 * More than @max bytes give -EFBIG.
 */
int kernel_unpack(const char *path, enum pack_format format, uint64_t max, int *fd,
		  uint64_t *size_bytes, struct err *e);

/* Whether the head is one of the format; then parse fills *@image or says what is wrong with it. */
bool bzimage_sniff(const struct kernel_head *head);
int bzimage_parse(struct kernel_image *image, const struct kernel_head *head, struct err *e);
bool elf_sniff(const struct kernel_head *head);
int elf_parse(struct kernel_image *image, enum kernel_arch host, const struct kernel_head *head,
	      struct err *e);
bool arm64_sniff(const struct kernel_head *head);
int arm64_parse(struct kernel_image *image, const struct kernel_head *head, struct err *e);

/*
 * Finds the ELF section @name. Whether there is one, which lies inside the file, at *@offset with
 * *@len bytes; damaged section headers are as good as none.
 */
bool elf_find_section(const struct kernel_image *image, const char *name, uint64_t *offset,
		      uint64_t *len);

/* Refuses a file that is shorter than its own header says. */
int kernel_truncated(const struct kernel_image *image, uint64_t needed, struct err *e);

/* Copies a piece of the kernel file into guest memory. */
int kernel_load_piece(const struct gmem *mem, const struct kernel_image *image, uint64_t gpa,
		      uint64_t offset, uint64_t len, struct err *e);

/*
 * Loads the kernel: fills entry's entry_gpa, info_gpa, kernel_gpa and kernel_end. Its protocol has
 * been decided, for the formats that leave a choice.
 */
int bzimage_load(const struct gmem *mem, const struct kernel_image *image, struct boot_entry *entry,
		 struct err *e);
int elf_load(const struct gmem *mem, const struct kernel_image *image, struct boot_entry *entry,
	     struct err *e);

/*
 * Writes the zero page (BOOT_LINUX64) or hvm_start_info (BOOT_PVH32) at entry->info_gpa; the
 * command line is in place.
 */
int linux64_write_info(const struct gmem *mem, const struct kernel_image *image,
		       const struct boot_request *request, const struct boot_entry *entry,
		       struct err *e);
int pvh_write_info(const struct gmem *mem, const struct boot_request *request,
		   const struct boot_entry *entry, struct err *e);

/* Whether the kernel takes the command line (NULL: none). 0, or -E2BIG with a sentence. */
int boot_check_cmdline(const struct kernel_image *image, const char *cmdline, struct err *e);

/*
 * The memory an initrd may lie in: [start, end); @limit is where it would end at the latest in a
 * guest with any amount of memory. The highest page-aligned place is taken.
 */
struct initrd_space {
	uint64_t start;
	uint64_t end;
	uint64_t limit;
};
int initrd_load(const struct gmem *mem, const char *path, const struct initrd_space *space,
		struct boot_entry *entry, struct err *e);

#endif
