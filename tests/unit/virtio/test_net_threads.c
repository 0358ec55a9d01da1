/*
 * A vCPU that sends while the card's loop, on a thread of its own, receives, sends what was
 * refused, and takes naps. Each frame arrives, once, in order; TSan and ASan see nothing.
 */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/util.h"
#include "card.h"
#include "tests.h"

#define FRAMES      10000
#define MORE_FRAMES 50000 /* a window of some instructions has to be hit */
#define SIZE        64    /* of the queues */
#define NAP_NS      200000
#define BUFFERS     32

static struct card c;

/* The frames are counted in their first bytes. */
static void offer_number(uint64_t gpa, uint32_t number)
{
	memset(guest_at(&c.g, gpa, HDR), 0, HDR);
	memcpy(guest_at(&c.g, gpa + HDR, sizeof(number)), &number, sizeof(number));
	guest_add(&c.g, TX, (struct guest_buf[]){{gpa, HDR + 60, false}}, 1);
}

static void receive_one(void *opaque)
{
	(void)opaque;
	(void)fake_net_receive(c.fake, c.pattern, 60, NULL);
}

static void have_room(void *opaque)
{
	(void)opaque;
	net_tx_ready(&c.fake->net);
}

static void reap_all(void)
{
	uint32_t len;

	while (guest_reap(&c.g, TX, &len) >= 0)
		;
	while (guest_reap(&c.g, RX, &len) >= 0)
		card_give(&c, 2048);
}

struct count {
	unsigned sent;
	uint32_t last; /* the number of the last frame */
};

static void read_count(void *opaque)
{
	struct count *count = opaque;

	count->sent = c.fake->sent;
	memcpy(&count->last, c.fake->frame, sizeof(count->last));
}

/* What happens between two frames. */
static void disturb(struct loop *loop, uint64_t r)
{
	if (r % 16 == 0)
		atomic_store(&c.fake->busy, true);
	if (r % 8 == 1 && atomic_exchange(&c.fake->busy, false))
		loop_call(loop, have_room, NULL);
	/* Some stretches without, for naps. */
	if (r % 32 == 2)
		loop_call(loop, receive_one, NULL);
}

static struct loop_thread *set_up(uint64_t features, uint64_t gpa[BUFFERS])
{
	struct loop_thread *thread;
	unsigned i;

	ck_assert_int_eq(loop_thread_new(&thread, "net0", NULL), 0);
	c.nap_max_ns = NAP_NS;
	card_plug_on(&c, &card_plain, loop_thread_loop(thread));
	guest_bring_up(&c.g, features, 3, SIZE);
	for (i = 0; i < BUFFERS; i++)
		gpa[i] = guest_alloc(&c.g, HDR + 60, 16);
	for (i = 0; i < 16; i++)
		card_give(&c, 2048);
	return thread;
}

/* The loop's thread outlives the device. */
static void tear_down(struct loop_thread *thread)
{
	ck_assert(!c.fake->out_of_order);
	device_destroy(c.g.dev);
	loop_thread_free(thread);
	loop_free(c.g.loop);
	bus_free(c.g.bus);
	gmem_free(c.g.mem);
}

START_TEST(a_vcpu_and_the_loop_send_in_order)
{
	uint64_t gpa[BUFFERS], seed = unit_seed();
	struct count count = {0};
	struct loop_thread *thread = set_up(BIT(VIRTIO_F_EVENT_IDX), gpa);
	uint32_t number = 0;

	while (number < FRAMES) {
		reap_all();
		if (guest_free_descs(&c.g, TX) > SIZE - BUFFERS) {
			offer_number(gpa[number % BUFFERS], number);
			number++;
			guest_kick(&c.g, TX);
		}
		disturb(loop_thread_loop(thread), unit_random(&seed));
	}
	atomic_store(&c.fake->busy, false);
	loop_call(loop_thread_loop(thread), have_room, NULL);
	while (count.sent < FRAMES) {
		loop_call(loop_thread_loop(thread), read_count, &count);
		ck_assert_uint_le(count.sent, FRAMES);
	}
	ck_assert_uint_eq(count.last, FRAMES - 1);
	tear_down(thread);
}
END_TEST

/* Whether the driver has to notify of what it has offered since @before. */
static bool must_kick(bool event_idx, uint16_t before)
{
	const struct guest_queue *q = &c.g.queues[TX];
	uint16_t event = guest_avail_event(&c.g, TX);

	if (!event_idx)
		return !atomic_load((_Atomic uint16_t *)guest_at(&c.g, q->used, sizeof(event)));
	return (uint16_t)(q->avail_idx - event - 1) < (uint16_t)(q->avail_idx - before);
}

/* A frame that nobody looks for stays there: until all are given back nobody else wakes the loop.
 */
START_TEST(frames_that_need_no_notification_are_not_lost)
{
	uint64_t gpa[BUFFERS], seed = unit_seed();
	bool event_idx = _i;
	struct loop_thread *thread = set_up(event_idx ? BIT(VIRTIO_F_EVENT_IDX) : 0, gpa);
	uint32_t number = 0, done = 0, len;

	while (number < MORE_FRAMES) {
		uint16_t before = c.g.queues[TX].avail_idx;
		unsigned burst = 1 + (unsigned)(unit_random(&seed) % BUFFERS);

		if (unit_random(&seed) % 4)
			burst = 1;
		for (; burst; burst--, number++)
			offer_number(gpa[number % BUFFERS], number);
		atomic_thread_fence(memory_order_seq_cst);
		if (must_kick(event_idx, before))
			guest_kick(&c.g, TX);
		while (done < number)
			if (guest_reap(&c.g, TX, &len) >= 0)
				done++;
			else
				sched_yield();
		reap_all();
		if (unit_random(&seed) % 64 == 0)
			loop_call(loop_thread_loop(thread), receive_one, NULL);
	}
	tear_down(thread);
}
END_TEST

TCase *net_thread_cases(void)
{
	TCase *tc = tcase_create("net-threads");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_vcpu_and_the_loop_send_in_order);
	tcase_add_loop_test(tc, frames_that_need_no_notification_are_not_lost, 0, 2);
	return tc;
}
