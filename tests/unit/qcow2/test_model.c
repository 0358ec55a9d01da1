/*
 * A qcow2 disk against a plain buffer: the same random requests on both, many at a time, compared
 * after every batch, and by qemu-img at the end. Over what the format can vary.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "qcow2_case.h"

#define BATCH      16
#define ROUNDS     60
#define PIECES_MAX 9

struct variant {
	const char *name;
	const char *options; /* of qemu-img create */
	uint64_t size;
	bool backing;
	bool compressed;
	bool snapshot; /* all that is there is shared with one */
	bool direct, threads;
};

static const struct variant variants[] = {
	{.name = "default", .size = MIB(12)},
	{.name = "threads", .size = MIB(12), .threads = true},
	{.name = "direct", .size = MIB(12) + 512, .direct = true},
	{.name = "odd", .size = MIB(3) + 512 * 7},
	{.name = "v2", .options = "-o compat=0.10", .size = MIB(12)},
	{.name = "v2backing", .options = "-o compat=0.10", .size = MIB(12), .backing = true},
	{.name = "512", .options = "-o cluster_size=512", .size = MIB(2)},
	{.name = "4k", .options = "-o cluster_size=4096", .size = MIB(6)},
	{.name = "2m", .options = "-o cluster_size=2M", .size = MIB(37)},
	{.name = "ref1", .options = "-o refcount_bits=1", .size = MIB(8)},
	{.name = "ref2", .options = "-o cluster_size=512,refcount_bits=2", .size = MIB(2)},
	{.name = "ref4", .options = "-o cluster_size=1024,refcount_bits=4", .size = MIB(2)},
	{.name = "ref8", .options = "-o refcount_bits=8", .size = MIB(8)},
	{.name = "ref32", .options = "-o cluster_size=4096,refcount_bits=32", .size = MIB(4)},
	{.name = "ref64", .options = "-o cluster_size=512,refcount_bits=64", .size = MIB(4)},
	{.name = "ext", .options = "-o extended_l2=on", .size = MIB(8)},
	{.name = "ext128k", .options = "-o extended_l2=on,cluster_size=128k", .size = MIB(16)},
	{.name = "extback", .options = "-o extended_l2=on", .size = MIB(8), .backing = true},
	{.name = "backing", .size = MIB(12), .backing = true},
	{.name = "back4k", .options = "-o cluster_size=4k", .size = MIB(6), .backing = true},
	{.name = "backdirect", .size = MIB(12), .backing = true, .direct = true},
	{.name = "meta", .options = "-o preallocation=metadata", .size = MIB(12)},
	{.name = "lazy", .options = "-o lazy_refcounts=on", .size = MIB(12)},
	{.name = "zlib", .size = MIB(8), .compressed = true},
	{.name = "zstd", .options = "-o compression_type=zstd", .size = MIB(8), .compressed = true},
	{.name = "zlib4k", .options = "-o cluster_size=4k", .size = MIB(4), .compressed = true},
	{.name = "zlibdirect", .size = MIB(8), .compressed = true, .direct = true},
	{.name = "snapshot", .size = MIB(8), .backing = true, .snapshot = true},
	{.name = "extsnap",
	 .options = "-o extended_l2=on",
	 .size = MIB(8),
	 .backing = true,
	 .snapshot = true},
	{.name = "zsnap", .size = MIB(8), .compressed = true, .snapshot = true},
	{.name = "data", .options = "-o data_file=data.img", .size = MIB(8)},
	{.name = "dataraw", .options = "-o data_file=data.img,data_file_raw=on", .size = MIB(8)},
};

struct slot {
	struct blk_req req;
	int result;
	unsigned completions;
	unsigned char *buf;
	struct iovec iov[PIECES_MAX];
};

struct model {
	struct qcow2_case c;
	const struct variant *variant;
	unsigned char *bytes;
	uint64_t size;
	uint64_t random;
	struct slot slots[BATCH];
	unsigned count;
};

static uint64_t below(struct model *m, uint64_t limit)
{
	return unit_random(&m->random) % limit;
}

/* @len is in sectors. */
static void scribble(struct model *m, unsigned char *to, uint64_t len)
{
	/* Half of it compressible. */
	bool plain = below(m, 2);
	uint64_t i, word;

	for (i = 0; i < len; i += sizeof(word)) {
		word = plain ? 0x4040404040404040 + (i >> 9) % 7 : unit_random(&m->random);
		memcpy(to + i, &word, sizeof(word));
	}
}

/* A base of @size bytes with data in some places. */
static void make_base(struct model *m, const char *name, uint64_t size)
{
	unsigned char *bytes = calloc(1, size);
	char path[96];
	FILE *file;
	unsigned i;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < 20; i++) {
		uint64_t len = 512 * (1 + below(m, 600)), at = 512 * below(m, (size - len) / 512);

		scribble(m, bytes + at, len);
	}
	snprintf(path, sizeof(path), "%s/%s", m->c.dir, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
	free(bytes);
}

static void make_image(struct model *m)
{
	const struct variant *v = m->variant;
	const char *options = v->options ? v->options : "";
	unsigned char *bytes;
	size_t len;

	if (v->backing || v->compressed)
		/* Sometimes shorter than the disk over it, sometimes longer. */
		make_base(m, "base.raw",
			  v->compressed ? v->size
					: align_down(v->size * 2 / (2 + below(m, 2)), 512) + 1024);
	if (v->compressed)
		ck_assert_int_eq(qcow2_run(&m->c,
					   "qemu-img convert -c -O qcow2 %s base.raw a.qcow2",
					   options),
				 0);
	else
		ck_assert_int_eq(qcow2_run(&m->c, "qemu-img create -f qcow2 %s %s a.qcow2 %llu",
					   v->backing ? "-b base.raw -F raw" : "", options,
					   (unsigned long long)v->size),
				 0);
	if (v->snapshot) {
		if (!v->compressed)
			ck_assert_int_eq(qcow2_run(&m->c,
						   "qemu-io -c 'write -P 9 70k 1M' -c 'write -z 2M "
						   "128k' a.qcow2"),
					 0);
		ck_assert_int_eq(qcow2_run(&m->c, "qemu-img snapshot -c s1 a.qcow2"), 0);
	}
	ck_assert_int_eq(qcow2_run(&m->c, "qemu-img convert -O raw a.qcow2 m.raw"), 0);
	bytes = qcow2_slurp(&m->c, "m.raw", &len);
	m->size = v->size;
	ck_assert_uint_ge(len, m->size);
	m->bytes = bytes;
}

static bool overlaps(const struct model *m, uint64_t offset, uint64_t len)
{
	unsigned i;

	for (i = 0; i < m->count; i++) {
		const struct blk_req *req = &m->slots[i].req;

		if (offset < req->offset_bytes + req->len_bytes && req->offset_bytes < offset + len)
			return true;
	}
	return false;
}

static void cut(struct model *m, struct slot *slot)
{
	uint64_t done = 0, unit = m->variant->direct && below(m, 2) ? 4096 : 1;
	int n = 0;

	while (done < slot->req.len_bytes) {
		uint64_t len = slot->req.len_bytes - done;

		if (n < PIECES_MAX - 1 && !below(m, 3))
			len = MIN(len, align_up(1 + below(m, len), unit));
		slot->iov[n++] = (struct iovec){slot->buf + done, len};
		done += len;
	}
	slot->req.iov = slot->iov;
	slot->req.iov_count = n;
}

static void done(struct blk_req *req, int result)
{
	struct slot *slot = container_of(req, struct slot, req);

	slot->result = result;
	slot->completions++;
}

static void choose(struct model *m)
{
	static const enum blk_op ops[] = {BLK_READ,    BLK_READ,         BLK_READ,
					  BLK_WRITE,   BLK_WRITE,        BLK_WRITE,
					  BLK_WRITE,   BLK_DISCARD,      BLK_FLUSH,
					  BLK_DISCARD, BLK_WRITE_ZEROES, BLK_WRITE_ZEROES};
	struct slot *slot = &m->slots[m->count];
	uint64_t block = m->c.blk->info.block_bytes, offset;
	uint64_t len = block * (1 + below(m, below(m, 6) ? 24 : 1200));

	len = MIN(len, m->size / 4 / block * block);
	offset = block * below(m, (m->size - len) / block + 1);
	if (below(m, 3) == 0)
		offset = MIN(align_down(offset, 65536), m->size - len);
	if (overlaps(m, offset, len))
		return;
	*slot = (struct slot){.req = {.op = ops[below(m, ARRAY_SIZE(ops))],
				      .offset_bytes = offset,
				      .len_bytes = len,
				      .flags = below(m, 2) ? BLK_REQ_UNMAP : 0,
				      .done = done}};
	if (slot->req.op == BLK_FLUSH)
		slot->req.offset_bytes = slot->req.len_bytes = 0;
	if (slot->req.op == BLK_READ || slot->req.op == BLK_WRITE) {
		slot->buf = aligned_alloc(4096, align_up(len, 4096));
		ck_assert_ptr_nonnull(slot->buf);
		scribble(m, slot->buf, len);
		cut(m, slot);
	}
	m->count++;
}

/* A discarded block may read as it was or as zeroes, and stays that. */
static void adopt(struct model *m, uint64_t offset, uint64_t len)
{
	unsigned char *now = malloc(len);
	uint64_t i, wrong = 0;

	ck_assert_ptr_nonnull(now);
	ck_assert_int_eq(blk_pread(m->c.blk, offset, now, len), 0);
	for (i = 0; i < len; i += 512)
		wrong += memcmp(now + i, m->bytes + offset + i, 512) &&
			 (now[i] || memcmp(now + i, now + i + 1, 511));
	ck_assert_uint_eq(wrong, 0);
	memcpy(m->bytes + offset, now, len);
	free(now);
}

static void compare(struct model *m, struct slot *slot)
{
	const struct blk_req *req = &slot->req;
	unsigned char *model = m->bytes + req->offset_bytes;

	ck_assert_msg(slot->result == 0, "%s: op %d at %llu: %s", m->variant->name, req->op,
		      (unsigned long long)req->offset_bytes, strerror(-slot->result));
	ck_assert_uint_eq(slot->completions, 1);
	if (req->op == BLK_READ) {
		ck_assert_msg(memcmp(slot->buf, model, req->len_bytes) == 0,
			      "%s: wrong bytes at %llu + %llu", m->variant->name,
			      (unsigned long long)req->offset_bytes,
			      (unsigned long long)req->len_bytes);
	} else if (req->op == BLK_WRITE) {
		memcpy(model, slot->buf, req->len_bytes);
	} else if (req->op == BLK_WRITE_ZEROES) {
		memset(model, 0, req->len_bytes);
	} else if (req->op == BLK_DISCARD) {
		adopt(m, req->offset_bytes, req->len_bytes);
	}
	free(slot->buf);
}

static void compare_all(struct model *m, const char *when)
{
	unsigned char *bytes = malloc(m->size);
	uint64_t at;

	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(blk_pread(m->c.blk, 0, bytes, m->size), 0);
	for (at = 0; memcmp(bytes, m->bytes, m->size) && at < m->size; at += 512)
		ck_assert_msg(memcmp(bytes + at, m->bytes + at, 512) == 0,
			      "%s: %s, sector at %llu differs", m->variant->name, when,
			      (unsigned long long)at);
	free(bytes);
}

static void run_rounds(struct model *m)
{
	unsigned round, i;

	for (round = 0; round < ROUNDS; round++) {
		m->count = 0;
		for (i = 0; i < BATCH * 2 && m->count < BATCH; i++)
			choose(m);
		for (i = 0; i < m->count; i++)
			blk_submit(m->c.blk, &m->slots[i].req);
		blk_drain(m->c.blk);
		for (i = 0; i < m->count; i++)
			compare(m, &m->slots[i]);
		if (round % 20 == 19) {
			compare_all(m, "while open");
			qcow2_case_close(&m->c);
			qcow2_qemu_check(&m->c, "a.qcow2", false);
			qcow2_case_open(&m->c, "a.qcow2");
			compare_all(m, "opened again");
		}
	}
}

static void compare_qemu(struct model *m)
{
	unsigned char *bytes;
	size_t len;

	ck_assert_int_eq(qcow2_run(&m->c, "qemu-img convert -O raw a.qcow2 m.raw"), 0);
	bytes = qcow2_slurp(&m->c, "m.raw", &len);
	ck_assert_uint_ge(len, m->size);
	ck_assert_msg(memcmp(bytes, m->bytes, m->size) == 0, "%s: qemu-img reads other bytes",
		      m->variant->name);
	free(bytes);
	if (m->variant->snapshot) {
		ck_assert_int_eq(qcow2_run(&m->c, "qemu-img snapshot -a s1 a.qcow2"), 0);
		qcow2_qemu_check(&m->c, "a.qcow2", false);
	}
}

START_TEST(reads_and_writes_as_a_plain_buffer_does)
{
	struct model m = {.variant = &variants[_i], .random = unit_seed() + (uint64_t)_i * 7919};
	struct err e = {0};

	if (!qcow2_have_qemu())
		return;
	qcow2_case_make(&m.c, m.variant->direct);
	make_image(&m);
	m.c.direct = m.variant->direct;
	m.c.threads = m.variant->threads;
	if (m.c.direct && qcow2_case_try(&m.c, "a.qcow2", &e) == -ENOTSUP)
		goto out;
	if (!m.c.direct)
		qcow2_case_open(&m.c, "a.qcow2");
	ck_assert_msg(m.c.blk, "%s", e.text);
	m.size = m.c.blk->info.capacity_bytes;
	compare_all(&m, "at first");
	run_rounds(&m);
	qcow2_case_close(&m.c);
	qcow2_qemu_check(&m.c, "a.qcow2", false);
	compare_qemu(&m);
out:
	free(m.bytes);
	qcow2_case_free(&m.c);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2-model");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, reads_and_writes_as_a_plain_buffer_does, 0, ARRAY_SIZE(variants));
	suite_add_tcase(suite, tc);
	return suite;
}
