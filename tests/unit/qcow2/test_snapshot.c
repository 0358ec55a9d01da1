/*
 * Internal snapshots against copies of a plain buffer: random writes, zeroes, discards and resizes
 * between snapshots that are made, applied and deleted by sarang and by qemu-img in turn; checked
 * by both after each. And power cuts in the middle of each operation.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cut.h"

#define STEPS         24u
#define SNAPSHOTS_MAX 5u
#define SIZE_MAX_     MIB(4)
#define CUTS          12u

struct variant {
	const char *name, *options;
	uint64_t size;
	bool backing, compressed, v2;
};

static const struct variant variants[] = {
	{.name = "default", .size = MIB(3)},
	{.name = "512", .options = "-o cluster_size=512", .size = MIB(1)},
	{.name = "4k", .options = "-o cluster_size=4k", .size = MIB(2)},
	{.name = "ref64", .options = "-o cluster_size=512,refcount_bits=64", .size = MIB(1)},
	{.name = "ref4", .options = "-o cluster_size=4k,refcount_bits=4", .size = MIB(2)},
	{.name = "ext", .options = "-o extended_l2=on,cluster_size=32k", .size = MIB(3)},
	{.name = "v2", .options = "-o compat=0.10,cluster_size=4k", .size = MIB(2), .v2 = true},
	{.name = "backing", .options = "-o cluster_size=16k", .size = MIB(3), .backing = true},
	{.name = "packed", .size = MIB(3), .compressed = true},
};

struct saved {
	unsigned char *bytes;
	uint64_t size;
	char name[16];
};

struct model {
	struct qcow2_case c;
	const struct variant *variant;
	unsigned char *bytes; /* of SIZE_MAX_ */
	uint64_t size;
	uint64_t random;
	struct saved saved[SNAPSHOTS_MAX];
	unsigned count, made;
};

static uint64_t below(struct model *m, uint64_t limit)
{
	return unit_random(&m->random) % limit;
}

static void scribble(struct model *m, unsigned char *to, uint64_t len)
{
	uint64_t i, word = unit_random(&m->random);

	for (i = 0; i < len; i++)
		to[i] = (unsigned char)(word >> (i / 512 % 7));
}

static void make_image(struct model *m)
{
	const struct variant *v = m->variant;
	const char *options = v->options ? v->options : "";
	char path[96];
	FILE *file;

	m->bytes = calloc(1, SIZE_MAX_);
	ck_assert_ptr_nonnull(m->bytes);
	m->size = v->size;
	if (v->backing || v->compressed) {
		scribble(m, m->bytes + 8192, v->size / 2);
		snprintf(path, sizeof(path), "%s/base.raw", m->c.dir);
		file = fopen(path, "we");
		ck_assert_ptr_nonnull(file);
		ck_assert_uint_eq(fwrite(m->bytes, 1, v->size, file), v->size);
		fclose(file);
	}
	if (v->compressed)
		ck_assert_int_eq(
			qcow2_run(&m->c, "qemu-img convert -f raw -c -O qcow2 %s base.raw a.qcow2",
				  options),
			0);
	else
		ck_assert_int_eq(qcow2_run(&m->c, "qemu-img create -f qcow2 %s %s a.qcow2 %llu",
					   v->backing ? "-b base.raw -F raw" : "", options,
					   (unsigned long long)v->size),
				 0);
}

static void compare(struct model *m, const char *when)
{
	unsigned char *bytes = malloc(m->size);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(m->c.blk->info.capacity_bytes, m->size);
	ck_assert_int_eq(blk_pread(m->c.blk, 0, bytes, m->size), 0);
	ck_assert_msg(memcmp(bytes, m->bytes, m->size) == 0, "%s: other bytes after %s",
		      m->variant->name, when);
	free(bytes);
}

struct wait {
	struct blk_req req;
	int result;
};

static void ended(struct blk_req *req, int result)
{
	container_of(req, struct wait, req)->result = result;
}

/* Zeroes that give the space back. */
static void zero(struct model *m, uint64_t offset, uint64_t len)
{
	struct wait w = {.req = {.op = BLK_WRITE_ZEROES,
				 .flags = BLK_REQ_UNMAP,
				 .offset_bytes = offset,
				 .len_bytes = len,
				 .done = ended}};

	blk_submit(m->c.blk, &w.req);
	blk_drain(m->c.blk);
	ck_assert_int_eq(w.result, 0);
	memset(m->bytes + offset, 0, len);
}

static void change_data(struct model *m)
{
	unsigned i;

	for (i = 0; i < 6; i++) {
		uint64_t len = 512 * (1 + below(m, below(m, 4) ? 32 : 700));
		uint64_t offset = 512 * below(m, (m->size - len) / 512);

		if (below(m, 3) == 0) {
			zero(m, offset, len);
			continue;
		}
		scribble(m, m->bytes + offset, len);
		ck_assert_int_eq(blk_pwrite(m->c.blk, offset, m->bytes + offset, len), 0);
	}
}

static void resize(struct model *m)
{
	uint64_t size =
		MIN(m->variant->size / 2 + 512 * below(m, m->variant->size / 512), SIZE_MAX_ - 512);
	struct err e = {0};
	int ret = blk_resize(m->c.blk, size, &e);

	if (m->variant->v2 && m->count) {
		ck_assert_int_eq(ret, -ENOTSUP);
		return;
	}
	ck_assert_msg(ret == 0, "%s: %s", m->variant->name, e.text);
	memset(m->bytes + MIN(size, m->size), 0, SIZE_MAX_ - MIN(size, m->size));
	m->size = size;
}

/* One operation on snapshot @name, by sarang or, with the image closed, by qemu-img. */
static void operate(struct model *m, char letter, const char *name)
{
	struct qcow2 *q = qcow2_of(m->c.blk);
	struct err e = {0};
	int ret;

	if (below(m, 2)) {
		ret = letter == 'c'   ? qcow2_snapshot_create(q, name, &e)
		      : letter == 'a' ? qcow2_snapshot_apply(q, name, &e)
				      : qcow2_snapshot_delete(q, name, &e);
		ck_assert_msg(ret == 0, "%s: -%c: %s", m->variant->name, letter, e.text);
		return;
	}
	qcow2_case_close(&m->c);
	ck_assert_int_eq(qcow2_run(&m->c, "qemu-img snapshot -%c %s a.qcow2", letter, name), 0);
	qcow2_case_open(&m->c, "a.qcow2");
}

static void create(struct model *m)
{
	struct saved *s = &m->saved[m->count];

	if (m->count == SNAPSHOTS_MAX)
		return;
	snprintf(s->name, sizeof(s->name), "snap%u", m->made++);
	operate(m, 'c', s->name);
	s->bytes = malloc(SIZE_MAX_);
	ck_assert_ptr_nonnull(s->bytes);
	memcpy(s->bytes, m->bytes, SIZE_MAX_);
	s->size = m->size;
	m->count++;
}

static void apply(struct model *m)
{
	struct saved *s = &m->saved[below(m, MAX(m->count, 1u))];

	if (!m->count)
		return;
	operate(m, 'a', s->name);
	memcpy(m->bytes, s->bytes, SIZE_MAX_);
	m->size = s->size;
}

static void delete (struct model *m)
{
	unsigned at = (unsigned)below(m, MAX(m->count, 1u));

	if (!m->count)
		return;
	operate(m, 'd', m->saved[at].name);
	free(m->saved[at].bytes);
	m->saved[at] = m->saved[--m->count];
}

/* The image is closed: both find nothing wrong with it. */
static void check_both(struct model *m)
{
	struct qcow2_check_report report = {0};
	struct err e = {0};

	qcow2_qemu_check(&m->c, "a.qcow2", false);
	qcow2_case_open(&m->c, "a.qcow2");
	ck_assert_msg(qcow2_check(qcow2_of(m->c.blk), QCOW2_REPAIR_NONE, &report, &e) == 0, "%s",
		      e.text);
	ck_assert_uint_eq(report.corruptions, 0);
	ck_assert_uint_eq(report.leaks, 0);
}

static void one_step(struct model *m)
{
	static void (*const steps[])(struct model *) = {change_data, change_data, create, create,
							apply,       delete,      resize};
	uint64_t which = below(m, ARRAY_SIZE(steps));
	static const char *const names[] = {"writes", "writes", "create", "create",
					    "apply",  "delete", "resize"};

	steps[which](m);
	compare(m, names[which]);
	qcow2_case_close(&m->c);
	check_both(m);
	compare(m, names[which]);
}

START_TEST(snapshots_are_what_the_disk_was)
{
	struct model m = {.variant = &variants[_i], .random = unit_seed() + (uint64_t)_i * 7877};
	unsigned i;

	if (!qcow2_have_qemu())
		return;
	qcow2_case_make(&m.c, false);
	make_image(&m);
	qcow2_case_open(&m.c, "a.qcow2");
	for (i = 0; i < STEPS; i++)
		one_step(&m);
	/* All that is left is given back as well. */
	while (m.count) {
		apply(&m);
		delete (&m);
		compare(&m, "the end");
	}
	qcow2_case_close(&m.c);
	check_both(&m);
	free(m.bytes);
	qcow2_case_free(&m.c);
}
END_TEST

/* --- power cuts --- */

/* What the image may be: the number of its snapshots and its bytes, before and after. */
struct state {
	unsigned char *bytes;
	unsigned snapshots;
};

static void note(struct model *m, struct state *s)
{
	s->bytes = malloc(m->size);
	ck_assert_ptr_nonnull(s->bytes);
	ck_assert_int_eq(blk_pread(m->c.blk, 0, s->bytes, m->size), 0);
	s->snapshots = qcow2_of(m->c.blk)->h.snapshot_count;
}

static void check_cut(struct model *m, const struct state *old, const struct state *new)
{
	struct blk_options options = {.format = "qcow2", .read_only = true};
	unsigned char *bytes = malloc(m->size);
	struct qcow2_snapshots list;
	const struct state *is;
	struct err e = {0};
	struct blk *blk;
	char path[96];

	qcow2_qemu_check(&m->c, "cut.qcow2", true);
	snprintf(path, sizeof(path), "%s/cut.qcow2", m->c.dir);
	options.path = path;
	ck_assert_ptr_nonnull(bytes);
	ck_assert_msg(blk_open(&options, m->c.loop, &blk, &e) == 0, "%s", e.text);
	ck_assert_msg(qcow2_snapshots_read(qcow2_of(blk), &list, &e) == 0, "%s", e.text);
	ck_assert_int_eq(blk_pread(blk, 0, bytes, m->size), 0);
	is = list.count == old->snapshots && !memcmp(bytes, old->bytes, m->size) ? old : new;
	ck_assert_uint_eq(list.count, is->snapshots);
	ck_assert_int_eq(memcmp(bytes, is->bytes, m->size), 0);
	qcow2_snapshots_free(&list);
	blk_close(blk);
	free(bytes);
}

/* Does @letter to snapshot @name, recorded, and looks at what cuts leave. */
static void cut_operation(struct model *m, char letter, const char *name)
{
	struct cut cut = {.random = &m->random};
	struct qcow2 *q = qcow2_of(m->c.blk);
	struct state old, new;
	struct err e = {0};
	unsigned i;
	int ret;

	ck_assert_int_eq(qcow2_settle(q), 0);
	note(m, &old);
	cut.before = qcow2_slurp(&m->c, "a.qcow2", &cut.before_len);
	file_record_free(&m->c.record);
	ret = letter == 'c'   ? qcow2_snapshot_create(q, name, &e)
	      : letter == 'a' ? qcow2_snapshot_apply(q, name, &e)
	      : letter == 'd' ? qcow2_snapshot_delete(q, name, &e)
			      : qcow2_make_empty(q, &e);
	ck_assert_msg(ret == 0, "%s: -%c: %s", m->variant->name, letter, e.text);
	note(m, &new);
	for (i = 0; i < CUTS; i++) {
		/* The last few entries are where it is decided. */
		cut.at = i % 2 ? 1 + (size_t)below(m, m->c.record.count)
			       : m->c.record.count -
					 (size_t)below(m, MIN(m->c.record.count, (size_t)6));
		cut_write(&m->c, &cut, "cut.qcow2");
		check_cut(m, &old, &new);
	}
	free((void *)cut.before);
	free(old.bytes);
	free(new.bytes);
}

START_TEST(a_power_cut_leaves_the_old_image_or_the_new_one)
{
	struct model m = {.variant = &variants[_i], .random = unit_seed() + (uint64_t)_i * 5939};

	if (!qcow2_have_qemu())
		return;
	qcow2_case_make(&m.c, false);
	make_image(&m);
	qcow2_case_open(&m.c, "a.qcow2");
	change_data(&m);
	cut_operation(&m, 'c', "one");
	change_data(&m);
	cut_operation(&m, 'c', "two");
	change_data(&m);
	cut_operation(&m, 'a', "one");
	cut_operation(&m, 'd', "two");
	change_data(&m);
	cut_operation(&m, 'd', "one");
	cut_operation(&m, 'e', NULL);
	qcow2_case_close(&m.c);
	check_both(&m);
	free(m.bytes);
	qcow2_case_free(&m.c);
}
END_TEST

/* The names that b.qcow2's header may have after a cut: both old or both new. */
static void check_names(struct model *m, const char *const old[2], const char *const new[2])
{
	struct file_options options = {.read_only = true};
	struct qcow2_header h;
	struct file_desc desc;
	struct err e = {0};
	char path[96];

	snprintf(path, sizeof(path), "%s/cut.qcow2", m->c.dir);
	options.path = path;
	ck_assert_int_eq(file_desc_open(&desc, &options, &e), 0);
	ck_assert_msg(qcow2_read_header(&desc, &h, NULL, &e) == 0, "%s", e.text);
	if (strcmp(h.backing_name ? h.backing_name : "", old[0]) != 0) {
		ck_assert_str_eq(h.backing_name ? h.backing_name : "", new[0]);
		ck_assert(!*new[0] || !strcmp(h.backing_format, new[1]));
	} else {
		ck_assert(!*old[0] || !strcmp(h.backing_format, old[1]));
	}
	qcow2_header_free(&h);
	file_desc_close(&desc);
}

START_TEST(a_power_cut_leaves_the_old_name_or_the_new_one)
{
	static const char *const names[][2] = {
		{"base.raw", "raw"},
		{"another/name/that/is/longer.qcow2", "qcow2"},
		{"x", "raw"},
		{"", "raw"},
		{"base.raw", "raw"},
		{"other.raw", "qcow2"},
		{"a/rather/long/name/of/a/file/in/some/folder/that/is/not/here", "raw"},
	};
	struct model m = {.variant = &variants[_i], .random = unit_seed() + (uint64_t)_i};
	struct cut cut = {.random = &m.random};
	struct err e = {0};
	unsigned n, i;

	if (!m.variant->backing || !qcow2_have_qemu())
		return;
	qcow2_case_make(&m.c, false);
	make_image(&m);
	qcow2_case_open(&m.c, "a.qcow2");
	for (n = 1; n < ARRAY_SIZE(names); n++) {
		const char *name = *names[n][0] ? names[n][0] : NULL;

		cut.before = qcow2_slurp(&m.c, "a.qcow2", &cut.before_len);
		file_record_free(&m.c.record);
		ck_assert_msg(qcow2_set_backing(qcow2_of(m.c.blk), name, names[n][1], &e) == 0,
			      "%s", e.text);
		for (i = 0; i < 3 * CUTS; i++) {
			cut.at = (size_t)below(&m, m.c.record.count + 1);
			cut_write(&m.c, &cut, "cut.qcow2");
			check_names(&m, names[n - 1], names[n]);
		}
		free((void *)cut.before);
	}
	free(m.bytes);
	qcow2_case_free(&m.c);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-snapshot");
	TCase *tc = tcase_create("snapshot");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, snapshots_are_what_the_disk_was, 0, ARRAY_SIZE(variants));
	tcase_add_loop_test(tc, a_power_cut_leaves_the_old_image_or_the_new_one, 0,
			    ARRAY_SIZE(variants));
	tcase_add_loop_test(tc, a_power_cut_leaves_the_old_name_or_the_new_one, 0,
			    ARRAY_SIZE(variants));
	suite_add_tcase(suite, tc);
	return suite;
}
