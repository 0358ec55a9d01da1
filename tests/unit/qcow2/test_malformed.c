/*
 * Images that somebody has made to do harm: a sound one, and a number in it that is not. Each is
 * refused with a sentence when it is opened, or found by a check; and whatever is tried with it
 * ends, with an error where that is right, in bounded memory and time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/util.h"
#include "block/qcow2_tools.h"
#include "qcow2_case.h"

#define SIZE    MIB(1)
#define CLUSTER UINT64_C(4096)

/* What a patch is relative to. */
enum part { HEADER, L1, L2, REFTABLE, REFBLOCK, SNAPSHOTS, SNAPSHOT_L1, PARTS };

enum outcome {
	REFUSED, /* cannot be opened */
	CORRUPT, /* is found by a check */
	NO_LIST, /* has no snapshots that could be read, and cannot be checked */
	SOUND,   /* is nothing wrong with */
};

struct patch {
	const char *name;
	enum part part;
	unsigned at, width;
	uint64_t value;
	enum outcome outcome;
	enum part self; /* not 0: the value is added to where that part is */
};

#define FAR (UINT64_C(1) << 50)

static const struct patch patches[] = {
	{.name = "nothing", .part = HEADER, .width = 4, .value = 0x514649fb, .outcome = SOUND},
	{"another magic", HEADER, 0, 4, 0x514649fa, REFUSED, 0},
	{"version 4", HEADER, 4, 4, 4, REFUSED, 0},
	{"version 1", HEADER, 4, 4, 1, REFUSED, 0},
	{"version 2^32-1", HEADER, 4, 4, UINT32_MAX, REFUSED, 0},
	{"backing name beyond its cluster", HEADER, 8, 8, CLUSTER + 1, REFUSED, 0},
	{"backing name far away", HEADER, 8, 8, UINT64_MAX, REFUSED, 0},
	{"clusters of 256", HEADER, 20, 4, 8, REFUSED, 0},
	{"clusters of 4M", HEADER, 20, 4, 22, REFUSED, 0},
	{"clusters of 2^64", HEADER, 20, 4, 64, REFUSED, 0},
	{"clusters of 2^(2^32)", HEADER, 20, 4, UINT32_MAX, REFUSED, 0},
	{"a size of 2^63", HEADER, 24, 8, UINT64_C(1) << 63, REFUSED, 0},
	{"a size of 2^63-1", HEADER, 24, 8, INT64_MAX, REFUSED, 0},
	{"more than L1 maps", HEADER, 24, 8, MIB(16), REFUSED, 0},
	{"AES", HEADER, 32, 4, 1, REFUSED, 0},
	{"LUKS", HEADER, 32, 4, 2, REFUSED, 0},
	{"L1 of 2^32-1", HEADER, 36, 4, UINT32_MAX, REFUSED, 0},
	{"L1 of 4M+1", HEADER, 36, 4, (4 << 20) + 1, REFUSED, 0},
	{"L1 of 4M in a small file", HEADER, 36, 4, 4 << 20, REFUSED, 0},
	{"L1 of none", HEADER, 36, 4, 0, REFUSED, 0},
	{"L1 not aligned", HEADER, 40, 8, 513, REFUSED, 0},
	{"L1 far away", HEADER, 40, 8, FAR, REFUSED, 0},
	{"L1 at 2^64", HEADER, 40, 8, -CLUSTER, REFUSED, 0},
	{"no refcount table", HEADER, 48, 8, 0, REFUSED, 0},
	{"refcount table not aligned", HEADER, 48, 8, 100, REFUSED, 0},
	{"refcount table far away", HEADER, 48, 8, FAR, REFUSED, 0},
	{"refcount table of none", HEADER, 56, 4, 0, REFUSED, 0},
	{"refcount table of 2^32-1", HEADER, 56, 4, UINT32_MAX, REFUSED, 0},
	{"2^32-1 snapshots", HEADER, 60, 4, UINT32_MAX, REFUSED, 0},
	{"65537 snapshots", HEADER, 60, 4, 65537, REFUSED, 0},
	{"65536 snapshots", HEADER, 60, 4, 65536, NO_LIST, 0},
	{"a second snapshot of nothing", HEADER, 60, 4, 2, SOUND, 0},
	{"no snapshot", HEADER, 60, 4, 0, CORRUPT, 0},
	{"snapshots not aligned", HEADER, 64, 8, 1, REFUSED, 0},
	{"snapshots far away", HEADER, 64, 8, FAR, NO_LIST, 0},
	{"snapshots in the header", HEADER, 64, 8, 0, CORRUPT, 0},
	{"an unknown feature", HEADER, 72, 8, UINT64_C(1) << 40, REFUSED, 0},
	{"subclusters of 128", HEADER, 72, 8, QCOW2_EXTENDED_L2, REFUSED, 0},
	{"marked as corrupt", HEADER, 72, 8, QCOW2_CORRUPT, REFUSED, 0},
	{"a data file without a name", HEADER, 72, 8, QCOW2_DATA_FILE, REFUSED, 0},
	{"raw data without a data file", HEADER, 88, 8, QCOW2_RAW_DATA, REFUSED, 0},
	{"counts of 128 bits", HEADER, 96, 4, 7, REFUSED, 0},
	{"counts of 2^(2^32)", HEADER, 96, 4, UINT32_MAX, REFUSED, 0},
	{"counts of another width", HEADER, 96, 4, 3, CORRUPT, 0},
	{"a header of 96", HEADER, 100, 4, 96, REFUSED, 0},
	{"a header of 2^32-8", HEADER, 100, 4, UINT32_MAX - 7, REFUSED, 0},
	{"a header of 105", HEADER, 100, 4, 105, REFUSED, 0},
	{"compression 7", HEADER, 104, 1, 7, REFUSED, 0},
	{"an extension of 2^32-1", HEADER, 116, 4, UINT32_MAX, REFUSED, 0},

	{"an L2 table that is the L1 table", L1, 0, 8, QCOW2_COPIED, CORRUPT, L1},
	{"an L2 table in the refcount block", L1, 0, 8, QCOW2_COPIED, CORRUPT, REFBLOCK},
	{"an L2 table in the snapshot table", L1, 0, 8, QCOW2_COPIED, CORRUPT, SNAPSHOTS},
	{"an L2 table not aligned", L1, 0, 8, 512, CORRUPT, L2},
	{"an L2 table far away", L1, 0, 8, QCOW2_COPIED | FAR, CORRUPT, 0},
	{"an L2 table that is not counted", L1, 0, 8, QCOW2_COPIED | 0x40000, CORRUPT, 0},

	{"data in its own table", L2, 0, 8, QCOW2_COPIED, CORRUPT, L2},
	{"data in the L1 table", L2, 0, 8, QCOW2_COPIED, CORRUPT, L1},
	{"data in the refcount table", L2, 0, 8, QCOW2_COPIED, CORRUPT, REFTABLE},
	{"data in the refcount block", L2, 0, 8, QCOW2_COPIED, CORRUPT, REFBLOCK},
	{"data in the snapshot table", L2, 0, 8, QCOW2_COPIED, CORRUPT, SNAPSHOTS},
	{"data in a snapshot's L1 table", L2, 0, 8, QCOW2_COPIED, CORRUPT, SNAPSHOT_L1},
	{"data far away", L2, 0, 8, QCOW2_COPIED | FAR, CORRUPT, 0},
	{"data not aligned", L2, 0, 8, QCOW2_COPIED | 512, CORRUPT, L2},
	{"compressed, far away", L2, 0, 8, QCOW2_COMPRESSED | FAR, CORRUPT, 0},
	{"compressed, of all there is", L2, 0, 8, QCOW2_COMPRESSED | UINT64_C(0xf) << 58 | 1,
	 CORRUPT, 0},

	{"a refcount block that is not there", REFTABLE, 0, 8, 0, CORRUPT, 0},
	{"a refcount block far away", REFTABLE, 0, 8, FAR, CORRUPT, 0},
	{"a refcount block not aligned", REFTABLE, 0, 8, 512, CORRUPT, REFBLOCK},
	{"a refcount block that is its table", REFTABLE, 0, 8, 0, CORRUPT, REFTABLE},
	{"a refcount block that is the L1 table", REFTABLE, 0, 8, 0, CORRUPT, L1},
	{"a refcount block that counts twice", REFTABLE, 8, 8, 0, CORRUPT, REFBLOCK},
	{"the header is not counted", REFBLOCK, 0, 2, 0, CORRUPT, 0},
	{"the header is counted 65535 times", REFBLOCK, 0, 2, 65535, CORRUPT, 0},

	{"a snapshot's L1 table not aligned", SNAPSHOTS, 0, 8, 513, CORRUPT, 0},
	{"a snapshot's L1 table far away", SNAPSHOTS, 0, 8, FAR, CORRUPT, 0},
	{"a snapshot's L1 table at 2^64", SNAPSHOTS, 0, 8, -CLUSTER, CORRUPT, 0},
	{"a snapshot's L1 table is the disk's", SNAPSHOTS, 0, 8, 0, CORRUPT, L1},
	{"a snapshot's L1 table of 2^32-1", SNAPSHOTS, 8, 4, UINT32_MAX, NO_LIST, 0},
	{"a snapshot's L1 table of 4M", SNAPSHOTS, 8, 4, 4 << 20, CORRUPT, 0},
	{"a snapshot's ID of 64K", SNAPSHOTS, 12, 2, UINT16_MAX, NO_LIST, 0},
	{"a snapshot's name of 64K", SNAPSHOTS, 14, 2, UINT16_MAX, NO_LIST, 0},
	{"a snapshot's extra data of 4G", SNAPSHOTS, 36, 4, UINT32_MAX, NO_LIST, 0},
	{"a snapshot's extra data of 1025", SNAPSHOTS, 36, 4, 1025, NO_LIST, 0},
	{"a snapshot of 2^63 bytes", SNAPSHOTS, 48, 8, UINT64_C(1) << 63, SOUND, 0},
	{"a snapshot of 2^64-1 bytes", SNAPSHOTS, 48, 8, UINT64_MAX, SOUND, 0},
	{"a snapshot's L2 table far away", SNAPSHOT_L1, 0, 8, FAR, CORRUPT, 0},
	{"a snapshot's L2 table is its L1 table", SNAPSHOT_L1, 0, 8, 0, CORRUPT, SNAPSHOT_L1},
	{"a snapshot's L2 table not aligned", SNAPSHOT_L1, 0, 8, 512, CORRUPT, L2},
};

struct image {
	unsigned char *bytes;
	size_t len;
	uint64_t at[PARTS];
};

/* A sound image with data and a snapshot, after which some was written again. */
static void make_sound(struct qcow2_case *c, struct image *image)
{
	struct qcow2_create_options options = {.size_bytes = SIZE, .cluster_bits = 12};
	unsigned char bytes[3 * CLUSTER];
	struct file_options file_options;
	struct err e = {0};
	struct file *file;
	char path[96];

	snprintf(path, sizeof(path), "%s/a.qcow2", c->dir);
	file_options = (struct file_options){.path = path};
	fclose(fopen(path, "we"));
	ck_assert_int_eq(file_open(&file_options, c->loop, &file, &e), 0);
	ck_assert_msg(qcow2_create(file, &options, &e) == 0, "%s", e.text);
	file_close(file);
	qcow2_case_open(c, "a.qcow2");
	memset(bytes, 7, sizeof(bytes));
	ck_assert_int_eq(blk_pwrite(c->blk, 0, bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(qcow2_snapshot_create(qcow2_of(c->blk), "s", &e), 0);
	ck_assert_int_eq(blk_pwrite(c->blk, 0, bytes, CLUSTER), 0);
	qcow2_case_close(c);
	image->bytes = qcow2_slurp(c, "a.qcow2", &image->len);
	image->at[L1] = get_be64(image->bytes + 40);
	image->at[REFTABLE] = get_be64(image->bytes + 48);
	image->at[SNAPSHOTS] = get_be64(image->bytes + 64);
	image->at[L2] = get_be64(image->bytes + image->at[L1]) & QCOW2_OFFSET_MASK;
	image->at[REFBLOCK] = get_be64(image->bytes + image->at[REFTABLE]);
	image->at[SNAPSHOT_L1] = get_be64(image->bytes + image->at[SNAPSHOTS]);
}

static void apply_patch(const struct image *image, const struct patch *p, unsigned char *bytes)
{
	uint64_t value = p->value + (p->self ? image->at[p->self] : 0);
	unsigned char *at = bytes + image->at[p->part] + p->at;

	memcpy(bytes, image->bytes, image->len);
	if (p->width == 8)
		put_be64(at, value);
	else if (p->width == 4)
		put_be32(at, (uint32_t)value);
	else if (p->width == 2)
		put_be16(at, (uint16_t)value);
	else
		*at = (unsigned char)value;
}

static void spit(const struct qcow2_case *c, const unsigned char *bytes, size_t len)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/b.qcow2", c->dir);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

/* What a check says of b.qcow2, opened as the command does. */
static enum outcome examine(struct qcow2_case *c, enum qcow2_repair repair)
{
	struct qcow2_check_report report = {0};
	struct blk_options options = {.format = "qcow2",
				      .read_only = !repair,
				      .repairing = true,
				      .no_backing = true};
	struct qcow2_snapshots list;
	struct err e = {0};
	struct blk *blk;
	char path[96];
	int ret;

	snprintf(path, sizeof(path), "%s/b.qcow2", c->dir);
	options.path = path;
	if (blk_open(&options, c->loop, &blk, &e) < 0) {
		ck_assert_uint_gt(strlen(e.text), 10);
		return REFUSED;
	}
	ret = qcow2_snapshots_read(qcow2_of(blk), &list, &e);
	qcow2_snapshots_free(&list);
	if (!ret) {
		ret = qcow2_check(qcow2_of(blk), repair, &report, &e);
		ck_assert_msg(ret == 0, "cannot be checked: %s", e.text);
	}
	blk_close(blk);
	if (ret < 0)
		ck_assert_uint_gt(strlen(e.text), 10);
	if (ret < 0)
		return NO_LIST;
	return report.corruptions > report.fixed_corruptions || report.leaks > report.fixed_leaks
		       ? CORRUPT
		       : SOUND;
}

/* Reads and writes in many places: errors are fine, and nothing else is. */
static void use(struct qcow2_case *c)
{
	unsigned char bytes[3 * CLUSTER] = {1};
	struct err e = {0};
	uint64_t at;

	if (qcow2_case_try(c, "b.qcow2", &e) < 0) {
		ck_assert_uint_gt(strlen(e.text), 10);
		return;
	}
	for (at = 0; at < SIZE - sizeof(bytes); at += SIZE / 11 / 512 * 512) {
		blk_pread(c->blk, at, bytes, sizeof(bytes));
		blk_pwrite(c->blk, at, bytes, sizeof(bytes));
	}
	blk_flush(c->blk);
	qcow2_case_close(c);
}

/* A snapshot operation that fails has changed nothing that anything refers to. */
static void operate(struct qcow2_case *c, const struct image *image,
		    int (*run)(struct qcow2 *q, const char *name, struct err *e), const char *name)
{
	unsigned char *before, *after;
	size_t before_len, after_len, part;
	struct err e = {0};

	if (qcow2_case_try(c, "b.qcow2", &e) < 0)
		return;
	before = qcow2_slurp(c, "b.qcow2", &before_len);
	if (run(qcow2_of(c->blk), name, &e) < 0) {
		ck_assert_uint_gt(strlen(e.text), 10);
		after = qcow2_slurp(c, "b.qcow2", &after_len);
		ck_assert_uint_eq(after_len, before_len);
		for (part = 0; part < PARTS; part++)
			ck_assert_int_eq(memcmp(before + image->at[part], after + image->at[part],
						CLUSTER),
					 0);
		free(after);
	}
	free(before);
	qcow2_case_close(c);
}

START_TEST(a_wrong_number_is_found_and_does_no_harm)
{
	static int (*const operations[])(struct qcow2 *, const char *,
					 struct err *) = {qcow2_snapshot_create,
							  qcow2_snapshot_apply,
							  qcow2_snapshot_delete};
	const struct patch *p = &patches[_i];
	struct image image = {0};
	unsigned char *bytes;
	struct qcow2_case c;
	enum outcome is;
	size_t i;

	log_set_level(LOG_ERROR - 1);
	qcow2_case_make(&c, false);
	make_sound(&c, &image);
	bytes = malloc(image.len);
	ck_assert_ptr_nonnull(bytes);
	apply_patch(&image, p, bytes);
	spit(&c, bytes, image.len);
	is = examine(&c, QCOW2_REPAIR_NONE);
	/* A check looks at what is marked as corrupt, too. */
	if (p->outcome == REFUSED && is == SOUND)
		ck_assert_int_eq(qcow2_case_try(&c, "b.qcow2", &(struct err){0}), -EIO);
	else
		ck_assert_msg(is == p->outcome, "%s: %d in place of %d", p->name, is, p->outcome);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		spit(&c, bytes, image.len);
		operate(&c, &image, operations[i], i ? "s" : "t");
	}
	spit(&c, bytes, image.len);
	use(&c);
	spit(&c, bytes, image.len);
	examine(&c, QCOW2_REPAIR_ALL);
	use(&c);
	free(bytes);
	free(image.bytes);
	qcow2_case_free(&c);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-malformed");
	TCase *tc = tcase_create("malformed");

	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, a_wrong_number_is_found_and_does_no_harm, 0, ARRAY_SIZE(patches));
	suite_add_tcase(suite, tc);
	return suite;
}
