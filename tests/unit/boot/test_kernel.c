/* What kernel_open says of files that it cannot take, and which it takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/util.h"
#include "synth.h"
#include "tests.h"
#include "unit.h"

#define ARM64_BYTES 4096

static void arm64_image(uint8_t bytes[ARM64_BYTES])
{
	memset(bytes, 0, ARM64_BYTES);
	put_le64(bytes + 16, 0x10000);
	memcpy(bytes + 56, "ARM\x64", 4);
}

/* Opening fails with a sentence that contains @part, and leaves nothing open. */
static void refused(const void *bytes, size_t len, enum kernel_arch host, const char *part)
{
	struct kernel_image image;
	struct err e = {0};

	ck_assert_int_lt(synth_open(bytes, len, host, &image, &e), 0);
	ck_assert_msg(strstr(e.text, part), "no \"%s\" in: %s", part, e.text);
	ck_assert_int_eq(image.fd, -1);
	ck_assert_ptr_null(image.path);
}

static void path_refused(const char *path, int ret, const char *part)
{
	struct kernel_image image;
	struct err e = {0};

	ck_assert_int_eq(kernel_open(path, KERNEL_X86_64, &image, &e), ret);
	ck_assert_msg(strstr(e.text, path) && strstr(e.text, part), "%s", e.text);
	kernel_close(&image);
}

START_TEST(what_is_not_a_file_is_refused)
{
	char fifo[] = "/tmp/sarang-fifo-XXXXXX";

	path_refused("/nonexistent/vmlinuz", -ENOENT, "cannot open the kernel");
	path_refused("/", -EISDIR, "is a directory");
	path_refused("/dev/null", -EINVAL, "is not a regular file");
	ck_assert_ptr_nonnull(mkdtemp(fifo));
	ck_assert_int_eq(rmdir(fifo), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	path_refused(fifo, -EINVAL, "is not a regular file"); /* and does not wait for a writer */
	unlink(fifo);
}
END_TEST

START_TEST(what_is_not_a_kernel_is_refused)
{
	uint64_t seed = unit_seed();
	uint8_t bytes[8192];
	size_t i;

	refused("", 0, KERNEL_X86_64, "is empty");
	refused("x", 1, KERNEL_X86_64, "is not a kernel that sarang can start");
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)unit_random(&seed);
	bytes[0] = 'x'; /* not by chance a magic number */
	refused(bytes, sizeof(bytes), KERNEL_X86_64, "is not a kernel that sarang can start");
	memset(bytes, 0, sizeof(bytes));
	refused(bytes, sizeof(bytes), KERNEL_X86_64, "is not a kernel that sarang can start");
}
END_TEST

START_TEST(a_kernel_for_another_architecture_names_both)
{
	uint8_t arm64[ARM64_BYTES], bzimage[SYNTH_BZIMAGE_BYTES], elf[SYNTH_ELF_BYTES];

	arm64_image(arm64);
	synth_bzimage(bzimage);
	synth_elf(elf);
	refused(arm64, sizeof(arm64), KERNEL_X86_64, "is for aarch64 (arm64 Image)");
	refused(arm64, sizeof(arm64), KERNEL_X86_64, "this machine is x86_64");
	refused(bzimage, sizeof(bzimage), KERNEL_AARCH64, "is for x86_64 (bzImage)");
	refused(bzimage, sizeof(bzimage), KERNEL_AARCH64, "this machine is aarch64");
	refused(elf, sizeof(elf), KERNEL_AARCH64, "is an ELF file for x86_64");
	put_le16(elf + 18, 183);
	refused(elf, sizeof(elf), KERNEL_X86_64, "is an ELF file for aarch64");
	put_le16(elf + 18, 3);
	elf[4] = 1; /* ELFCLASS32 */
	refused(elf, sizeof(elf), KERNEL_X86_64, "is an ELF file for i386");
	put_le16(elf + 18, 62);
	refused(elf, sizeof(elf), KERNEL_X86_64, "32-bit ELF");
	elf[5] = 2; /* ELFDATA2MSB */
	refused(elf, sizeof(elf), KERNEL_X86_64, "big-endian");
}
END_TEST

START_TEST(an_arm64_image_is_recognised)
{
	uint8_t bytes[ARM64_BYTES];
	struct kernel_image image;
	struct err e = {0};

	arm64_image(bytes);
	ck_assert_int_eq(synth_open(bytes, sizeof(bytes), KERNEL_AARCH64, &image, &e), 0);
	ck_assert_int_eq(image.format, KERNEL_ARM64_IMAGE);
	ck_assert_uint_eq(image.min_bytes, 0x10000);
	kernel_close(&image);
	put_le64(bytes + 16, UINT64_MAX);
	put_le64(bytes + 8, 1);
	refused(bytes, sizeof(bytes), KERNEL_AARCH64, "impossible size");
	put_le64(bytes + 16, 0);
	refused(bytes, sizeof(bytes), KERNEL_AARCH64, "gives no size");
}
END_TEST

START_TEST(bzimages_that_cannot_be_started_say_why)
{
	uint8_t good[SYNTH_BZIMAGE_BYTES], bytes[SYNTH_BZIMAGE_BYTES];

	synth_bzimage(good);
#define BAD(at, put, value, part)                                   \
	do {                                                        \
		memcpy(bytes, good, sizeof(bytes));                 \
		put(bytes + (at), value);                           \
		refused(bytes, sizeof(bytes), KERNEL_X86_64, part); \
	} while (0)
	BAD(0x206, put_le16, 0x20b, "boot protocol 2.11");
	BAD(0x210, put_le16, 0, "zImage");
	BAD(0x236, put_le16, 2, "32-bit x86");
	BAD(0x200, put_le16, 0x10eb, "setup header ends at 0x212");
	BAD(0x1f4, put_le32, SYNTH_BZIMAGE_PAYLOAD / 16 + 1, "truncated");
	BAD(0x1f4, put_le32, UINT32_MAX, "truncated");
	BAD(0x1f4, put_le32, 0x200 / 16, "only 512 bytes of code");
	BAD(0x258, put_le64, 0x1000, "wants to be at 0x1000");
	BAD(0x258, put_le64, 0xc0000000, "wants to be at 0xc0000000");
	BAD(0x258, put_le64, UINT64_MAX, "wants to be at 0xffffffffffffffff");
	bytes[0x1f1] = 200; /* sectors of setup: past the end of the file */
	put_le64(bytes + 0x258, 0x100000);
	refused(bytes, sizeof(bytes), KERNEL_X86_64, "truncated");
#undef BAD
}
END_TEST

/* Wherever a download breaks off, the file is refused, and past its header in so many words. */
START_TEST(a_truncated_kernel_is_refused_at_every_length)
{
	uint8_t bzimage[SYNTH_BZIMAGE_BYTES], elf[SYNTH_ELF_BYTES];
	struct kernel_image image;
	struct err e;
	size_t len;

	synth_bzimage(bzimage);
	synth_elf(elf);
	for (len = 1; len <= SYNTH_BZIMAGE_BYTES - 16; len += len < 0x300 ? 1 : 61) {
		e = (struct err){0};
		ck_assert_int_lt(synth_open(bzimage, len, KERNEL_X86_64, &image, &e), 0);
		if (len >= 0x268)
			ck_assert_msg(strstr(e.text, "truncated"), "%zu: %s", len, e.text);
	}
	for (len = 1; len < SYNTH_ELF_BYTES; len += len < 0x300 ? 1 : 61) {
		e = (struct err){0};
		ck_assert_int_lt(synth_open(elf, len, KERNEL_X86_64, &image, &e), 0);
		if (len >= 64)
			ck_assert_msg(strstr(e.text, "truncated"), "%zu: %s", len, e.text);
	}
}
END_TEST

START_TEST(closing_twice_is_harmless)
{
	uint8_t bytes[SYNTH_BZIMAGE_BYTES];
	struct kernel_image image = {0};
	struct err e = {0};
	int zero = dup2(open("/dev/null", O_RDONLY), 0); /* sure to be open */

	ck_assert_int_eq(zero, 0);
	kernel_close(&image); /* zeroed: its fd 0 is not the image's */
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
	synth_bzimage(bytes);
	ck_assert_int_eq(synth_open(bytes, sizeof(bytes), KERNEL_X86_64, &image, &e), 0);
	kernel_close(&image);
	kernel_close(&image);
	ck_assert_int_eq(image.fd, -1);
}
END_TEST

TCase *kernel_case(void)
{
	TCase *tc = tcase_create("kernel");

	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, what_is_not_a_file_is_refused);
	tcase_add_test(tc, what_is_not_a_kernel_is_refused);
	tcase_add_test(tc, a_kernel_for_another_architecture_names_both);
	tcase_add_test(tc, an_arm64_image_is_recognised);
	tcase_add_test(tc, bzimages_that_cannot_be_started_say_why);
	tcase_add_test(tc, a_truncated_kernel_is_refused_at_every_length);
	tcase_add_test(tc, closing_twice_is_harmless);
	return tc;
}
