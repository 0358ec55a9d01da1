/*
 * A raw disk against a plain buffer: the same random requests on both, compared after every batch.
 * On both engines, with and without O_DIRECT, on a host that zeroes and on one that does not, with
 * a kernel that answers whole and one that is erratic.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "image_case.h"
#include "wrapped_calls.h"

#define IMAGE_BYTES (MIB(2) + 3 * 4096)
#define BATCH       12
#define ROUNDS      40
#define PIECES_MAX  9
#define SLACK       4096

struct slot {
	struct image_req r;
	unsigned char *buf; /* what is read, or written, in one run, and SLACK bytes */
	struct iovec iov[PIECES_MAX];
};

struct model {
	struct image_case c;
	unsigned char *bytes;
	uint64_t random;
	struct slot slots[BATCH];
	unsigned count;
};

static uint64_t below(struct model *m, uint64_t limit)
{
	return unit_random(&m->random) % limit;
}

static bool overlaps(const struct model *m, uint64_t offset, uint64_t len)
{
	unsigned i;

	for (i = 0; i < m->count; i++) {
		const struct blk_req *req = &m->slots[i].r.req;

		if (offset < req->offset_bytes + req->len_bytes && req->offset_bytes < offset + len)
			return true;
	}
	return false;
}

/* Cuts the buffer of @slot into pieces at any byte. */
static void cut(struct model *m, struct slot *slot, uint64_t skew)
{
	struct blk_req *req = &slot->r.req;
	uint64_t done = 0;
	int n = 0;

	while (done < req->len_bytes) {
		uint64_t len = req->len_bytes - done;

		if (n < PIECES_MAX - 1 && below(m, 3))
			len = 1 + below(m, len);
		if (!skew && len > 4096)
			len = n < PIECES_MAX - 1 ? align_down(len, 4096) : len;
		slot->iov[n++] = (struct iovec){slot->buf + skew + done, len};
		done += len;
	}
	req->iov = slot->iov;
	req->iov_count = n;
}

static void choose(struct model *m)
{
	static const enum blk_op ops[] = {BLK_READ,    BLK_READ,         BLK_READ,
					  BLK_WRITE,   BLK_WRITE,        BLK_WRITE,
					  BLK_DISCARD, BLK_WRITE_ZEROES, BLK_FLUSH};
	struct slot *slot = &m->slots[m->count];
	uint64_t block = m->c.blk->info.block_bytes;
	uint64_t len = block * (1 + below(m, below(m, 8) ? 24 : 1000));
	uint64_t offset, skew, word, i;

	len = MIN(len, MIB(1));
	offset = block * below(m, (IMAGE_BYTES - len) / block + 1);
	if (overlaps(m, offset, len))
		return;
	slot->r.req = (struct blk_req){.op = ops[below(m, ARRAY_SIZE(ops))],
				       .offset_bytes = offset,
				       .len_bytes = len,
				       .flags = below(m, 2) ? BLK_REQ_UNMAP : 0};
	skew = below(m, 2) ? 0 : below(m, SLACK / 2);
	if (slot->r.req.op == BLK_FLUSH)
		slot->r.req.offset_bytes = slot->r.req.len_bytes = 0;
	if (slot->r.req.op == BLK_READ || slot->r.req.op == BLK_WRITE) {
		slot->buf = aligned_alloc(4096, align_up(len + SLACK, 4096));
		ck_assert_ptr_nonnull(slot->buf);
		cut(m, slot, skew);
		for (i = 0; i < len; i += sizeof(word)) {
			word = unit_random(&m->random);
			memcpy(slot->buf + skew + i, &word, sizeof(word));
		}
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
	for (i = 0; i < len; i++)
		wrong += now[i] != 0 && now[i] != m->bytes[offset + i];
	ck_assert_uint_eq(wrong, 0);
	memcpy(m->bytes + offset, now, len);
	free(now);
}

static void compare(struct model *m, struct slot *slot)
{
	const struct blk_req *req = &slot->r.req;
	unsigned char *model = m->bytes + req->offset_bytes;

	ck_assert_int_eq(slot->r.result, 0);
	ck_assert_uint_eq(slot->r.completions, 1);
	if (req->op == BLK_READ)
		ck_assert(memcmp(slot->iov[0].iov_base, model, req->len_bytes) == 0);
	else if (req->op == BLK_WRITE)
		memcpy(model, slot->iov[0].iov_base, req->len_bytes);
	else if (req->op == BLK_WRITE_ZEROES)
		memset(model, 0, req->len_bytes);
	else if (req->op == BLK_DISCARD)
		adopt(m, req->offset_bytes, req->len_bytes);
	free(slot->buf);
	slot->buf = NULL;
}

static void run_rounds(struct model *m)
{
	unsigned round, i;

	for (round = 0; round < ROUNDS; round++) {
		m->count = 0;
		for (i = 0; i < BATCH * 2 && m->count < BATCH; i++)
			choose(m);
		for (i = 0; i < m->count; i++)
			image_submit(&m->c, &m->slots[i].r);
		blk_drain(m->c.blk);
		for (i = 0; i < m->count; i++)
			compare(m, &m->slots[i]);
	}
}

static void compare_file(struct model *m)
{
	unsigned char *file = malloc(IMAGE_BYTES);
	int fd = open(m->c.path, O_RDONLY | O_CLOEXEC);

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fd_pread_full(fd, file, IMAGE_BYTES, 0), IMAGE_BYTES);
	ck_assert(memcmp(file, m->bytes, IMAGE_BYTES) == 0);
	close(fd);
	free(file);
}

enum host {
	HOST_GOOD,
	HOST_WITHOUT_PUNCH,   /* and zeroes only what stays allocated */
	HOST_WITHOUT_ZEROING, /* of any kind */
	HOST_ERRATIC,
	HOST_BLOCK_DEVICE, /* a loop device over the image, where we may make one */
	HOSTS,
};

static bool losetup(struct image_case *c, const char *command, const char *argument)
{
	char line[128];
	FILE *out;

	snprintf(line, sizeof(line), "losetup %s %s 2>/dev/null", command, argument);
	out = popen(line, "re");
	ck_assert_ptr_nonnull(out);
	if (!fgets(c->device, sizeof(c->device), out))
		c->device[0] = '\0';
	c->device[strcspn(c->device, "\n")] = '\0';
	return pclose(out) == 0;
}

/* Opens the image as @host has it. False: not possible here. */
static bool open_on(struct image_case *c, enum image_way way, enum host host)
{
	char device[sizeof(c->device)];
	bool opened;

	if (host != HOST_BLOCK_DEVICE)
		return image_open(c, way);
	if (!losetup(c, "-f --show", c->path))
		return false;
	memcpy(device, c->device, sizeof(device));
	opened = image_open(c, way);
	/* Goes away with its last user, however this test ends. */
	losetup(c, "-d", device);
	return opened;
}

static void differ(enum image_way way, enum host host)
{
	struct fault faults[] = {
		{.op = FILE_PUNCH, .nth = 1, .times = 1, .error = -EOPNOTSUPP},
		{.op = FILE_DISCARD, .nth = 1, .times = 1, .error = -EOPNOTSUPP},
		{.op = FILE_ZERO, .nth = 1, .times = 1, .error = -EOPNOTSUPP},
	};
	struct model m = {.random = unit_seed() + (uint64_t)way * HOSTS + host};
	unsigned i;

	image_make(&m.c, IMAGE_BYTES);
	if (host == HOST_WITHOUT_PUNCH)
		m.c.plan = (struct file_faults){faults, 2};
	if (host == HOST_WITHOUT_ZEROING)
		m.c.plan = (struct file_faults){faults, 3};
	if (!open_on(&m.c, way, host)) {
		image_free(&m.c);
		return;
	}
	if (host == HOST_ERRATIC)
		wrapped_make_erratic(m.c.blk->info.block_bytes);
	m.bytes = calloc(1, IMAGE_BYTES);
	ck_assert_ptr_nonnull(m.bytes);
	run_rounds(&m);
	if (host == HOST_ERRATIC)
		ck_assert_uint_gt(wrapped_erratic_count(), 0);
	/* What the host refused once was not asked for again, and the record has all of it. */
	for (i = 0; i < m.c.plan.count; i++)
		ck_assert_uint_le(faults[i].seen, BATCH);
	ck_assert_int_eq(blk_flush(m.c.blk), 0);
	image_close(&m.c);
	compare_file(&m);
	free(m.bytes);
	image_free(&m.c);
}

START_TEST(same_as_a_plain_buffer)
{
	differ((enum image_way)(_i % IMAGE_WAYS), (enum host)(_i / IMAGE_WAYS));
}
END_TEST

START_TEST(direct_io_takes_any_buffer)
{
	static unsigned char buf[MIB(1) + 1], back[MIB(1) + 7];
	struct image_case c;
	size_t i;

	image_make(&c, MIB(1));
	if (!image_open(&c, (enum image_way)_i)) {
		image_free(&c);
		return;
	}
	ck_assert_uint_ge(c.blk->info.block_bytes, 512);
	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 7 + i / 4096);
	/* An odd address: several rounds through the bounce buffer each way. */
	ck_assert_int_eq(blk_pwrite(c.blk, 0, buf + 1, MIB(1)), 0);
	ck_assert_int_eq(blk_pread(c.blk, 0, back + 7, MIB(1)), 0);
	ck_assert(memcmp(back + 7, buf + 1, MIB(1)) == 0);
	image_free(&c);
}
END_TEST

START_TEST(extents_follow_the_holes)
{
	enum blk_extent_kind kind;
	unsigned char buf[4096];
	struct image_case c;
	uint64_t len;

	image_make(&c, MIB(8));
	ck_assert(image_open(&c, (enum image_way)_i));
	memset(buf, 5, sizeof(buf));
	ck_assert_int_eq(blk_pwrite(c.blk, MIB(4), buf, sizeof(buf)), 0);
	len = MIB(64);
	ck_assert_int_eq(blk_extent(c.blk, MIB(4), &len, &kind), 0);
	ck_assert_int_eq(kind, BLK_EXTENT_DATA);
	ck_assert_uint_ge(len, 4096);
	ck_assert_uint_le(len, MIB(4));
	len = MIB(64);
	ck_assert_int_eq(blk_extent(c.blk, 0, &len, &kind), 0);
	/* A file system that knows no holes calls it all data. */
	if (kind == BLK_EXTENT_ZERO)
		ck_assert_uint_eq(len, MIB(4));
	len = 1;
	ck_assert_int_eq(blk_extent(c.blk, MIB(8), &len, &kind), -EINVAL);
	image_free(&c);
}
END_TEST

START_TEST(resizing_changes_what_may_be_reached)
{
	unsigned char buf[512];
	struct image_case c;
	struct err e = {0};

	image_make(&c, MIB(1));
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(blk_pread(c.blk, MIB(1), buf, 512), -EINVAL);
	ck_assert_int_eq(c.blk->ops->resize(c.blk, MIB(2), &e), 0);
	ck_assert_uint_eq(c.blk->info.capacity_bytes, MIB(2));
	memset(buf, 9, sizeof(buf));
	ck_assert_int_eq(blk_pread(c.blk, MIB(1), buf, 512), 0);
	ck_assert_uint_eq(buf[0], 0);
	ck_assert_int_eq(c.blk->ops->resize(c.blk, MIB(2) + 1, &e), -EINVAL);
	ck_assert_int_eq(c.blk->ops->resize(c.blk, 0, &e), -EINVAL);
	ck_assert_int_eq(c.blk->ops->resize(c.blk, UINT64_MAX - 511, &e), -EFBIG);
	ck_assert_uint_eq(c.blk->info.capacity_bytes, MIB(2));
	image_free(&c);
}
END_TEST

TCase *raw_case(void)
{
	TCase *tc = tcase_create("raw");

	tcase_set_timeout(tc, 100);
	tcase_add_loop_test(tc, same_as_a_plain_buffer, 0, IMAGE_WAYS * HOSTS);
	tcase_add_loop_test(tc, direct_io_takes_any_buffer, IMAGE_URING_DIRECT, IMAGE_WAYS);
	tcase_add_loop_test(tc, extents_follow_the_holes, 0, 2);
	tcase_add_loop_test(tc, resizing_changes_what_may_be_reached, 0, 2);
	return tc;
}
