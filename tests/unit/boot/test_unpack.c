/* Compressed kernels: good, broken, joined, and larger than they should be. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/fd.h"
#include "boot/load.h"
#include "synth.h"
#include "tests.h"
#include "unit.h"

struct packed {
	uint8_t *bytes;
	size_t len;
	size_t cap;
};

static void pack_gzip(struct packed *p, const void *bytes, size_t len)
{
	z_stream z = {0};

	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)len;
	z.next_out = p->bytes + p->len;
	z.avail_out = (uInt)(p->cap - p->len);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	p->len = p->cap - z.avail_out;
	deflateEnd(&z);
}

static void pack_zstd(struct packed *p, const void *bytes, size_t len)
{
	size_t n = ZSTD_compress(p->bytes + p->len, p->cap - p->len, bytes, len, 3);

	ck_assert(!ZSTD_isError(n));
	p->len += n;
}

typedef void pack_fn(struct packed *p, const void *bytes, size_t len);
static pack_fn *const packers[] = {pack_gzip, pack_zstd};
static const enum pack_format formats[] = {PACK_GZIP, PACK_ZSTD};

static struct packed packed_new(size_t cap)
{
	struct packed p = {.bytes = malloc(cap), .cap = cap};

	ck_assert_ptr_nonnull(p.bytes);
	return p;
}

/* Unpacks @p with a limit; the result is compared with @expected unless that is NULL. */
static int unpack(const struct packed *p, int format, uint64_t max, const struct packed *expected)
{
	struct synth_file file;
	uint64_t size = 0;
	struct err e = {0};
	uint8_t *got;
	int fd, ret;

	synth_file_new(&file, p->bytes, p->len);
	fd = file.fd;
	ret = kernel_unpack("k", formats[format], max, &fd, &size, &e);
	if (!ret && expected) {
		ck_assert_uint_eq(size, expected->len);
		got = malloc(size + 1);
		ck_assert_int_eq(fd_pread_full(fd, got, size + 1, 0), (ssize_t)size);
		ck_assert_mem_eq(got, expected->bytes, size);
		free(got);
	}
	ck_assert_msg(!ret == !e.code, "%s", e.text);
	fd_close(&fd); /* the file's own, or the one that replaced it */
	return ret;
}

START_TEST(a_compressed_kernel_opens_as_the_kernel_inside)
{
	uint8_t bytes[SYNTH_BZIMAGE_BYTES];
	struct packed p = packed_new(65536);
	struct kernel_image image;
	struct err e = {0};

	synth_bzimage(bytes);
	packers[_i](&p, bytes, sizeof(bytes));
	ck_assert_msg(!synth_open(p.bytes, p.len, KERNEL_X86_64, &image, &e), "%s", e.text);
	ck_assert_int_eq(image.format, KERNEL_BZIMAGE);
	ck_assert_uint_eq(image.size_bytes, sizeof(bytes));
	kernel_close(&image);
	free(p.bytes);
}
END_TEST

/* Sizes around the buffers' sizes, contents that hardly compress, pieces joined, padding after. */
START_TEST(contents_come_back_whole)
{
	static const size_t sizes[] = {1,      4096,   65535,  65536, 65537,
				       262143, 262144, 262145, 900000};
	uint64_t seed = unit_seed();
	struct packed p = packed_new(4 << 20), plain = packed_new(2 << 20);
	size_t i, n;

	for (n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		plain.len = sizes[n];
		for (i = 0; i < plain.len; i++)
			plain.bytes[i] = (uint8_t)unit_random(&seed);
		p.len = 0;
		packers[_i](&p, plain.bytes, plain.len / 2);
		packers[_i](&p, plain.bytes + plain.len / 2, plain.len - plain.len / 2);
		ck_assert_int_eq(unpack(&p, _i, 1 << 20, &plain), 0);
		memset(p.bytes + p.len, 0, 512);
		p.len += 512;
		ck_assert_int_eq(unpack(&p, _i, 1 << 20, &plain), 0);
		ck_assert_int_eq(unpack(&p, _i, plain.len, &plain), 0);
		ck_assert_int_eq(unpack(&p, _i, plain.len - 1, NULL), -EFBIG);
	}
	free(p.bytes);
	free(plain.bytes);
}
END_TEST

/* A few kilobytes that promise gigabytes stop at the limit. */
START_TEST(a_decompression_bomb_is_bounded)
{
	struct packed p = packed_new(1 << 20), plain = packed_new(64 << 20);

	memset(plain.bytes, 0, plain.cap);
	packers[_i](&p, plain.bytes, plain.cap);
	ck_assert_uint_lt(p.len, 256 << 10);
	ck_assert_int_eq(unpack(&p, _i, 1 << 20, NULL), -EFBIG);
	free(p.bytes);
	free(plain.bytes);
}
END_TEST

START_TEST(compressed_data_that_ends_early_is_refused)
{
	uint64_t seed = unit_seed();
	struct packed p = packed_new(1 << 20), plain = packed_new(200000);
	size_t full, i;

	for (i = 0; i < plain.cap; i++)
		plain.bytes[i] = (uint8_t)unit_random(&seed);
	packers[_i](&p, plain.bytes, plain.cap);
	full = p.len;
	for (i = 0; i < 40; i++) {
		p.len = 4 + unit_random(&seed) % (full - 4);
		ck_assert_int_eq(unpack(&p, _i, 1 << 20, NULL), -EINVAL);
	}
	free(p.bytes);
	free(plain.bytes);
}
END_TEST

/* Damage is either noticed or, in the few bytes nobody checks, harmless: never a crash. */
START_TEST(damaged_data_never_crashes)
{
	uint64_t seed = unit_seed();
	struct packed p = packed_new(65536), plain = packed_new(20000);
	size_t i, at;
	uint8_t was;

	for (i = 0; i < plain.cap; i++)
		plain.bytes[i] = (uint8_t)(unit_random(&seed) & 0x0f);
	packers[_i](&p, plain.bytes, plain.cap);
	for (i = 0; i < 300; i++) {
		at = 2 + unit_random(&seed) % (p.len - 2);
		was = p.bytes[at];
		p.bytes[at] ^= (uint8_t)(1u << (unit_random(&seed) % 8));
		(void)unpack(&p, _i, 1 << 20, NULL);
		p.bytes[at] = was;
	}
	plain.len = plain.cap;
	ck_assert_int_eq(unpack(&p, _i, 1 << 20, &plain), 0);
	free(p.bytes);
	free(plain.bytes);
}
END_TEST

TCase *unpack_case(void)
{
	TCase *tc = tcase_create("unpack");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_compressed_kernel_opens_as_the_kernel_inside, 0, 2);
	tcase_add_loop_test(tc, contents_come_back_whole, 0, 2);
	tcase_add_loop_test(tc, a_decompression_bomb_is_bounded, 0, 2);
	tcase_add_loop_test(tc, compressed_data_that_ends_early_is_refused, 0, 2);
	tcase_add_loop_test(tc, damaged_data_never_crashes, 0, 2);
	return tc;
}
