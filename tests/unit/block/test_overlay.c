/*
 * Ephemeral disks: the guest sees what it writes over a base that stays as it is, in a file that
 * has no name, beside others on the same base.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "block/qcow2_tools.h"
#include "image_case.h"

#define BASE_BYTES (MIB(3) + 7 * 4096)
#define OPS        400
#define LEN_MAX    (160 * 1024)

/* A disk, and what has to be in it. */
struct twin {
	struct blk *blk;
	unsigned char *bytes;
};

static struct blk *open_disk(struct loop *loop, const struct blk_options *options)
{
	struct err e = {0};
	struct blk *blk;
	int ret = blk_open(options, loop, &blk, &e);

	ck_assert_msg(ret == 0, "%s", e.text);
	return blk;
}

/* Makes the base, raw or qcow2, half full of @bytes, which is all that it reads as. */
static void make_base(struct image_case *c, const char *format, unsigned char *bytes)
{
	struct blk_options options = {.path = c->path, .format = format};
	struct blk *blk;
	uint64_t at;

	if (!strcmp(format, "qcow2")) {
		struct qcow2_create_options create = {.size_bytes = BASE_BYTES};
		struct file_options file_options = {.path = c->path};
		struct file *file;
		struct err e = {0};

		ck_assert_int_eq(file_open(&file_options, c->loop, &file, &e), 0);
		ck_assert_msg(qcow2_create(file, &create, &e) == 0, "%s", e.text);
		file_close(file);
	}
	blk = open_disk(c->loop, &options);
	for (at = 0; at < BASE_BYTES; at += KIB(128)) {
		uint64_t len = MIN(KIB(64), BASE_BYTES - at);

		memset(bytes + at, (int)(1 + at / KIB(128)), len);
		ck_assert_int_eq(blk_pwrite(blk, at, bytes + at, len), 0);
	}
	blk_close(blk);
}

static unsigned char *slurp(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	unsigned char *bytes;
	struct stat st;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, *len, file), *len);
	fclose(file);
	return bytes;
}

static int do_range(struct blk *blk, enum blk_op op, uint64_t offset, uint64_t len)
{
	struct image_case owner = {.blk = blk};

	return image_do(&owner, op, offset, len);
}

/* Each piece of a discarded range reads as zeroes or as before: the model takes over which. */
static void learn_discarded(struct twin *t, uint64_t offset, uint64_t len, unsigned char *buf)
{
	static const unsigned char zeroes[512];
	uint64_t at;

	ck_assert_int_eq(blk_pread(t->blk, offset, buf, len), 0);
	for (at = 0; at < len; at += sizeof(zeroes))
		ck_assert(!memcmp(buf + at, zeroes, sizeof(zeroes)) ||
			  !memcmp(buf + at, t->bytes + offset + at, sizeof(zeroes)));
	memcpy(t->bytes + offset, buf, len);
}

/* One random thing on @t. */
static void step(struct twin *t, uint64_t *random)
{
	static unsigned char buf[LEN_MAX];
	uint64_t offset = unit_random(random) % (BASE_BYTES / 512) * 512;
	uint64_t len = 512 + unit_random(random) % (LEN_MAX / 512) * 512;

	len = MIN(len, BASE_BYTES - offset);
	switch (unit_random(random) % 8) {
	case 0:
		ck_assert_int_eq(do_range(t->blk, BLK_WRITE_ZEROES, offset, len), 0);
		memset(t->bytes + offset, 0, len);
		break;
	case 1:
		ck_assert_int_eq(do_range(t->blk, BLK_DISCARD, offset, len), 0);
		learn_discarded(t, offset, len, buf);
		break;
	case 2:
		ck_assert_int_eq(blk_flush(t->blk), 0);
		break;
	case 3:
	case 4:
		ck_assert_int_eq(blk_pread(t->blk, offset, buf, len), 0);
		ck_assert_int_eq(memcmp(buf, t->bytes + offset, len), 0);
		break;
	default:
		memset(buf, (int)(unit_random(random) | 1), len);
		memcpy(t->bytes + offset, buf, len);
		ck_assert_int_eq(blk_pwrite(t->blk, offset, buf, len), 0);
	}
}

static const char *const formats[] = {"raw", "qcow2"};

START_TEST(writes_are_private_and_the_base_stays)
{
	unsigned char *bytes = calloc(1, BASE_BYTES), *before, *after;
	struct blk_options options = {.format = formats[_i], .ephemeral = true};
	uint64_t random = unit_seed() + (uint64_t)_i;
	struct image_case c;
	struct twin twins[3];
	size_t before_len, after_len, i;
	unsigned n;

	image_make(&c, BASE_BYTES);
	make_base(&c, formats[_i], bytes);
	before = slurp(c.path, &before_len);
	options.path = c.path;
	for (i = 0; i < ARRAY_SIZE(twins); i++) {
		twins[i].blk = open_disk(c.loop, &options);
		twins[i].bytes = malloc(BASE_BYTES);
		ck_assert_ptr_nonnull(twins[i].bytes);
		memcpy(twins[i].bytes, bytes, BASE_BYTES);
		ck_assert(twins[i].blk->info.ephemeral && !twins[i].blk->info.read_only);
		ck_assert_uint_eq(twins[i].blk->info.capacity_bytes, BASE_BYTES);
		ck_assert_str_eq(twins[i].blk->info.format, formats[_i]);
	}
	for (n = 0; n < OPS; n++)
		step(&twins[unit_random(&random) % ARRAY_SIZE(twins)], &random);
	for (i = 0; i < ARRAY_SIZE(twins); i++) {
		unsigned char *all = malloc(BASE_BYTES);

		ck_assert_int_eq(blk_pread(twins[i].blk, 0, all, BASE_BYTES), 0);
		ck_assert_int_eq(memcmp(all, twins[i].bytes, BASE_BYTES), 0);
		free(all);
		free(twins[i].bytes);
		blk_close(twins[i].blk);
	}
	after = slurp(c.path, &after_len);
	ck_assert_uint_eq(after_len, before_len);
	ck_assert_int_eq(memcmp(before, after, after_len), 0);
	free(before);
	free(after);
	free(bytes);
	image_free(&c);
}
END_TEST

static unsigned files_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

START_TEST(the_temporary_file_has_no_name)
{
	static unsigned char buf[KIB(64)];
	struct image_case c;
	struct blk *blk;

	image_make(&c, MIB(1));
	ck_assert_int_eq(setenv("TMPDIR", c.dir, 1), 0);
	blk = open_disk(c.loop, &(struct blk_options){.path = c.path, .ephemeral = true});
	ck_assert_int_eq(blk_pwrite(blk, 0, buf, sizeof(buf)), 0);
	ck_assert_uint_eq(files_in(c.dir), 1);
	blk_close(blk);
	ck_assert_uint_eq(files_in(c.dir), 1);
	image_free(&c);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named)
{
	struct image_case c;
	struct err e = {0};
	struct blk *blk;

	image_make(&c, MIB(1));
	ck_assert_int_eq(setenv("TMPDIR", "/nonesuch", 1), 0);
	ck_assert_int_eq(blk_open(&(struct blk_options){.path = c.path, .ephemeral = true}, c.loop,
				  &blk, &e),
			 -ENOENT);
	ck_assert_msg(strstr(e.text, "/nonesuch") && strstr(e.text, "TMPDIR"), "%s", e.text);
	/* And the base is free again. */
	blk = open_disk(c.loop, &(struct blk_options){.path = c.path});
	blk_close(blk);
	image_free(&c);
}
END_TEST

START_TEST(the_base_is_locked_for_readers)
{
	struct blk_options ephemeral = {.ephemeral = true}, writer = {0}, reader = {.read_only = 1};
	struct image_case c;
	struct err e = {0};
	struct blk *blk, *other;

	image_make(&c, MIB(1));
	ephemeral.path = writer.path = reader.path = c.path;
	blk = open_disk(c.loop, &ephemeral);
	ck_assert_int_eq(blk_open(&writer, c.loop, &other, &e), -EBUSY);
	other = open_disk(c.loop, &reader);
	blk_close(other);
	blk_close(blk);
	blk = open_disk(c.loop, &writer);
	ck_assert_int_eq(blk_open(&ephemeral, c.loop, &other, &e), -EBUSY);
	blk_close(blk);
	image_free(&c);
}
END_TEST

TCase *overlay_case(void)
{
	TCase *c = tcase_create("overlay");

	tcase_add_loop_test(c, writes_are_private_and_the_base_stays, 0, ARRAY_SIZE(formats));
	tcase_add_test(c, the_temporary_file_has_no_name);
	tcase_add_test(c, a_folder_that_is_not_there_is_named);
	tcase_add_test(c, the_base_is_locked_for_readers);
	return c;
}
