/* What is refused, and in which words; what is reported about an image that is not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "image_case.h"

/* Both ways in must agree. */
static void expect_refusal(struct image_case *c, struct blk_options options, int error,
			   const char *words)
{
	struct blk_info info;
	struct err e = {0};
	struct blk *blk;

	ck_assert_int_eq(blk_probe(&options, &info, &e), -error);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" lacks \"%s\"", e.text, words);
	ck_assert_msg(strstr(e.text, options.path) || strstr(e.text, "format"), "%s", e.text);
	e.text[0] = '\0';
	ck_assert_int_eq(blk_open(&options, c->loop, &blk, &e), -error);
	ck_assert_msg(strstr(e.text, words) != NULL, "\"%s\" lacks \"%s\"", e.text, words);
}

START_TEST(refuses_what_is_no_image)
{
	static const struct {
		uint64_t size;
		const char *words;
	} sizes[] = {
		{0, "is empty"},
		{1, "is 1 bytes long, which is not a multiple of 512"},
		{1000, "is 1000 bytes long, which is not a multiple of 512"},
		{MIB(1) + 511, "not a multiple of 512"},
	};
	struct image_case c;
	char missing[64];
	size_t i;

	image_make(&c, 0);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_int_eq(truncate(c.path, (off_t)sizes[i].size), 0);
		expect_refusal(&c, (struct blk_options){.path = c.path}, EINVAL, sizes[i].words);
	}
	snprintf(missing, sizeof(missing), "%s/missing", c.dir);
	expect_refusal(&c, (struct blk_options){.path = missing}, ENOENT, "does not exist");
	expect_refusal(&c, (struct blk_options){.path = c.dir}, EISDIR, "is a directory");
	expect_refusal(&c, (struct blk_options){.path = "/dev/null"}, EINVAL, "character device");
	expect_refusal(&c, (struct blk_options){.path = c.path, .format = "vdi"}, EINVAL,
		       "unknown disk format vdi");
	image_free(&c);
}
END_TEST

START_TEST(refuses_a_pipe_without_waiting_for_its_other_end)
{
	struct image_case c;
	char pipe_path[64];

	image_make(&c, 512);
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", c.dir);
	ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
	expect_refusal(&c, (struct blk_options){.path = pipe_path}, EINVAL, "is a pipe");
	expect_refusal(&c, (struct blk_options){.path = pipe_path, .read_only = true}, EINVAL,
		       "is a pipe");
	unlink(pipe_path);
	image_free(&c);
}
END_TEST

START_TEST(tells_how_to_use_an_image_that_cannot_be_written)
{
	struct blk_info info;
	struct image_case c;
	struct err e;

	image_make(&c, 4096);
	ck_assert_int_eq(chmod(c.path, 0444), 0);
	ck_assert_int_eq(chmod(c.dir, 0755), 0);
	/* Root may write what nobody may: the words are for everybody else. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	if (access(".", X_OK) == 0 && eaccess(c.path, R_OK) == 0) {
		expect_refusal(&c, (struct blk_options){.path = c.path}, EACCES, "with ,ro");
		ck_assert_int_eq(blk_probe(&(struct blk_options){.path = c.path, .read_only = true},
					   &info, &e),
				 0);
		ck_assert(info.read_only);
		ck_assert_uint_eq(info.discard_bytes, 0);
	}
	ck_assert_int_eq(seteuid(getuid()), 0);
	image_free(&c);
}
END_TEST

START_TEST(reports_the_disk)
{
	struct blk_info info;
	struct image_case c;
	struct err e = {0};

	image_make(&c, MIB(3) + 512);
	ck_assert_int_eq(blk_probe(&(struct blk_options){.path = c.path}, &info, &e), 0);
	ck_assert_uint_eq(info.capacity_bytes, MIB(3) + 512);
	ck_assert_uint_eq(info.block_bytes, 512);
	ck_assert_uint_eq(info.align_bytes, 1);
	ck_assert_uint_ge(info.physical_bytes, 512);
	ck_assert_uint_eq(info.physical_bytes & (info.physical_bytes - 1), 0);
	ck_assert(!info.read_only);
	ck_assert_str_eq(info.format, "raw");
	image_free(&c);
}
END_TEST

/* A guest that writes a qcow2 header into its raw disk gains nothing: the format is never guessed.
 */
START_TEST(qcow2_in_a_raw_disk_stays_raw)
{
	unsigned char header[512] = {'Q', 'F', 'I', 0xfb}, back[512];
	struct blk_options options;
	struct image_case c;
	struct err e = {0};
	struct blk *blk;

	image_make(&c, MIB(1));
	options = (struct blk_options){.path = c.path};
	memcpy(header + 72, "/etc/passwd", 11);
	put_be32(header + 4, 2);
	put_be64(header + 8, 72);
	put_be32(header + 16, 11);
	put_be64(header + 24, GIB(1));
	ck_assert_int_eq(blk_open(&options, c.loop, &blk, &e), 0);
	ck_assert_int_eq(blk_pwrite(blk, 0, header, sizeof(header)), 0);
	blk_close(blk);
	ck_assert_int_eq(blk_open(&options, c.loop, &blk, &e), 0);
	ck_assert_uint_eq(blk->info.capacity_bytes, MIB(1));
	ck_assert_str_eq(blk->info.format, "raw");
	ck_assert_int_eq(blk_pread(blk, 0, back, sizeof(back)), 0);
	ck_assert_mem_eq(back, header, sizeof(header));
	blk_close(blk);
	image_free(&c);
}
END_TEST

TCase *open_case(void)
{
	TCase *tc = tcase_create("open");

	tcase_add_test(tc, refuses_what_is_no_image);
	tcase_add_test(tc, refuses_a_pipe_without_waiting_for_its_other_end);
	tcase_add_test(tc, tells_how_to_use_an_image_that_cannot_be_written);
	tcase_add_test(tc, reports_the_disk);
	tcase_add_test(tc, qcow2_in_a_raw_disk_stays_raw);
	return tc;
}
