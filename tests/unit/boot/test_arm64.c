/* arm64 Images: what is read of their header, and where kernel, initrd and device tree go. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/util.h"
#include "synth.h"
#include "tests.h"

#define BYTES 0x8000
#define BASE  GIB(1) /* as on virt */

static uint8_t bytes[BYTES];
static struct kernel_image image;
static struct boot_entry entry;
static struct gmem *mem;
static struct err e;

static void setup(void)
{
	size_t i;

	for (i = 0; i < BYTES; i++)
		bytes[i] = synth_byte(i);
	memset(bytes, 0, 64);
	put_le64(bytes + 16, 0x20000);
	put_le64(bytes + 24, 0xa); /* 4 KiB pages, placed anywhere */
	memcpy(bytes + 56, "ARM\x64", 4);
	memset(&image, 0, sizeof(image));
	memset(&e, 0, sizeof(e));
	mem = NULL;
}

static void teardown(void)
{
	kernel_close(&image);
	gmem_free(mem);
}

static void open_image(void)
{
	ck_assert_msg(!synth_open(bytes, BYTES, KERNEL_AARCH64, &image, &e), "%s", e.text);
}

static void open_refused(size_t len, const char *part)
{
	ck_assert_int_lt(synth_open(bytes, len, KERNEL_AARCH64, &image, &e), 0);
	ck_assert_msg(strstr(e.text, part), "no \"%s\" in: %s", part, e.text);
}

/* One piece of RAM of @size from @base. */
static void memory(uint64_t base, uint64_t size)
{
	ck_assert_int_eq(gmem_new(&mem, NULL), 0);
	ck_assert_int_eq(gmem_add(mem, base, size, NULL), 0);
}

static int load(const char *initrd, const char *cmdline)
{
	const struct boot_request request = {.cmdline = cmdline, .initrd = initrd};

	return boot_load_arm64(mem, &image, &request, &entry, &e);
}

/* A PE header at 0x40 with two sections, of which the second ends at @end. */
static void add_pe(uint32_t end)
{
	uint8_t *pe = bytes + 0x40, *section = pe + 24 + 0xa0;

	memset(pe, 0, 24 + 0xa0 + 2 * 40);
	memcpy(bytes, "MZ", 2);
	put_le32(bytes + 60, 0x40);
	memcpy(pe, "PE\0\0", 4);
	put_le16(pe + 6, 2);
	put_le16(pe + 20, 0xa0);
	put_le32(section + 16, 0x1000);
	put_le32(section + 20, 0x1000);
	put_le32(section + 40 + 16, end - 0x2000);
	put_le32(section + 40 + 20, 0x2000);
}

START_TEST(the_header_is_read)
{
	put_le64(bytes + 8, 0x80000);
	put_le64(bytes + 24, (uint64_t)_i << 1);
	open_image();
	ck_assert_uint_eq(image.arm64.text_offset, 0x80000);
	ck_assert_uint_eq(image.arm64.image_bytes, 0x20000);
	ck_assert_int_eq(image.arm64.page_size, (enum arm64_page_size)_i);
	ck_assert_uint_eq(image.min_bytes, 0xa0000);
	ck_assert_uint_eq(image.cmdline_max, 2047);
}
END_TEST

START_TEST(a_truncated_efi_image_is_known_by_its_sections)
{
	add_pe(BYTES);
	open_image();
	kernel_close(&image);
	open_refused(BYTES - 1, "truncated");
	/* A section whose header lies past what is looked at, or sums that would overflow. */
	add_pe(0x2000 - 1);
	open_refused(BYTES, "truncated");
	put_le32(bytes + 60, 0xffffffff);
	open_image();
}
END_TEST

/* A zboot image around @len bytes of payload, opened. */
static int open_zboot(const void *payload, uint32_t len, uint32_t promised)
{
	uint8_t file[BYTES + 512];

	memset(file, 0, sizeof(file));
	memcpy(file, "MZ\0\0zimg", 8);
	put_le32(file + 8, 512);
	put_le32(file + 12, promised);
	strcpy((char *)file + 24, "gzip");
	memcpy(file + 512, payload, len);
	return synth_open(file, 512 + len, KERNEL_AARCH64, &image, &e);
}

START_TEST(the_kernel_in_a_zboot_image_is_found)
{
	uint8_t packed[BYTES], *back;
	z_stream z = {.next_in = bytes, .avail_in = BYTES, .next_out = packed, .avail_out = BYTES};
	uint32_t len;

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	len = (uint32_t)z.total_out;
	deflateEnd(&z);
	ck_assert_msg(!open_zboot(packed, len, len), "%s", e.text);
	ck_assert_uint_eq(image.size_bytes, BYTES);
	memory(BASE, MIB(64));
	ck_assert_int_eq(load(NULL, NULL), 0);
	back = gmem_ptr(mem, entry.kernel_gpa, BYTES);
	ck_assert_mem_eq(back, bytes, BYTES);
	kernel_close(&image);
	/* One byte more than there is, none at all, and one that is no kernel. */
	ck_assert_int_lt(open_zboot(packed, len, len + 1), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "truncated"));
	ck_assert_int_lt(open_zboot(packed, len, 0), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "without a kernel"));
	ck_assert_int_lt(open_zboot("xxxxxxxx", 8, 8), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "is not a kernel"));
}
END_TEST

START_TEST(impossible_numbers_are_refused)
{
	switch (_i) {
	case 0:
		put_le64(bytes + 16, UINT64_MAX);
		break;
	case 1:
		put_le64(bytes + 8, UINT64_MAX & ~0xfffull);
		break;
	case 2:
		put_le64(bytes + 8, 0x80001);
		break;
	default:
		put_le64(bytes + 16, 1ull << 40);
		break;
	}
	open_refused(BYTES, "impossible size or place");
}
END_TEST

START_TEST(the_kernel_goes_to_its_offset_from_2_mib)
{
	static const uint64_t bases[] = {BASE, BASE + MIB(1), BASE};
	static const uint64_t offsets[] = {0, 0, 0x80000};
	uint64_t start = align_up(bases[_i], MIB(2)) + offsets[_i];
	uint8_t *there;

	put_le64(bytes + 8, offsets[_i]);
	open_image();
	memory(bases[_i], MIB(64));
	ck_assert_msg(!load(NULL, "console"), "%s", e.text);
	ck_assert_int_eq(entry.protocol, BOOT_ARM64);
	ck_assert_uint_eq(entry.entry_gpa, start);
	ck_assert_uint_eq(entry.kernel_gpa, start);
	ck_assert_uint_eq(entry.kernel_end, start + 0x20000);
	there = gmem_ptr(mem, start, BYTES);
	ck_assert_mem_eq(there, bytes, BYTES);
}
END_TEST

/* booting.rst: 8-byte aligned, not over 2 MiB, and mapped in blocks of 2 MiB with nothing else. */
START_TEST(the_device_tree_has_2_mib_of_its_own)
{
	open_image();
	memory(BASE, MIB(64));
	ck_assert_int_eq(load(NULL, NULL), 0);
	ck_assert_uint_eq(entry.info_gpa % MIB(2), 0);
	ck_assert_uint_ge(entry.info_gpa, entry.kernel_end);
	ck_assert_ptr_nonnull(gmem_ptr(mem, entry.info_gpa, ARM64_DTB_MAX_BYTES));
}
END_TEST

START_TEST(the_initrd_ends_where_ram_does)
{
	struct synth_file initrd;
	uint8_t contents[5000];

	memset(contents, 0x5a, sizeof(contents));
	synth_file_new(&initrd, contents, sizeof(contents));
	open_image();
	memory(BASE, MIB(64));
	ck_assert_msg(!load(initrd.path, NULL), "%s", e.text);
	ck_assert_uint_eq(entry.initrd_bytes, sizeof(contents));
	ck_assert_uint_eq(entry.initrd_gpa, BASE + MIB(64) - 8192);
	ck_assert_mem_eq(gmem_ptr(mem, entry.initrd_gpa, sizeof(contents)), contents,
			 sizeof(contents));
	synth_file_free(&initrd);
}
END_TEST

/* booting.rst: in a window of 32 GiB, from a multiple of 1 GiB, that has the kernel too. */
START_TEST(the_initrd_is_within_the_kernels_reach)
{
	struct synth_file initrd;

	synth_file_new(&initrd, "initrd", 6);
	open_image();
	memory(BASE, GIB(40));
	ck_assert_msg(!load(initrd.path, NULL), "%s", e.text);
	ck_assert_uint_eq(entry.initrd_gpa, GIB(33) - 4096);
	synth_file_free(&initrd);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	static uint8_t contents[MIB(4)];
	struct synth_file initrd;
	char long_line[2049];

	open_image();
	memory(BASE, MIB(2));
	ck_assert_int_eq(load(NULL, NULL), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "--memory"));
	gmem_free(mem);
	memory(BASE, MIB(6));
	ck_assert_int_eq(load(NULL, NULL), 0);
	synth_file_new(&initrd, contents, sizeof(contents));
	ck_assert_int_eq(load(initrd.path, NULL), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "initrd"));
	synth_file_free(&initrd);
	memset(long_line, 'a', sizeof(long_line) - 1);
	long_line[2048] = '\0';
	ck_assert_int_eq(load(NULL, long_line), -E2BIG);
	long_line[2047] = '\0';
	ck_assert_int_eq(load(NULL, long_line), 0);
}
END_TEST

START_TEST(a_machine_without_ram_is_refused)
{
	open_image();
	ck_assert_int_eq(gmem_new(&mem, NULL), 0);
	ck_assert_int_eq(load(NULL, NULL), -ENOSPC);
}
END_TEST

TCase *arm64_case(void)
{
	TCase *tc = tcase_create("arm64");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, the_header_is_read, 0, 4);
	tcase_add_test(tc, a_truncated_efi_image_is_known_by_its_sections);
	tcase_add_test(tc, the_kernel_in_a_zboot_image_is_found);
	tcase_add_loop_test(tc, impossible_numbers_are_refused, 0, 4);
	tcase_add_loop_test(tc, the_kernel_goes_to_its_offset_from_2_mib, 0, 3);
	tcase_add_test(tc, the_device_tree_has_2_mib_of_its_own);
	tcase_add_test(tc, the_initrd_ends_where_ram_does);
	tcase_add_test(tc, the_initrd_is_within_the_kernels_reach);
	tcase_add_test(tc, what_does_not_fit_is_refused);
	tcase_add_test(tc, a_machine_without_ram_is_refused);
	return tc;
}
