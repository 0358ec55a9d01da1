/* The parts without descriptors: the ring, the backlog, the escape keys. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "char/backlog.h"
#include "char/keys.h"
#include "char/ring.h"
#include "suite.h"
#include "unit.h"

/* Numbers go in and out in sequence, so any byte out of place shows. */
START_TEST(ring_keeps_order_and_limit)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	uint64_t seed = unit_seed();
	uint8_t next_in = 0, next_out = 0, chunk[3000];
	unsigned i;

	ck_assert_ptr_nonnull(ring);
	for (i = 0; i < 20000; i++) {
		size_t len = unit_random(&seed) % sizeof(chunk), j, n;
		size_t limit = RING_BYTES - unit_random(&seed) % 1000;

		if (unit_random(&seed) % 2) {
			size_t before = ring->len;

			for (j = 0; j < len; j++)
				chunk[j] = (uint8_t)(next_in + j);
			n = ring_put(ring, chunk, len, limit);
			ck_assert_uint_eq(n, before >= limit ? 0 : MIN(len, limit - before));
			next_in = (uint8_t)(next_in + n);
		} else {
			const uint8_t *bytes;

			n = MIN(ring_peek(ring, &bytes), len);
			for (j = 0; j < n; j++)
				chunk[j] = next_out++;
			ck_assert_int_eq(memcmp(bytes, chunk, n), 0);
			ring_consume(ring, n);
		}
	}
	free(ring);
}
END_TEST

START_TEST(backlog_keeps_order_of_bytes_and_breaks)
{
	struct backlog backlog = {0};
	uint64_t seed = unit_seed();
	unsigned in = 0, out = 0, wrong = 0, i;
	uint8_t bytes[64];

	/* Item number n is a break when n is a multiple of 7, else the byte n. */
	for (i = 0; i < 200000; i++) {
		if (unit_random(&seed) % 100 < (i < 100000 ? 90 : 20)) {
			wrong += !backlog_add(&backlog,
					      in % 7 ? (uint16_t)(in & 0xff) : BACKLOG_BREAK);
			in++;
		} else if (backlog_take_break(&backlog)) {
			wrong += out++ % 7 != 0;
		} else {
			size_t n = backlog_take(&backlog, bytes, unit_random(&seed) % 64), j;

			for (j = 0; j < n; j++, out++)
				wrong += out % 7 == 0 || bytes[j] != (out & 0xff);
		}
		wrong += backlog_room(&backlog) != BACKLOG_MAX - (in - out);
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_gt(out, 1000);
	backlog_free(&backlog);
}
END_TEST

START_TEST(backlog_is_bounded_and_gives_its_memory_back)
{
	struct backlog backlog = {0};
	uint8_t bytes[4096];
	size_t i;

	for (i = 0; backlog_add(&backlog, 'x'); i++)
		continue;
	ck_assert_uint_eq(i, BACKLOG_MAX);
	ck_assert_uint_eq(backlog_room(&backlog), 0);
	while (backlog_take(&backlog, bytes, sizeof(bytes)))
		continue;
	ck_assert(backlog_empty(&backlog));
	ck_assert_ptr_null(backlog.items);
}
END_TEST

START_TEST(keys_after_the_prefix)
{
	static const struct {
		uint8_t key;
		enum keys_meaning meaning;
	} keys[] = {
		{'x', KEYS_QUIT},   {'h', KEYS_HELP},   {'?', KEYS_HELP},
		{'b', KEYS_BREAK},  {'a', KEYS_PREFIX}, {KEYS_CTRL_A, KEYS_PREFIX},
		{'c', KEYS_RESUME}, {'p', KEYS_POWER},  {'z', KEYS_NOTHING},
	};
	struct keys state = {0};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		ck_assert_int_eq(keys_feed(&state, keys[i].key),
				 keys[i].key == KEYS_CTRL_A ? KEYS_NOTHING : KEYS_BYTE);
		if (keys[i].key != KEYS_CTRL_A)
			ck_assert_int_eq(keys_feed(&state, KEYS_CTRL_A), KEYS_NOTHING);
		ck_assert_int_eq(keys_feed(&state, keys[i].key), keys[i].meaning);
	}
	for (i = 0; i < 256; i++)
		if (i != KEYS_CTRL_A)
			ck_assert_int_eq(keys_feed(&state, (uint8_t)i), KEYS_BYTE);
}
END_TEST

TCase *parts_case(void)
{
	TCase *tcase = tcase_create("ring, backlog, keys");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, ring_keeps_order_and_limit);
	tcase_add_test(tcase, backlog_keeps_order_of_bytes_and_breaks);
	tcase_add_test(tcase, backlog_is_bounded_and_gives_its_memory_back);
	tcase_add_test(tcase, keys_after_the_prefix);
	return tcase;
}
