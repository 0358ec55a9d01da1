/*
 * Clusters that read as zeroes and keep their place: written to again, they are where they were, so
 * that a preallocated disk needs no space of the host's later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "qcow2_case.h"
#include "unit.h"

#define BYTES MIB(4)

struct asked {
	int result;
	bool ended;
	struct blk_req req;
};

static void asked_done(struct blk_req *req, int result)
{
	struct asked *asked = container_of(req, struct asked, req);

	asked->result = result;
	asked->ended = true;
}

static int zero(struct blk *blk, uint64_t offset, uint64_t len)
{
	struct asked asked = {
		.req = {.op = BLK_WRITE_ZEROES,
			.offset_bytes = offset,
			.len_bytes = len,
			.done = asked_done},
	};

	blk_submit(blk, &asked.req);
	blk_drain(blk);
	ck_assert(asked.ended);
	return asked.result;
}

static void expect(struct blk *blk, const unsigned char *model)
{
	unsigned char *bytes = malloc(BYTES);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(blk_pread(blk, 0, bytes, BYTES), 0);
	ck_assert_int_eq(memcmp(bytes, model, BYTES), 0);
	free(bytes);
}

static void put(struct blk *blk, unsigned char *model, uint64_t offset, uint64_t len)
{
	static unsigned char fill;

	memset(model + offset, ++fill, len);
	ck_assert_int_eq(blk_pwrite(blk, offset, model + offset, len), 0);
}

/* The file's places of all clusters, as qemu-img sees them. */
static unsigned char *places(struct qcow2_case *c)
{
	size_t len;

	ck_assert_int_eq(qcow2_run(c, "qemu-img map -U --output=json a.qcow2 | grep -o "
				      "'\"start.*length[^,]*\\|offset[^}]*'"),
			 0);
	return qcow2_slurp(c, "out.txt", &len);
}

START_TEST(zeroed_clusters_are_written_where_they_are)
{
	static const char *const options[] = {"", "-o cluster_size=4k", "-o extended_l2=on"};
	unsigned char *model = calloc(1, BYTES), *before, *after;
	uint64_t random = unit_seed() + (uint64_t)_i;
	struct qcow2_case c;
	unsigned n;

	if (!qcow2_have_qemu())
		return;
	qcow2_case_make(&c, false);
	ck_assert_int_eq(qcow2_run(&c, "qemu-img create -f qcow2 %s a.qcow2 4M", options[_i]), 0);
	qcow2_case_open(&c, "a.qcow2");
	put(c.blk, model, 0, BYTES);
	qcow2_case_close(&c);
	before = places(&c);
	qcow2_case_open(&c, "a.qcow2");
	for (n = 0; n < 30; n++) {
		uint64_t offset = unit_random(&random) % (BYTES / 512) * 512;
		uint64_t len = 512 * (1 + unit_random(&random) % 2000);

		len = MIN(len, BYTES - offset);
		memset(model + offset, 0, len);
		ck_assert_int_eq(zero(c.blk, offset, len), 0);
		len = MIN(512 * (1 + unit_random(&random) % 300), BYTES - offset);
		put(c.blk, model, offset, len);
		expect(c.blk, model);
		if (n % 7 == 0)
			ck_assert_int_eq(blk_flush(c.blk), 0);
	}
	put(c.blk, model, 0, BYTES);
	qcow2_case_close(&c);
	qcow2_qemu_check(&c, "a.qcow2", false);
	after = places(&c);
	ck_assert_str_eq((char *)after, (char *)before);
	qcow2_case_open(&c, "a.qcow2");
	expect(c.blk, model);
	qcow2_case_free(&c);
	free(model);
	free(before);
	free(after);
}
END_TEST

START_TEST(a_write_that_fails_leaves_zeroes)
{
	struct fault fault = {
		.op = FILE_WRITE, .point = "cow_write", .nth = 1, .times = 1, .error = -ENOSPC};
	unsigned char *model = calloc(1, BYTES), data[4096];
	struct qcow2_case c;

	if (!qcow2_have_qemu())
		return;
	qcow2_case_make(&c, false);
	ck_assert_int_eq(qcow2_run(&c, "qemu-img create -f qcow2 a.qcow2 4M"), 0);
	qcow2_case_open(&c, "a.qcow2");
	put(c.blk, model, 0, BYTES);
	memset(model, 0, KIB(256));
	ck_assert_int_eq(zero(c.blk, 0, KIB(256)), 0);
	c.plan = (struct file_faults){&fault, 1};
	memset(data, 0xee, sizeof(data));
	ck_assert_int_eq(blk_pwrite(c.blk, KIB(70), data, sizeof(data)), -ENOSPC);
	expect(c.blk, model);
	put(c.blk, model, KIB(70), 4096);
	expect(c.blk, model);
	qcow2_case_close(&c);
	qcow2_qemu_check(&c, "a.qcow2", false);
	qcow2_case_free(&c);
	free(model);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-kept");
	TCase *c = tcase_create("kept");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, zeroed_clusters_are_written_where_they_are, 0, 3);
	tcase_add_test(c, a_write_that_fails_leaves_zeroes);
	suite_add_tcase(suite, c);
	return suite;
}
