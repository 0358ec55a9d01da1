/* The ring between two processes: frames come out as they went in, and lies end in no frame. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "net/header.h"
#include "net/ring.h"
#include "tests.h"

static struct net_ring_shared *shared;
static struct net_ring writer, reader;
static uint64_t seed;
static uint8_t bytes[2 * NET_FRAME_MAX];

static void set_up(void)
{
	size_t i;

	seed = unit_seed();
	shared = calloc(1, sizeof(*shared));
	ck_assert_ptr_nonnull(shared);
	writer = (struct net_ring){.shared = shared, .signal_fd = eventfd(0, EFD_NONBLOCK)};
	reader = (struct net_ring){.shared = shared, .signal_fd = eventfd(0, EFD_NONBLOCK)};
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
}

static void tear_down(void)
{
	close(writer.signal_fd);
	close(reader.signal_fd);
	free(shared);
}

static bool put(size_t from, size_t len)
{
	struct iovec iov[2] = {{bytes + from, len / 3}, {bytes + from + len / 3, len - len / 3}};

	return net_ring_put(&writer, iov, 2, len);
}

static void take(size_t from, size_t len)
{
	size_t got = 0;
	const uint8_t *frame = net_ring_peek(&reader, &got);

	ck_assert_ptr_nonnull(frame);
	ck_assert_uint_eq(got, len);
	ck_assert_int_eq(memcmp(frame, bytes + from, len), 0);
	net_ring_take(&reader);
}

static bool signalled(struct net_ring *by)
{
	uint64_t count;

	return read(by->signal_fd, &count, sizeof(count)) == sizeof(count);
}

/* Any lengths, any order of puts and takes: the same frames, in their order, round and round. */
START_TEST(frames_come_out_as_they_went_in)
{
	struct {
		size_t from, len;
	} queue[NET_RING_BYTES / 8];
	size_t head = 0, tail = 0, got;
	int i;

	for (i = 0; i < 20000; i++) {
		size_t from = unit_random(&seed) % NET_FRAME_MAX;
		size_t len =
			NET_ETHERNET_BYTES +
			unit_random(&seed) % (unit_random(&seed) % 4
						      ? 100
						      : NET_FRAME_MAX - NET_ETHERNET_BYTES + 1);

		if (unit_random(&seed) % 2) {
			if (!put(from, len)) {
				ck_assert_uint_ne(head, tail);
				continue;
			}
			queue[head % ARRAY_SIZE(queue)].from = from;
			queue[head++ % ARRAY_SIZE(queue)].len = len;
		} else if (head != tail) {
			take(queue[tail % ARRAY_SIZE(queue)].from,
			     queue[tail % ARRAY_SIZE(queue)].len);
			tail++;
		} else {
			ck_assert_ptr_null(net_ring_peek(&reader, &got));
		}
	}
	ck_assert(!reader.broken);
}
END_TEST

START_TEST(who_sleeps_is_woken_once)
{
	ck_assert(net_ring_sleep(&reader));
	ck_assert(put(0, 60) && put(0, 61));
	ck_assert(!signalled(&writer));
	net_ring_say(&writer);
	ck_assert(signalled(&writer));
	net_ring_say(&writer);
	ck_assert(!signalled(&writer));
	ck_assert(!net_ring_sleep(&reader));
	take(0, 60);
	take(0, 61);
	ck_assert(put(0, 62));
	net_ring_say(&writer);
	ck_assert(!signalled(&writer));
	take(0, 62);
	ck_assert(net_ring_sleep(&reader));
	net_ring_wake(&reader);
	ck_assert(put(0, 63));
	net_ring_say(&writer);
	ck_assert(!signalled(&writer));
}
END_TEST

START_TEST(who_waits_for_room_is_told)
{
	unsigned count = 0;

	while (put(0, NET_FRAME_MAX))
		count++;
	ck_assert_uint_ge(count, 14);
	ck_assert(!signalled(&reader));
	take(0, NET_FRAME_MAX);
	ck_assert(signalled(&reader));
	take(0, NET_FRAME_MAX);
	ck_assert(!signalled(&reader));
	ck_assert(put(0, NET_FRAME_MAX));
}
END_TEST

static const uint32_t bad_heads[] = {1, 4, 8, NET_RING_BYTES + 8, UINT32_MAX, UINT32_MAX - 7};

/* With zeroes in the ring: lengths of 0. */
START_TEST(who_waits_for_the_last_is_told_then)
{
	ck_assert(!net_ring_await_empty(&writer));
	ck_assert(put(0, 100));
	/* One frame is no work to wait for: an answer may depend on it. */
	ck_assert(!net_ring_await_empty(&writer));
	ck_assert(put(100, 200));
	ck_assert(put(300, 60));
	ck_assert(net_ring_await_empty(&writer));
	take(0, 100);
	take(100, 200);
	ck_assert(!signalled(&reader));
	take(300, 60);
	ck_assert(signalled(&reader));
	/* Once. */
	ck_assert(put(0, 100));
	take(0, 100);
	ck_assert(!signalled(&reader));
}
END_TEST

START_TEST(a_head_that_lies_breaks_the_ring)
{
	size_t len;

	atomic_store(&shared->head, bad_heads[_i]);
	ck_assert_ptr_null(net_ring_peek(&reader, &len));
	ck_assert(reader.broken);
}
END_TEST

static const uint32_t bad_lengths[] = {0, 13, NET_FRAME_MAX + 1, UINT32_MAX - 1, UINT32_MAX, 125};

START_TEST(a_length_that_lies_breaks_the_ring)
{
	size_t len;

	ck_assert(put(0, 120));
	memcpy(shared->data, &bad_lengths[_i], sizeof(uint32_t));
	ck_assert_ptr_null(net_ring_peek(&reader, &len));
	ck_assert(reader.broken);
}
END_TEST

/* Whatever stands there, the reader stays inside and the writer does not write past the end. */
START_TEST(rubbish_is_survived)
{
	const uint8_t *frame;
	size_t len, i;
	int round;

	for (round = 0; round < 2000; round++) {
		reader = (struct net_ring){.shared = shared,
					   .signal_fd = reader.signal_fd,
					   .at = (uint32_t)unit_random(&seed) & ~7u};
		atomic_store(&shared->head, reader.at + (uint32_t)unit_random(&seed) % 4096);
		atomic_store(&shared->tail, (uint32_t)unit_random(&seed));
		for (i = 0; i < 4096; i += 4) {
			uint32_t word = (uint32_t)unit_random(&seed) % 3
						? (uint32_t)unit_random(&seed) % 256
						: UINT32_MAX;

			memcpy(shared->data + ((reader.at + i) & (NET_RING_BYTES - 1)), &word, 4);
		}
		while ((frame = net_ring_peek(&reader, &len))) {
			ck_assert(frame >= shared->data);
			ck_assert(frame + len <= shared->data + NET_RING_BYTES);
			net_ring_take(&reader);
		}
		(void)put(0, 1500);
	}
}
END_TEST

TCase *ring_cases(void)
{
	TCase *tc = tcase_create("ring");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, frames_come_out_as_they_went_in);
	tcase_add_test(tc, who_sleeps_is_woken_once);
	tcase_add_test(tc, who_waits_for_room_is_told);
	tcase_add_test(tc, who_waits_for_the_last_is_told_then);
	tcase_add_loop_test(tc, a_head_that_lies_breaks_the_ring, 0, ARRAY_SIZE(bad_heads));
	tcase_add_loop_test(tc, a_length_that_lies_breaks_the_ring, 0, ARRAY_SIZE(bad_lengths));
	tcase_add_test(tc, rubbish_is_survived);
	return tc;
}
