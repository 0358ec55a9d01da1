/*
 * A host that fails at each named step of a qcow2: EIO, no space, torn writes, once or for good.
 * What the guest was told happened has happened; what failed may have, in part; and the image is
 * whole, when it is killed there and then (a copy is taken), and when it is closed and opened
 * again.
 *
 * Each sector is filled with a stamp. The model keeps, for each, what it may hold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "qcow2_case.h"
#include "unit.h"

#define SECTORS   4096u /* of the disk */
#define BATCHES   24u
#define DEPTH     6u
#define SPAN_MAX  200u /* sectors of a request */
#define STAMPS    24u
#define BASE_MARK (UINT64_C(1) << 63) /* in the stamps of the backing file */

struct variant {
	const char *name, *options;
	bool backing;
};

static const struct variant variants[] = {
	{.name = "default"},
	{.name = "backing", .options = "-o cluster_size=16k", .backing = true},
	{.name = "small", .options = "-o cluster_size=1k,refcount_bits=64"},
	{.name = "ext", .options = "-o extended_l2=on", .backing = true},
};

/* Where, and what kind of operation is there. */
static const struct {
	const char *point;
	enum file_op op;
} steps[] = {
	{NULL, FILE_WRITE},
	{NULL, FILE_READ},
	{"flush", FILE_SYNC},
	{"l2_load", FILE_READ},
	{"l2_alloc", FILE_WRITE},
	{"l2_update", FILE_WRITE},
	{"l1_update", FILE_WRITE},
	{"refblock_load", FILE_READ},
	{"refblock_alloc", FILE_WRITE},
	{"refblock_update", FILE_WRITE},
	{"reftable_update", FILE_WRITE},
	{"header_update", FILE_WRITE},
	{"cow_write", FILE_WRITE},
	{"cluster_alloc", FILE_ALLOCATE},
	{"cluster_alloc", FILE_ZERO},
	{"cluster_free", FILE_DISCARD},
};

/* Ways to fail: the first, how often, and how. */
static const struct {
	unsigned nth, times;
	int error;
	enum fault_kind kind;
} ways[] = {
	{1, 1, -EIO, FAULT_FAIL},         {2, 3, -ENOSPC, FAULT_FAIL},
	{1, 100000, -ENOSPC, FAULT_FAIL}, {3, 100000, -EIO, FAULT_FAIL},
	{1, 100000, -EIO, FAULT_TORN},    {4, 2, -ENOSPC, FAULT_TORN},
};

/* What a sector may hold: the first @stable of them only after a kill. */
struct sector {
	uint64_t stamps[STAMPS];
	unsigned count;
	unsigned newest; /* from here on: in the running image */
};

struct op {
	struct blk_req req;
	struct iovec iov;
	unsigned first, count;
	uint64_t stamp;
	int result;
	bool ended;
};

struct run {
	struct qcow2_case c;
	const struct variant *variant;
	uint64_t random, stamps;
	struct sector *sectors;
	struct op ops[DEPTH];
	struct fault fault;
	unsigned errors;
};

static uint64_t below(struct run *r, uint64_t limit)
{
	return unit_random(&r->random) % limit;
}

/* --- the model --- */

static void add_stamp(struct run *r, unsigned at, uint64_t stamp)
{
	struct sector *s = &r->sectors[at];

	if (s->count >= STAMPS)
		ck_abort_msg("sector %u is written too often", at);
	s->stamps[s->count++] = stamp;
}

static void check_sector(const struct run *r, unsigned at, const unsigned char *bytes, bool killed)
{
	const struct sector *s = &r->sectors[at];
	uint64_t word;
	unsigned i;

	memcpy(&word, bytes, sizeof(word));
	/* Check notes where each assertion is, which costs more than the comparison. */
	if (memcmp(bytes, bytes + sizeof(word), 512 - sizeof(word)) != 0)
		ck_abort_msg("sector %u is torn", at);
	for (i = killed ? 0 : s->newest; i < s->count; i++)
		if (s->stamps[i] == word)
			return;
	ck_abort_msg("%s %s: sector %u holds %#llx, and should %#llx%s", r->variant->name,
		     r->fault.point ? r->fault.point : "data", at, (unsigned long long)word,
		     (unsigned long long)s->stamps[s->newest], killed ? " after a kill" : "");
}

/* The op has ended: what its sectors may hold now. */
static void learn(struct run *r, const struct op *op)
{
	unsigned i;

	if (op->req.op == BLK_READ) {
		for (i = 0; !op->result && i < op->count; i++)
			check_sector(r, op->first + i, (unsigned char *)op->iov.iov_base + i * 512,
				     false);
		return;
	}
	for (i = op->first; i < op->first + op->count; i++) {
		add_stamp(r, i, op->stamp);
		/* A discard is a hint, and what failed may have been done. */
		if (!op->result && op->req.op != BLK_DISCARD)
			r->sectors[i].newest = r->sectors[i].count - 1;
	}
}

/* What was done before is stable now. */
static void flushed(struct run *r)
{
	unsigned i;

	for (i = 0; i < SECTORS; i++) {
		struct sector *s = &r->sectors[i];

		s->count -= s->newest;
		memmove(s->stamps, s->stamps + s->newest, s->count * sizeof(s->stamps[0]));
		s->newest = 0;
	}
}

/* --- requests --- */

static void op_done(struct blk_req *req, int result)
{
	struct op *op = container_of(req, struct op, req);

	op->result = result;
	op->ended = true;
}

static bool overlaps(const struct run *r, unsigned n, unsigned first, unsigned count)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (first < r->ops[i].first + r->ops[i].count && r->ops[i].first < first + count)
			return true;
	return false;
}

static bool has_room(const struct run *r, unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++)
		if (r->sectors[i].count == STAMPS)
			return false;
	return true;
}

static void choose(struct run *r, unsigned n)
{
	static const enum blk_op kinds[] = {BLK_READ,  BLK_READ,  BLK_WRITE,        BLK_WRITE,
					    BLK_WRITE, BLK_WRITE, BLK_WRITE_ZEROES, BLK_DISCARD};
	struct op *op = &r->ops[n];
	uint64_t *words;
	unsigned i;

	*op = (struct op){.req.op = kinds[below(r, ARRAY_SIZE(kinds))], .ended = true};
	op->count = 1 + (unsigned)below(r, below(r, 3) ? 16 : SPAN_MAX);
	op->first = (unsigned)below(r, SECTORS - op->count);
	if (overlaps(r, n, op->first, op->count) || !has_room(r, op->first, op->count)) {
		op->count = 0;
		return;
	}
	op->ended = false;
	op->stamp = op->req.op == BLK_WRITE ? ++r->stamps : 0;
	op->req.flags = below(r, 2) ? BLK_REQ_UNMAP : 0;
	op->req.offset_bytes = op->first * 512;
	op->req.len_bytes = op->count * 512;
	op->req.done = op_done;
	if (op->req.op != BLK_READ && op->req.op != BLK_WRITE)
		return;
	op->iov = (struct iovec){malloc(op->req.len_bytes), op->req.len_bytes};
	ck_assert_ptr_nonnull(op->iov.iov_base);
	words = op->iov.iov_base;
	for (i = 0; i < op->req.len_bytes / 8; i++)
		words[i] = op->stamp;
	op->req.iov = &op->iov;
	op->req.iov_count = 1;
}

static void batch(struct run *r)
{
	unsigned i;

	for (i = 0; i < DEPTH; i++) {
		choose(r, i);
		if (r->ops[i].count)
			blk_submit(r->c.blk, &r->ops[i].req);
	}
	blk_drain(r->c.blk);
	for (i = 0; i < DEPTH; i++) {
		struct op *op = &r->ops[i];

		if (!op->count)
			continue;
		ck_assert(op->ended);
		r->errors += op->result < 0;
		learn(r, op);
		free(op->iov.iov_base);
	}
	if (below(r, 4) == 0) {
		int ret = blk_flush(r->c.blk);

		r->errors += ret < 0;
		if (!ret)
			flushed(r);
	}
}

/* --- images --- */

static void make(struct run *r)
{
	const char *options = r->variant->options ? r->variant->options : "";
	unsigned i, n;
	FILE *base;
	char path[96];

	qcow2_case_make(&r->c, false);
	r->sectors = calloc(SECTORS, sizeof(*r->sectors));
	ck_assert_ptr_nonnull(r->sectors);
	for (i = 0; i < SECTORS; i++)
		add_stamp(r, i, r->variant->backing ? BASE_MARK | i : 0);
	snprintf(path, sizeof(path), "%s/base.raw", r->c.dir);
	base = r->variant->backing ? fopen(path, "we") : NULL;
	for (i = 0; base && i < SECTORS; i++) {
		uint64_t words[64];

		for (n = 0; n < ARRAY_SIZE(words); n++)
			words[n] = BASE_MARK | i;
		ck_assert_uint_eq(fwrite(words, sizeof(words), 1, base), 1);
	}
	if (base)
		fclose(base);
	ck_assert_int_eq(qcow2_run(&r->c, "qemu-img create -f qcow2 %s %s a.qcow2 %uK",
				   base ? "-b base.raw -F raw" : "", options, SECTORS / 2),
			 0);
}

static void check_all(struct run *r, struct blk *blk, bool killed)
{
	unsigned char *bytes = malloc(SECTORS * 512);
	unsigned i;

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(blk_pread(blk, 0, bytes, SECTORS * 512), 0);
	for (i = 0; i < SECTORS; i++)
		check_sector(r, i, bytes + i * 512, killed);
	free(bytes);
}

/* What kill -9 would leave at this moment. */
static void check_killed(struct run *r)
{
	struct blk_options options = {.format = "qcow2"};
	struct err e = {0};
	struct blk *blk;
	char path[96];

	ck_assert_int_eq(qcow2_run(&r->c, "cp a.qcow2 killed.qcow2"), 0);
	qcow2_qemu_check(&r->c, "killed.qcow2", true);
	snprintf(path, sizeof(path), "%s/killed.qcow2", r->c.dir);
	options.path = path;
	ck_assert_msg(blk_open(&options, r->c.loop, &blk, &e) == 0, "%s", e.text);
	check_all(r, blk, true);
	blk_close(blk);
}

static void run_way(struct run *r, unsigned step, unsigned way)
{
	unsigned i;
	bool unstable;

	make(r);
	qcow2_case_open(&r->c, "a.qcow2");
	/* Some life before the trouble, and all of it known. */
	for (i = 0; i < 8; i++)
		batch(r);
	r->fault = (struct fault){
		.op = steps[step].op,
		.point = steps[step].point,
		.nth = ways[way].nth,
		.times = ways[way].times,
		.kind = steps[step].op == FILE_WRITE ? ways[way].kind : FAULT_FAIL,
		.error = ways[way].error,
		.amount = 512 * (1 + below(r, 8)),
	};
	r->c.plan = (struct file_faults){&r->fault, 1};
	for (i = 0; i < BATCHES; i++)
		batch(r);
	r->c.plan.count = 0;
	check_all(r, r->c.blk, false);
	check_killed(r);
	/* And it goes on as if nothing had been. */
	for (i = 0; i < 6; i++)
		batch(r);
	unstable = r->c.blk->unstable;
	ck_assert(unstable || blk_flush(r->c.blk) == 0);
	if (!unstable)
		flushed(r);
	qcow2_case_close(&r->c);
	qcow2_qemu_check(&r->c, "a.qcow2", true);
	qcow2_case_open(&r->c, "a.qcow2");
	check_all(r, r->c.blk, unstable);
	free(r->sectors);
	qcow2_case_free(&r->c);
}

/* Each step fails in two ways on two kinds of image; the seed turns which. */
START_TEST(a_failing_step_loses_nothing)
{
	unsigned n;

	if (!qcow2_have_qemu())
		return;
	for (n = 0; n < 2; n++) {
		uint64_t turn = unit_seed() + (uint64_t)_i * 2 + n;
		struct run r = {
			.variant = &variants[turn / ARRAY_SIZE(ways) % ARRAY_SIZE(variants)],
			.random = unit_seed() * 1000 + (uint64_t)_i * 100 + n,
		};

		run_way(&r, (unsigned)_i, (unsigned)(turn % ARRAY_SIZE(ways)));
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-fault");
	TCase *c = tcase_create("fault");

	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, a_failing_step_loses_nothing, 0, ARRAY_SIZE(steps));
	suite_add_tcase(suite, c);
	return suite;
}
