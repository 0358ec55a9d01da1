/*
 * Power cuts: a run is recorded, and images made as a cut at some moment may have left them: all
 * that a flush had made stable by then, and any of what had been submitted besides. Each passes
 * qemu-img check, with leaks at most, and holds what was flushed to the guest.
 *
 * Each sector holds its own number and that of the request which wrote it, so that what is found
 * tells whether it may be there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cut.h"

#define SECTORS  4096u /* of the disk */
#define REQUESTS 250u
#define CUTS     25u
#define DEPTH    12u
#define BASE     0xfffffff0u /* the version of what the backing file holds */

struct variant {
	const char *name, *options;
	bool backing, snapshot;
};

static const struct variant variants[] = {
	{.name = "default"},
	{.name = "4k", .options = "-o cluster_size=4k"},
	{.name = "512", .options = "-o cluster_size=512,refcount_bits=64"},
	{.name = "backing", .backing = true},
	{.name = "back4k", .options = "-o cluster_size=4k", .backing = true},
	{.name = "snapshot", .options = "-o cluster_size=16k", .backing = true, .snapshot = true},
	{.name = "ext", .options = "-o extended_l2=on", .backing = true},
	{.name = "v2", .options = "-o compat=0.10,cluster_size=1k", .backing = true},
};

struct op {
	struct blk_req req;
	struct iovec iov;
	unsigned first, count; /* sectors */
	uint32_t version;      /* of what it writes; 0: zeroes */
	bool done;
	size_t stable_at; /* entries in the record when a flush had covered it */
	struct run *run;
};

struct run {
	struct qcow2_case c;
	const struct variant *variant;
	uint64_t random;
	struct op ops[REQUESTS];
	unsigned count;
	unsigned char *before; /* the image at the start */
	size_t before_len;
};

static uint64_t below(struct run *r, uint64_t limit)
{
	return unit_random(&r->random) % limit;
}

static void fill(unsigned char *to, unsigned sector, uint32_t version)
{
	uint64_t word = version ? (uint64_t)sector << 32 | version : 0;
	unsigned i;

	for (i = 0; i < 512; i += 8)
		memcpy(to + i, &word, 8);
}

static void write_base(struct run *r)
{
	unsigned char *bytes = malloc(SECTORS * 512);
	char path[96];
	unsigned i;
	FILE *file;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < SECTORS; i++)
		fill(bytes + i * 512, i, BASE);
	snprintf(path, sizeof(path), "%s/base.raw", r->c.dir);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 512, SECTORS, file), SECTORS);
	fclose(file);
	free(bytes);
}

static void op_done(struct blk_req *req, int result)
{
	struct op *op = container_of(req, struct op, req);
	struct run *r = op->run;
	unsigned i;

	ck_assert_int_eq(result, 0);
	op->done = true;
	free(op->iov.iov_base);
	/* A flush covers what was done when it was submitted: noted there as SIZE_MAX - 1. */
	for (i = 0; req->op == BLK_FLUSH && i < r->count; i++)
		if (r->ops[i].stable_at == SIZE_MAX - 1 - (size_t)(op - r->ops))
			r->ops[i].stable_at = r->c.record.count;
}

static bool busy(const struct run *r, unsigned first, unsigned count)
{
	unsigned i;

	for (i = 0; i < r->count; i++)
		if (!r->ops[i].done && first < r->ops[i].first + r->ops[i].count &&
		    r->ops[i].first < first + count)
			return true;
	return false;
}

/* Marks what a flush that is submitted now will have covered. */
static void mark_covered(struct run *r, unsigned flush)
{
	unsigned i;

	for (i = 0; i < flush; i++)
		if (r->ops[i].done && r->ops[i].stable_at == SIZE_MAX)
			r->ops[i].stable_at = SIZE_MAX - 1 - flush;
}

static void submit_one(struct run *r)
{
	static const enum blk_op kinds[] = {BLK_WRITE, BLK_WRITE, BLK_WRITE,        BLK_WRITE,
					    BLK_FLUSH, BLK_WRITE, BLK_WRITE_ZEROES, BLK_DISCARD};
	struct op *op = &r->ops[r->count];
	unsigned count = 1 + (unsigned)below(r, below(r, 5) ? 24 : 400);
	unsigned first = (unsigned)below(r, SECTORS - count), i;

	if (below(r, 4) == 0)
		first &= ~127u;
	if (busy(r, first, count))
		return;
	*op = (struct op){.first = first,
			  .count = count,
			  .stable_at = SIZE_MAX,
			  .run = r,
			  .req = {.op = kinds[below(r, ARRAY_SIZE(kinds))],
				  .flags = BLK_REQ_UNMAP,
				  .offset_bytes = first * 512ull,
				  .len_bytes = count * 512ull,
				  .done = op_done}};
	if (op->req.op == BLK_FLUSH) {
		op->count = 0;
		op->req.offset_bytes = op->req.len_bytes = 0;
		mark_covered(r, r->count);
	} else if (op->req.op == BLK_WRITE) {
		op->version = r->count + 1;
		op->iov = (struct iovec){malloc(count * 512), count * 512};
		ck_assert_ptr_nonnull(op->iov.iov_base);
		for (i = 0; i < count; i++)
			fill((unsigned char *)op->iov.iov_base + i * 512, first + i, op->version);
		op->req.iov = &op->iov;
		op->req.iov_count = 1;
	}
	r->count++;
	blk_submit(r->c.blk, &op->req);
}

static void record_run(struct run *r)
{
	while (r->count < REQUESTS) {
		submit_one(r);
		blk_kick(r->c.blk);
		while (r->c.blk->in_flight >= DEPTH || (r->c.blk->in_flight && !below(r, 3)))
			loop_run_once(r->c.loop, -1);
	}
	blk_drain(r->c.blk);
}

/* Whether sector @sector may hold @version after a cut at @cut. */
static bool allowed(const struct run *r, size_t cut, unsigned sector, uint32_t version)
{
	uint32_t stable = r->variant->backing ? BASE : 0;
	bool ok = version == stable;
	unsigned i;

	for (i = 0; i < r->count; i++) {
		const struct op *op = &r->ops[i];
		bool covered = op->stable_at <= cut;

		if (sector < op->first || sector >= op->first + op->count)
			continue;
		/* What is flushed replaces what was before; a discard only may. */
		if (covered && op->req.op != BLK_DISCARD)
			ok = false;
		ok = ok || version == op->version;
	}
	return ok;
}

static void verify(struct run *r, size_t cut)
{
	unsigned char *bytes = malloc(SECTORS * 512);
	struct blk_options options = {.format = "qcow2", .read_only = true};
	struct err e = {0};
	struct blk *blk;
	char path[96];
	unsigned s;

	snprintf(path, sizeof(path), "%s/cut.qcow2", r->c.dir);
	options.path = path;
	ck_assert_ptr_nonnull(bytes);
	ck_assert_msg(blk_open(&options, r->c.loop, &blk, &e) == 0, "%s", e.text);
	ck_assert_int_eq(blk_pread(blk, 0, bytes, SECTORS * 512), 0);
	blk_close(blk);
	for (s = 0; s < SECTORS; s++) {
		const unsigned char *sector = bytes + s * 512;
		uint64_t word;

		memcpy(&word, sector, 8);
		/* Check notes where each assertion is, which costs more than the comparison. */
		if (!memcmp(sector, sector + 8, 512 - 8) && (!word || word >> 32 == s) &&
		    allowed(r, cut, s, (uint32_t)word))
			continue;
		ck_assert_msg(!memcmp(sector, sector + 8, 512 - 8), "%s: sector %u is torn",
			      r->variant->name, s);
		ck_assert_msg(!word || word >> 32 == s, "%s: sector %u holds sector %u",
			      r->variant->name, s, (unsigned)(word >> 32));
		ck_assert_msg(allowed(r, cut, s, (uint32_t)word),
			      "%s: cut at %zu of %zu: sector %u holds version %u", r->variant->name,
			      cut, r->c.record.count, s, (unsigned)word);
	}
	free(bytes);
}

START_TEST(a_power_cut_at_any_moment_leaks_at_most)
{
	static struct run r;
	const struct variant *v = &variants[_i];
	unsigned i;

	if (!qcow2_have_qemu())
		return;
	r.variant = v;
	r.random = unit_seed() + (uint64_t)_i * 104729;
	qcow2_case_make(&r.c, false);
	if (v->backing)
		write_base(&r);
	ck_assert_int_eq(qcow2_run(&r.c, "qemu-img create -f qcow2 %s %s a.qcow2 %u",
				   v->backing ? "-b base.raw -F raw" : "",
				   v->options ? v->options : "", SECTORS * 512),
			 0);
	if (v->snapshot) {
		ck_assert_int_eq(qcow2_run(&r.c,
					   "qemu-img convert -O raw a.qcow2 b.raw && qemu-io -c "
					   "'write -s b.raw 0 2M' a.qcow2"),
				 0);
		ck_assert_int_eq(qcow2_run(&r.c, "qemu-img snapshot -c s1 a.qcow2"), 0);
	}
	r.before = qcow2_slurp(&r.c, "a.qcow2", &r.before_len);
	qcow2_case_open(&r.c, "a.qcow2");
	record_run(&r);
	for (i = 0; i < CUTS; i++) {
		size_t cut = 1 + (size_t)below(&r, r.c.record.count);

		cut_write(&r.c,
			  &(struct cut){.before = r.before,
					.before_len = r.before_len,
					.at = cut,
					.random = &r.random},
			  "cut.qcow2");
		qcow2_qemu_check(&r.c, "cut.qcow2", true);
		verify(&r, cut);
	}
	qcow2_case_close(&r.c);
	qcow2_qemu_check(&r.c, "a.qcow2", false);
	free(r.before);
	qcow2_case_free(&r.c);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-power");
	TCase *tc = tcase_create("power");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, a_power_cut_at_any_moment_leaks_at_most, 0, ARRAY_SIZE(variants));
	suite_add_tcase(suite, tc);
	return suite;
}
