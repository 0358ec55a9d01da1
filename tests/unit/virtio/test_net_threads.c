/*
 * A vCPU that sends while the card's loop, on a thread of its own, receives, sends what was refused,
 * and takes naps. Each frame arrives, once, in order; TSan and ASan see
 * nothing.
 */
#include <string.h>

#include "base/util.h"
#include "card.h"
#include "tests.h"

#define FRAMES 4000
#define NAP_NS 200000

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

START_TEST(a_vcpu_and_the_loop_send_in_order)
{
	uint64_t gpa[32], seed = unit_seed();
	struct count count = {0};
	struct loop_thread *thread;
	uint32_t number = 0;
	unsigned i;

	ck_assert_int_eq(loop_thread_new(&thread, "net0", NULL), 0);
	c.nap_max_ns = NAP_NS;
	card_plug_on(&c, &card_plain, loop_thread_loop(thread));
	guest_bring_up(&c.g, BIT(VIRTIO_F_EVENT_IDX), 3, 64);
	for (i = 0; i < ARRAY_SIZE(gpa); i++)
		gpa[i] = guest_alloc(&c.g, HDR + 60, 16);
	for (i = 0; i < 16; i++)
		card_give(&c, 2048);
	while (number < FRAMES) {
		reap_all();
		if (guest_free_descs(&c.g, TX) > 64 - ARRAY_SIZE(gpa)) {
			offer_number(gpa[number % ARRAY_SIZE(gpa)], number);
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
	ck_assert(!c.fake->out_of_order);
	device_destroy(c.g.dev);
	loop_thread_free(thread);
	loop_free(c.g.loop);
	bus_free(c.g.bus);
	gmem_free(c.g.mem);
}
END_TEST

TCase *net_thread_cases(void)
{
	TCase *tc = tcase_create("net-threads");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_vcpu_and_the_loop_send_in_order);
	return tc;
}
