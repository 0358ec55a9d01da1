/* The cases of this program, one file each. */
#ifndef SARANG_TESTS_BOOT_H
#define SARANG_TESTS_BOOT_H

#include <check.h>

TCase *kernel_case(void);
TCase *unpack_case(void);
TCase *bzimage_case(void);
TCase *elf_case(void);
TCase *arm64_case(void);
TCase *e820_case(void);
TCase *hostile_case(void);
TCase *hardware_case(void);

#endif
