/* Kernels made of nothing but what a loader looks at, as files without a name on disk. */
#ifndef SARANG_TESTS_BOOT_SYNTH_H
#define SARANG_TESTS_BOOT_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"

/* A file in memory, reached through a path of its own. */
struct synth_file {
	int fd;
	char path[32];
};
void synth_file_new(struct synth_file *file, const void *bytes, size_t len);
void synth_file_free(struct synth_file *file);

/* A good bzImage: protocol 2.15, at 1 MiB, needing 2 MiB, initrd below 2 GiB. */
#define SYNTH_BZIMAGE_PAYLOAD 8192
#define SYNTH_BZIMAGE_SETUP   1024 /* one sector of setup */
#define SYNTH_BZIMAGE_BYTES   (SYNTH_BZIMAGE_SETUP + SYNTH_BZIMAGE_PAYLOAD)
#define SYNTH_BZIMAGE_CMDLINE 255
void synth_bzimage(uint8_t bytes[SYNTH_BZIMAGE_BYTES]);

/* A good PVH ELF: code at 1 MiB, data (with bss) at 2 MiB, the note, entry at 1 MiB + 0x10. */
#define SYNTH_ELF_CODE_OFFSET 0x1000
#define SYNTH_ELF_DATA_OFFSET 0x2000
#define SYNTH_ELF_NOTE_OFFSET 0x200
#define SYNTH_ELF_PHDRS       3 /* code, data, note */
#define SYNTH_ELF_BYTES       0x2800
#define SYNTH_ELF_END         0x204000 /* of the memory it takes */
void synth_elf(uint8_t bytes[SYNTH_ELF_BYTES]);

/* What byte @offset of a synthetic kernel's contents is, so that a load can be checked. */
uint8_t synth_byte(size_t offset);

/* Opens @bytes as a kernel for @host. Returns what kernel_open does. */
int synth_open(const void *bytes, size_t len, enum kernel_arch host, struct kernel_image *image,
	       struct err *e);

/* Guest memory of @low bytes from 0 and @high bytes from 4 GiB (0: none). */
struct gmem *synth_memory(uint64_t low, uint64_t high);

#endif
