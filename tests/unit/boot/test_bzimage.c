/* The 64-bit boot protocol: what a kernel finds in its memory, and what does not fit there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "boot/x86_layout.h"
#include "synth.h"
#include "tests.h"

static uint8_t bytes[SYNTH_BZIMAGE_BYTES];
static struct kernel_image image;
static struct boot_entry entry;
static struct err e;

static void setup(void)
{
	synth_bzimage(bytes);
	e = (struct err){0};
	ck_assert_msg(!synth_open(bytes, sizeof(bytes), KERNEL_X86_64, &image, &e), "%s", e.text);
}

static void teardown(void)
{
	kernel_close(&image);
}

/* Opens the kernel again, after a change to its bytes. */
static void reopen(void)
{
	kernel_close(&image);
	ck_assert_msg(!synth_open(bytes, sizeof(bytes), KERNEL_X86_64, &image, &e), "%s", e.text);
}

static int load(struct gmem *mem, const char *cmdline, const char *initrd)
{
	struct boot_request request = {.cmdline = cmdline, .initrd = initrd, .rsdp_gpa = 0xe0010};

	return boot_load_x86(mem, &image, &request, &entry, &e);
}

START_TEST(the_payload_lies_at_its_preferred_address)
{
	struct gmem *mem = synth_memory(MIB(8), 0);
	uint8_t got[SYNTH_BZIMAGE_PAYLOAD + 16] = {0};

	ck_assert_msg(!load(mem, "", NULL), "%s", e.text);
	ck_assert_int_eq(entry.protocol, BOOT_LINUX64);
	ck_assert_uint_eq(entry.entry_gpa, 0x100200);
	ck_assert_uint_eq(entry.info_gpa, X86_ZERO_PAGE_GPA);
	ck_assert_uint_eq(entry.kernel_gpa, 0x100000);
	ck_assert_uint_eq(entry.kernel_end, 0x300000);
	ck_assert_int_eq(gmem_read(mem, 0x100000, got, sizeof(got)), 0);
	ck_assert_mem_eq(got, bytes + SYNTH_BZIMAGE_SETUP, SYNTH_BZIMAGE_PAYLOAD);
	ck_assert_uint_eq(get_le64(got + SYNTH_BZIMAGE_PAYLOAD), 0); /* nothing behind it */
	gmem_free(mem);
}
END_TEST

START_TEST(the_zero_page_follows_the_protocol)
{
	struct gmem *mem = synth_memory(MIB(8), MIB(4));
	uint8_t page[4096];
	char cmdline[8];

	ck_assert_msg(!load(mem, "quiet", NULL), "%s", e.text);
	ck_assert_int_eq(gmem_read(mem, X86_ZERO_PAGE_GPA, page, sizeof(page)), 0);
	ck_assert_uint_eq(get_le64(page + 0x070), 0xe0010); /* acpi_rsdp_addr */
	ck_assert_uint_eq(page[0x1ef], 0);                  /* sentinel */
	ck_assert_mem_eq(page + 0x202, "HdrS", 4);
	ck_assert_uint_eq(get_le16(page + 0x206), 0x20f);
	ck_assert_uint_eq(page[0x210], 0xff); /* type_of_loader */
	ck_assert_uint_eq(page[0x211], 1);
	ck_assert_uint_eq(get_le32(page + 0x218), 0); /* no initrd */
	ck_assert_uint_eq(get_le32(page + 0x21c), 0);
	ck_assert_uint_eq(get_le32(page + 0x228), X86_CMDLINE_GPA);
	ck_assert_uint_eq(get_le64(page + 0x250), 0); /* the file's setup_data is not taken */
	ck_assert_uint_eq(get_le32(page + 0x260), 0x200000);
	ck_assert_uint_eq(page[0x26c], 0); /* the header ends here */
	ck_assert_uint_eq(page[0x1e8], 5); /* e820: 640K, EBDA, ACPI, low, high */
	ck_assert_uint_eq(get_le64(page + 0x2d0 + 4 * 20), X86_ABOVE_4G_GPA);
	ck_assert_uint_eq(get_le64(page + 0x2d0 + 4 * 20 + 8), MIB(4));
	ck_assert_uint_eq(get_le32(page + 0x2d0 + 4 * 20 + 16), 1);
	ck_assert_int_eq(gmem_read(mem, X86_CMDLINE_GPA, cmdline, 6), 0);
	ck_assert_str_eq(cmdline, "quiet");
	gmem_free(mem);
}
END_TEST

START_TEST(the_initrd_lies_as_high_as_the_kernel_allows)
{
	struct gmem *mem = synth_memory(MIB(16), MIB(16));
	struct synth_file initrd;
	uint8_t data[5000], got[5000], page[4096];

	memset(data, 0x5a, sizeof(data));
	synth_file_new(&initrd, data, sizeof(data));
	ck_assert_msg(!load(mem, "", initrd.path), "%s", e.text);
	ck_assert_uint_eq(entry.initrd_gpa, MIB(16) - 8192);
	ck_assert_uint_eq(entry.initrd_bytes, sizeof(data));
	ck_assert_int_eq(gmem_read(mem, entry.initrd_gpa, got, sizeof(got)), 0);
	ck_assert_mem_eq(got, data, sizeof(data));
	ck_assert_int_eq(gmem_read(mem, X86_ZERO_PAGE_GPA, page, sizeof(page)), 0);
	ck_assert_uint_eq(get_le32(page + 0x218), entry.initrd_gpa);
	ck_assert_uint_eq(get_le32(page + 0x21c), sizeof(data));
	ck_assert_uint_eq(get_le32(page + 0x0c0), 0);

	put_le32(bytes + 0x22c, MIB(8) - 1); /* initrd_addr_max */
	reopen();
	ck_assert_msg(!load(mem, "", initrd.path), "%s", e.text);
	ck_assert_uint_eq(entry.initrd_gpa, MIB(8) - 8192);
	synth_file_free(&initrd);
	gmem_free(mem);
}
END_TEST

/* To the page: the largest initrd that fits beside the kernel does, one byte more does not. */
START_TEST(an_initrd_fits_or_is_refused_to_the_page)
{
	struct gmem *mem = synth_memory(MIB(4), 0);
	uint8_t *data = calloc(1, MIB(1) + 1);
	struct synth_file initrd;

	ck_assert_ptr_nonnull(data);
	synth_file_new(&initrd, data, MIB(1)); /* the kernel takes 1 to 3 MiB */
	ck_assert_msg(!load(mem, "", initrd.path), "%s", e.text);
	ck_assert_uint_eq(entry.initrd_gpa, MIB(3));
	synth_file_free(&initrd);
	synth_file_new(&initrd, data, MIB(1) + 1);
	ck_assert_int_eq(load(mem, "", initrd.path), -ENOSPC);
	ck_assert_msg(strstr(e.text, "(2 MiB) does not fit into 4M of memory"), "%s", e.text);
	ck_assert_ptr_nonnull(strstr(e.text, initrd.path));
	/* No memory helps where the kernel itself sets the limit. */
	put_le32(bytes + 0x22c, (uint32_t)MIB(4) - 1);
	reopen();
	ck_assert_int_eq(load(mem, "", initrd.path), -ENOSPC);
	ck_assert_msg(strstr(e.text, "between 0x300000, where the kernel ends, and 0x400000"), "%s",
		      e.text);
	put_le32(bytes + 0x22c, 0);
	reopen();
	ck_assert_int_eq(load(mem, "", initrd.path), -ENOSPC);
	ck_assert_msg(strstr(e.text, "too large for this kernel"), "%s", e.text);
	synth_file_free(&initrd);
	free(data);
	gmem_free(mem);
}
END_TEST

START_TEST(an_initrd_that_is_not_a_file_is_refused)
{
	struct gmem *mem = synth_memory(MIB(4), 0);
	struct synth_file empty;

	ck_assert_int_eq(load(mem, "", "/nonexistent/initrd"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "cannot open the initrd /nonexistent/initrd"));
	ck_assert_int_eq(load(mem, "", "/"), -EISDIR);
	ck_assert_ptr_nonnull(strstr(e.text, "the initrd / is a directory"));
	synth_file_new(&empty, "", 0);
	ck_assert_int_eq(load(mem, "", empty.path), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "is empty"));
	synth_file_free(&empty);
	gmem_free(mem);
}
END_TEST

START_TEST(the_command_line_ends_at_the_kernels_limit)
{
	struct gmem *mem = synth_memory(MIB(4), 0);
	char cmdline[SYNTH_BZIMAGE_CMDLINE + 2], *big;

	memset(cmdline, 'a', sizeof(cmdline));
	cmdline[SYNTH_BZIMAGE_CMDLINE] = '\0';
	ck_assert_msg(!load(mem, cmdline, NULL), "%s", e.text);
	cmdline[SYNTH_BZIMAGE_CMDLINE] = 'a';
	cmdline[SYNTH_BZIMAGE_CMDLINE + 1] = '\0';
	ck_assert_int_eq(load(mem, cmdline, NULL), -E2BIG);
	ck_assert_ptr_nonnull(strstr(e.text, "has 256 characters"));
	ck_assert_ptr_nonnull(strstr(e.text, "at most 255"));

	/* A kernel that claims to take anything still gets no more than the room there is. */
	put_le32(bytes + 0x238, UINT32_MAX);
	reopen();
	big = calloc(1, X86_CMDLINE_BYTES + 1);
	ck_assert_ptr_nonnull(big);
	memset(big, 'a', X86_CMDLINE_BYTES - 1);
	ck_assert_msg(!load(mem, big, NULL), "%s", e.text);
	big[X86_CMDLINE_BYTES - 1] = 'a';
	ck_assert_int_eq(load(mem, big, NULL), -E2BIG);
	free(big);
	gmem_free(mem);
}
END_TEST

START_TEST(a_kernel_larger_than_memory_is_refused)
{
	struct gmem *mem = synth_memory(MIB(3), MIB(64));

	ck_assert_msg(!load(mem, "", NULL), "%s", e.text);
	put_le32(bytes + 0x260, MIB(2) + 1); /* init_size: a byte past the end of low memory */
	reopen();
	ck_assert_int_eq(load(mem, "", NULL), -ENOSPC);
	ck_assert_msg(strstr(e.text, "needs the first 4 MiB of memory"), "%s", e.text);
	put_le32(bytes + 0x260, UINT32_MAX);
	reopen();
	ck_assert_int_eq(load(mem, "", NULL), -ENOSPC);
	/* Nor here: the memory of a PC has a hole below 4 GiB. */
	ck_assert_ptr_null(strstr(e.text, "--memory"));
	ck_assert_ptr_nonnull(strstr(e.text, "never more than 3072"));
	gmem_free(mem);
}
END_TEST

/* init_size may lie: the payload counts in any case. */
START_TEST(an_init_size_smaller_than_the_payload_is_corrected)
{
	put_le32(bytes + 0x260, 1);
	reopen();
	ck_assert_uint_eq(image.min_bytes, 0x100000 + SYNTH_BZIMAGE_PAYLOAD);
}
END_TEST

START_TEST(no_preferred_address_means_1_mib)
{
	put_le64(bytes + 0x258, 0);
	reopen();
	ck_assert_uint_eq(image.bzimage.load_gpa, 0x100000);
}
END_TEST

TCase *bzimage_case(void)
{
	TCase *tc = tcase_create("bzimage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_payload_lies_at_its_preferred_address);
	tcase_add_test(tc, the_zero_page_follows_the_protocol);
	tcase_add_test(tc, the_initrd_lies_as_high_as_the_kernel_allows);
	tcase_add_test(tc, an_initrd_fits_or_is_refused_to_the_page);
	tcase_add_test(tc, an_initrd_that_is_not_a_file_is_refused);
	tcase_add_test(tc, the_command_line_ends_at_the_kernels_limit);
	tcase_add_test(tc, a_kernel_larger_than_memory_is_refused);
	tcase_add_test(tc, an_init_size_smaller_than_the_payload_is_corrected);
	tcase_add_test(tc, no_preferred_address_means_1_mib);
	return tc;
}
