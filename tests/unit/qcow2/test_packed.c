/*
 * Compressed clusters, read by many at once: what arrives is what was packed, whoever unpacks it
 * and however many want the same cluster; a read that fails fails those that wait for it, no more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "qcow2_case.h"
#include "unit.h"

#define BYTES    MIB(2)
#define DEPTH    24u
#define REQUESTS 1500u

static const char *const packings[] = {"", "-o compression_type=zstd", "-o cluster_size=4k",
				       "-o cluster_size=2M"};

struct slot {
	struct blk_req req;
	struct iovec iov;
	struct run *run;
	bool busy;
};

struct run {
	struct qcow2_case c;
	unsigned char *bytes;
	uint64_t random;
	struct slot slots[DEPTH];
	unsigned failed;
};

static void read_done(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);
	struct run *r = slot->run;

	slot->busy = false;
	r->failed += result < 0;
	if (result < 0)
		ck_assert_int_eq(result, -EIO);
	else
		ck_assert_int_eq(memcmp(slot->iov.iov_base, r->bytes + req->offset_bytes,
					req->len_bytes),
				 0);
	free(slot->iov.iov_base);
}

/* Often near the last one, so that several want the same cluster. */
static void start(struct run *r, struct slot *slot)
{
	uint64_t near = r->slots[0].req.offset_bytes, sectors = BYTES / 512, first, count;

	first = unit_random(&r->random) % 3 ? unit_random(&r->random) % sectors : near / 512;
	count = 1 + unit_random(&r->random) % MIN(sectors - first, UINT64_C(300));
	*slot = (struct slot){.run = r, .busy = true};
	slot->iov = (struct iovec){malloc(count * 512), count * 512};
	ck_assert_ptr_nonnull(slot->iov.iov_base);
	slot->req = (struct blk_req){
		.op = BLK_READ,
		.offset_bytes = first * 512,
		.len_bytes = count * 512,
		.iov = &slot->iov,
		.iov_count = 1,
		.done = read_done,
	};
	blk_submit(r->c.blk, &slot->req);
}

static void read_much(struct run *r)
{
	unsigned n, i;

	for (n = 0; n < REQUESTS; n++) {
		for (i = 0; i < DEPTH && r->slots[i].busy; i++)
			continue;
		if (i < DEPTH) {
			start(r, &r->slots[i]);
			continue;
		}
		blk_kick(r->c.blk);
		loop_run_once(r->c.loop, -1);
	}
	blk_drain(r->c.blk);
}

static void make(struct run *r, const char *options)
{
	uint64_t i;
	char path[96];
	FILE *file;

	*r = (struct run){.random = unit_seed()};
	qcow2_case_make(&r->c, false);
	r->bytes = malloc(BYTES);
	ck_assert_ptr_nonnull(r->bytes);
	for (i = 0; i < BYTES; i++)
		r->bytes[i] = (unsigned char)("0123456789abcdef"[unit_random(&r->random) % 16]);
	snprintf(path, sizeof(path), "%s/plain.raw", r->c.dir);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(r->bytes, 1, BYTES, file), BYTES);
	fclose(file);
	ck_assert_int_eq(qcow2_run(&r->c, "qemu-img convert -c -O qcow2 %s plain.raw a.qcow2",
				   options),
			 0);
	qcow2_case_open(&r->c, "a.qcow2");
}

static void finish(struct run *r)
{
	free(r->bytes);
	qcow2_case_free(&r->c);
}

START_TEST(many_read_at_once)
{
	struct run r;

	if (!qcow2_have_qemu())
		return;
	make(&r, packings[_i]);
	read_much(&r);
	ck_assert_uint_eq(r.failed, 0);
	finish(&r);
}
END_TEST

START_TEST(a_failed_read_fails_who_waits_and_no_more)
{
	struct fault fault = {
		.op = FILE_READ,
		.point = "compressed_read",
		.nth = 5,
		.times = 3,
		.error = -EIO,
	};
	struct run r;

	if (!qcow2_have_qemu())
		return;
	make(&r, "");
	r.c.plan = (struct file_faults){&fault, 1};
	read_much(&r);
	ck_assert_uint_gt(r.failed, 0);
	r.failed = 0;
	read_much(&r);
	ck_assert_uint_eq(r.failed, 0);
	finish(&r);
}
END_TEST

START_TEST(closing_waits_for_what_is_being_unpacked)
{
	struct run r;
	unsigned i;

	if (!qcow2_have_qemu())
		return;
	make(&r, "");
	for (i = 0; i < DEPTH; i++)
		start(&r, &r.slots[i]);
	qcow2_case_close(&r.c);
	for (i = 0; i < DEPTH; i++)
		ck_assert(!r.slots[i].busy);
	finish(&r);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-packed");
	TCase *c = tcase_create("packed");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, many_read_at_once, 0, ARRAY_SIZE(packings));
	tcase_add_test(c, a_failed_read_fails_who_waits_and_no_more);
	tcase_add_test(c, closing_waits_for_what_is_being_unpacked);
	suite_add_tcase(suite, c);
	return suite;
}
