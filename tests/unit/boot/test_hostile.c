/*
 * Kernels that mean harm: whatever a file says, opening and loading it ends in a sentence or in a
 * guest whose parts do not overlap, and nothing below 1 MiB changes but what the loader itself puts
 * there.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "boot/x86_layout.h"
#include "synth.h"
#include "tests.h"
#include "unit.h"

#define LOW_BYTES MIB(4)
#define ROUNDS    1500

/* One assertion for the whole, not one a byte: Check keeps a record of each. */
static void must_be_zero(const struct gmem *mem, uint64_t start, uint64_t end)
{
	static const uint8_t zeroes[X86_HIGH_RAM_GPA];
	const uint8_t *at = gmem_ptr(mem, start, end - start);

	ck_assert_msg(at && !memcmp(at, zeroes, end - start),
		      "guest memory from 0x%llx to 0x%llx was written", (unsigned long long)start,
		      (unsigned long long)end);
}

static void check_loaded(const struct gmem *mem, const struct boot_entry *entry)
{
	must_be_zero(mem, 0, X86_START_INFO_GPA);
	must_be_zero(mem, X86_PAGE_TABLES_GPA, X86_CMDLINE_GPA);
	must_be_zero(mem, X86_CMDLINE_GPA + 2, X86_HIGH_RAM_GPA);
	ck_assert_uint_ge(entry->kernel_gpa, X86_HIGH_RAM_GPA);
	ck_assert_uint_le(entry->kernel_end, LOW_BYTES);
	ck_assert_uint_ge(entry->entry_gpa, entry->kernel_gpa);
	ck_assert_uint_lt(entry->entry_gpa, entry->kernel_end);
	ck_assert_uint_ge(entry->initrd_gpa, entry->kernel_end);
	ck_assert_uint_le(entry->initrd_gpa + entry->initrd_bytes, LOW_BYTES);
}

/* Returns whether the kernel was taken. */
static bool try(const uint8_t *bytes, size_t len, const char *initrd)
{
	struct boot_request request = {.cmdline = "x", .initrd = initrd, .rsdp_gpa = 0xe0000};
	struct kernel_image image;
	struct boot_entry entry;
	struct err e = {0};
	struct gmem *mem;
	int ret = synth_open(bytes, len, KERNEL_X86_64, &image, &e);

	if (ret < 0) {
		ck_assert_int_eq(ret, e.code);
		ck_assert_uint_gt(strlen(e.text), 10);
		return false;
	}
	mem = synth_memory(LOW_BYTES, 0);
	ret = boot_load_x86(mem, &image, &request, &entry, &e);
	if (ret < 0)
		ck_assert_uint_gt(strlen(e.text), 10);
	else
		check_loaded(mem, &entry);
	gmem_free(mem);
	kernel_close(&image);
	return !ret;
}

/* One of the numbers that break sums, or any other. */
static uint64_t nasty_number(uint64_t *seed)
{
	static const uint64_t numbers[] = {0,          1,          2,
					   0x7f,       0x80,       0xff,
					   0xffff,     0x7fffffff, 0x80000000,
					   UINT32_MAX, INT64_MAX,  UINT64_MAX,
					   0x6000,     0x7000,     0x100000,
					   0x200000,   0x3fffff,   UINT64_MAX - 0xfff,
					   0x100000000};
	uint64_t pick = unit_random(seed);

	return pick % 4 ? numbers[(pick >> 8) % ARRAY_SIZE(numbers)] : unit_random(seed);
}

/* Changes one to four fields within [start, start + len), and now and then cuts the file. */
static size_t mutate(uint8_t *bytes, size_t total, size_t start, size_t len, uint64_t *seed)
{
	unsigned count = 1 + (unsigned)(unit_random(seed) % 4);

	while (count--) {
		size_t size = (size_t)1 << (unit_random(seed) % 4);
		size_t at = start + unit_random(seed) % (len - size);
		uint64_t value = nasty_number(seed);

		memcpy(bytes + at, &value, size);
	}
	return unit_random(seed) % 8 ? total : 1 + unit_random(seed) % total;
}

START_TEST(mutated_bzimages_do_no_harm)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[SYNTH_BZIMAGE_BYTES];
	struct synth_file initrd;
	unsigned i, taken = 0;
	size_t len;

	synth_file_new(&initrd, "initrd", 6);
	for (i = 0; i < ROUNDS; i++) {
		synth_bzimage(bytes);
		len = mutate(bytes, sizeof(bytes), 0x1f1, 0x7c, &seed);
		taken += try(bytes, len, initrd.path);
	}
	/* Both ways were taken: the mutations are not all fatal, nor all harmless. */
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, ROUNDS);
	synth_file_free(&initrd);
}
END_TEST

START_TEST(mutated_elf_kernels_do_no_harm)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[SYNTH_ELF_BYTES];
	struct synth_file initrd;
	unsigned i, taken = 0;
	size_t start, len;

	synth_file_new(&initrd, "initrd", 6);
	for (i = 0; i < ROUNDS; i++) {
		synth_elf(bytes);
		start = unit_random(&seed) % 4 ? 16 : SYNTH_ELF_NOTE_OFFSET;
		len = start == 16 ? sizeof(Elf64_Ehdr) - 16 + SYNTH_ELF_PHDRS * sizeof(Elf64_Phdr)
				  : 48;
		len = mutate(bytes, sizeof(bytes), start, len, &seed);
		taken += try(bytes, len, initrd.path);
	}
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, ROUNDS);
	synth_file_free(&initrd);
}
END_TEST

/* A file that shrinks between opening and loading gives a sentence, not a guest full of zeroes. */
START_TEST(a_kernel_cut_off_after_opening_is_refused)
{
	uint8_t bytes[SYNTH_BZIMAGE_BYTES];
	struct boot_request request = {0};
	struct kernel_image image;
	struct boot_entry entry;
	struct synth_file file;
	struct gmem *mem = synth_memory(LOW_BYTES, 0);
	struct err e = {0};

	synth_bzimage(bytes);
	synth_file_new(&file, bytes, sizeof(bytes));
	ck_assert_int_eq(kernel_open(file.path, KERNEL_X86_64, &image, &e), 0);
	ck_assert_int_eq(ftruncate(file.fd, 2000), 0);
	ck_assert_int_lt(boot_load_x86(mem, &image, &request, &entry, &e), 0);
	ck_assert_msg(strstr(e.text, "cannot read 8192 bytes at offset 1024"), "%s", e.text);
	kernel_close(&image);
	synth_file_free(&file);
	gmem_free(mem);
}
END_TEST

TCase *hostile_case(void)
{
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, mutated_bzimages_do_no_harm);
	tcase_add_test(tc, mutated_elf_kernels_do_no_harm);
	tcase_add_test(tc, a_kernel_cut_off_after_opening_is_refused);
	return tc;
}
