/* The rings: indices that wrap, interrupt and notification suppression, placement. Virtio 1.2, 2.7.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "tests.h"
#include "virtio/queue.h"

#define SIZE  4
#define RAM   0x100000
#define DESC  0x1000
#define AVAIL 0x2000
#define USED  0x3000

static struct gmem *mem;
static struct virtq q;
static const struct virtq_config sound = {.size = SIZE,
					  .desc_gpa = DESC,
					  .avail_gpa = AVAIL,
					  .used_gpa = USED};

static void set_up(void)
{
	ck_assert_int_eq(gmem_new(&mem, NULL), 0);
	ck_assert_int_eq(gmem_add(mem, 0, RAM, NULL), 0);
	ck_assert_int_eq(virtq_init(&q, 2 * SIZE, NULL), 0);
}

static void tear_down(void)
{
	virtq_fini(&q);
	gmem_free(mem);
}

static void put16(uint64_t gpa, uint16_t value)
{
	value = htole16(value);
	ck_assert_int_eq(gmem_write(mem, gpa, &value, sizeof(value)), 0);
}

static uint16_t get16(uint64_t gpa)
{
	uint16_t value;

	ck_assert_int_eq(gmem_read(mem, gpa, &value, sizeof(value)), 0);
	return le16toh(value);
}

/* Offers descriptor 0 at ring position @index and takes it. */
static struct virtq_chain *take(uint16_t index)
{
	struct virtq_desc d = {.addr = htole64(0x8000), .len = htole32(8)};
	struct virtq_chain *chain = NULL;

	ck_assert_int_eq(gmem_write(mem, DESC, &d, sizeof(d)), 0);
	put16(AVAIL + 4 + 2 * (index % SIZE), 0);
	put16(AVAIL + 2, (uint16_t)(index + 1));
	ck_assert_int_eq(virtq_pop(&q, &chain), 1);
	return chain;
}

START_TEST(used_index_is_published_in_batches)
{
	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	virtq_push(&q, take(0), 5);
	ck_assert_uint_eq(get16(USED + 2), 0);
	virtq_push(&q, take(1), 6);
	ck_assert(virtq_publish(&q));
	ck_assert_uint_eq(get16(USED + 2), 2);
	ck_assert_uint_eq(get16(USED + 8), 5);
	ck_assert_uint_eq(get16(USED + 16), 6);
	ck_assert(!virtq_publish(&q));
}
END_TEST

START_TEST(no_interrupt_flag)
{
	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	put16(AVAIL, 1);
	virtq_push(&q, take(0), 0);
	ck_assert(!virtq_publish(&q));
	put16(AVAIL, 0);
	virtq_push(&q, take(1), 0);
	ck_assert(virtq_publish(&q));
}
END_TEST

START_TEST(event_idx_ignores_the_flag)
{
	ck_assert_int_eq(virtq_open(&q, mem, &sound, VIRTQ_EVENT_IDX), 0);
	put16(AVAIL, 1);
	put16(AVAIL + 4 + 2 * SIZE, 0);
	virtq_push(&q, take(0), 0);
	ck_assert(virtq_publish(&q));
}
END_TEST

/* All around the 16-bit circle, one at a time, with the driver wanting every third. */
START_TEST(event_idx_wraps_at_65535)
{
	uint32_t i;
	uint16_t event = 2;

	ck_assert_int_eq(virtq_open(&q, mem, &sound, VIRTQ_EVENT_IDX), 0);
	for (i = 0; i < 0x10000 + 100; i++) {
		bool due = (uint16_t)i == event;

		put16(AVAIL + 4 + 2 * SIZE, event);
		virtq_push(&q, take((uint16_t)i), 0);
		ck_assert_int_eq(virtq_publish(&q), due);
		ck_assert_uint_eq(get16(USED + 2), (uint16_t)(i + 1));
		if (due)
			event = (uint16_t)(event + 3);
	}
}
END_TEST

START_TEST(event_idx_inside_a_batch_over_the_wrap)
{
	uint16_t event;

	/* A batch of the entries 65535 and 0. Which events lie inside? */
	for (event = 65533; event != 3; event++) {
		ck_assert_int_eq(virtq_open(&q, mem, &sound, VIRTQ_EVENT_IDX), 0);
		q.avail_next = q.used_next = q.used_published = 65535;
		put16(AVAIL + 4 + 2 * SIZE, event);
		virtq_push(&q, take(65535), 0);
		virtq_push(&q, take(0), 0);
		ck_assert_int_eq(virtq_publish(&q), event == 65535 || event == 0);
	}
}
END_TEST

START_TEST(notify_flag_and_recheck)
{
	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	virtq_notify_disable(&q);
	ck_assert_uint_eq(get16(USED), 1);
	put16(AVAIL + 2, 1);
	ck_assert(virtq_notify_enable(&q));
	ck_assert_uint_eq(get16(USED), 0);
	virtq_push(&q, take(0), 0);
	ck_assert(!virtq_notify_enable(&q));
}
END_TEST

START_TEST(notify_event_and_recheck)
{
	ck_assert_int_eq(virtq_open(&q, mem, &sound, VIRTQ_EVENT_IDX), 0);
	virtq_push(&q, take(0), 0);
	virtq_notify_disable(&q);
	ck_assert_uint_eq(get16(USED), 0);
	ck_assert(!virtq_notify_enable(&q));
	ck_assert_uint_eq(get16(USED + 4 + 8 * SIZE), 1);
	put16(AVAIL + 2, 2);
	ck_assert(virtq_pending(&q));
	ck_assert(virtq_notify_enable(&q));
}
END_TEST

/* A driver that compares with avail_event must find that nobody waits, whatever it adds. */
START_TEST(notify_disable_moves_the_event_behind)
{
	uint16_t event, added;

	ck_assert_int_eq(virtq_open(&q, mem, &sound, VIRTQ_EVENT_IDX), 0);
	ck_assert(!virtq_notify_enable(&q));
	virtq_notify_disable(&q);
	event = get16(USED + 4 + 8 * SIZE);
	for (added = 1; added <= SIZE; added++)
		ck_assert_uint_ge((uint16_t)(q.avail_next + added - event - 1), added);
}
END_TEST

/* Somebody else serves the rings for a while: what was done there is not done again. */
START_TEST(a_queue_goes_on_where_another_left_off)
{
	struct virtq_rings rings;

	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	virtq_push(&q, take(0), 0);
	(void)virtq_publish(&q);
	rings = virtq_rings(&q);
	ck_assert_uint_eq(rings.size, SIZE);
	ck_assert_uint_eq(rings.next, 1);
	ck_assert_ptr_eq(rings.desc, gmem_ptr(mem, DESC, 1));
	ck_assert_ptr_eq(rings.avail, gmem_ptr(mem, AVAIL, 1));
	ck_assert_ptr_eq(rings.used, gmem_ptr(mem, USED, 1));
	put16(AVAIL + 2, 7);
	put16(USED + 2, 7);
	virtq_go_on_at(&q, 7);
	ck_assert(!virtq_pending(&q));
	ck_assert(!virtq_publish(&q));
	virtq_push(&q, take(7), 9);
	ck_assert(virtq_publish(&q));
	ck_assert_uint_eq(get16(USED + 2), 8);
	ck_assert_uint_eq(get16(USED + 8 + 8 * (7 % SIZE)), 9);
	virtq_close(&q);
	virtq_go_on_at(&q, 3);
}
END_TEST

START_TEST(closed_queue_touches_nothing)
{
	struct virtq_chain *chain;

	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	virtq_push(&q, take(0), 0);
	virtq_close(&q);
	ck_assert(!virtq_publish(&q));
	virtq_notify_disable(&q);
	ck_assert(!virtq_notify_enable(&q));
	ck_assert(!virtq_pending(&q));
	ck_assert_int_eq(virtq_pop(&q, &chain), 0);
	ck_assert_uint_eq(get16(USED), 0);
	ck_assert_uint_eq(get16(USED + 2), 0);
}
END_TEST

START_TEST(unsound_placements_are_refused)
{
	static const struct virtq_config bad[] = {
		{.size = 0, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED},
		{.size = 3, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED},
		{.size = 16, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED},
		{.size = SIZE, .desc_gpa = DESC + 8, .avail_gpa = AVAIL, .used_gpa = USED},
		{.size = SIZE, .desc_gpa = DESC, .avail_gpa = AVAIL + 1, .used_gpa = USED},
		{.size = SIZE, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED + 2},
		{.size = SIZE, .desc_gpa = RAM - 48, .avail_gpa = AVAIL, .used_gpa = USED},
		/* The event fields behind the rings count: one 16-bit word too little for each. */
		{.size = SIZE, .desc_gpa = DESC, .avail_gpa = RAM - 12, .used_gpa = USED},
		{.size = SIZE, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = RAM - 36},
		{.size = SIZE, .desc_gpa = UINT64_MAX - 15, .avail_gpa = AVAIL, .used_gpa = USED},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(virtq_check(&q, mem, &bad[i]), -EINVAL);
		ck_assert_int_eq(virtq_open(&q, mem, &bad[i], 0), -EINVAL);
		ck_assert(!virtq_is_open(&q));
	}
	ck_assert_int_eq(virtq_check(&q, mem, &sound), 0);
}
END_TEST

START_TEST(slots_are_unique_while_on_loan)
{
	struct virtq_chain *loan[SIZE];
	uint64_t seed = unit_seed();
	uint16_t index = 0;
	unsigned round, held = 0, i;

	ck_assert_int_eq(virtq_open(&q, mem, &sound, 0), 0);
	for (round = 0; round < 10000; round++) {
		if (held < SIZE && unit_random(&seed) % 2) {
			unsigned head = 0;

			while (q.busy[head])
				head++;
			put16(AVAIL + 4 + 2 * (index % SIZE), (uint16_t)head);
			put16(AVAIL + 2, ++index);
			ck_assert_int_eq(virtq_pop(&q, &loan[held]), 1);
			for (i = 0; i < held; i++)
				ck_assert_uint_ne(loan[i]->slot, loan[held]->slot);
			ck_assert_uint_lt(loan[held]->slot, SIZE);
			held++;
		} else if (held) {
			i = (unsigned)(unit_random(&seed) % held);
			virtq_push(&q, loan[i], 0);
			loan[i] = loan[--held];
		}
		ck_assert_uint_eq(q.in_flight, held);
	}
}
END_TEST

TCase *queue_cases(void)
{
	TCase *tc = tcase_create("queue");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, used_index_is_published_in_batches);
	tcase_add_test(tc, no_interrupt_flag);
	tcase_add_test(tc, event_idx_ignores_the_flag);
	tcase_add_test(tc, event_idx_wraps_at_65535);
	tcase_add_test(tc, event_idx_inside_a_batch_over_the_wrap);
	tcase_add_test(tc, notify_flag_and_recheck);
	tcase_add_test(tc, notify_event_and_recheck);
	tcase_add_test(tc, notify_disable_moves_the_event_behind);
	tcase_add_test(tc, a_queue_goes_on_where_another_left_off);
	tcase_add_test(tc, closed_queue_touches_nothing);
	tcase_add_test(tc, unsound_placements_are_refused);
	tcase_add_test(tc, slots_are_unique_while_on_loan);
	return tc;
}
