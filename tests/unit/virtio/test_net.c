/* virtio-net on a fake back-end: configuration, sending, the control queue, the link. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "card.h"
#include "tests.h"

static struct card c;

/* Offers a frame with @header to send. */
static void offer_frame(const struct net_header *header, size_t len)
{
	uint64_t gpa = guest_alloc(&c.g, HDR + len, 16);

	memcpy(guest_at(&c.g, gpa, HDR), header, HDR);
	memcpy(guest_at(&c.g, gpa + HDR, len), c.pattern, len);
	guest_add(&c.g, TX, (struct guest_buf[]){{gpa, (uint32_t)(HDR + len), false}}, 1);
}

START_TEST(config_tells_mac_mtu_and_link)
{
	uint8_t config[12];
	unsigned i;

	card_plug(&c, &card_plain, 1);
	for (i = 0; i < sizeof(config); i++)
		config[i] = (uint8_t)bus_read(c.g.bus, BUS_MMIO,
					      GUEST_DEV_BASE + VIRTIO_MMIO_CONFIG + i, 1);
	ck_assert_mem_eq(config, ((uint8_t[]){0x52, 0x54, 0, 1, 2, 3, 1, 0, 1, 0, 0xdc, 5}), 12);
	guest_free(&c.g);
}
END_TEST

START_TEST(only_what_the_back_end_carries_is_offered)
{
	uint32_t bits;

	card_plug(&c, &card_plain, 1);
	guest_set_reg(&c.g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	bits = guest_reg(&c.g, VIRTIO_MMIO_DEVICE_FEATURES);
	ck_assert(!(bits & (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
			    BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_MQ))));
	ck_assert(bits & BIT(VIRTIO_NET_F_MTU));
	guest_free(&c.g);
	card_plug(&c, &card_capable, 2);
	guest_set_reg(&c.g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	bits = guest_reg(&c.g, VIRTIO_MMIO_DEVICE_FEATURES);
	ck_assert(bits & BIT(VIRTIO_NET_F_CSUM));
	ck_assert(bits & BIT(VIRTIO_NET_F_GUEST_TSO6));
	ck_assert(bits & BIT(VIRTIO_NET_F_MQ));
	ck_assert(!(bits & BIT(VIRTIO_NET_F_MTU)));
	guest_free(&c.g);
}
END_TEST

/* What the kernel cannot serve is said, not served here instead. */
START_TEST(vhost_needs_a_tap_device)
{
	const struct net_info info = {.link_up = true};
	struct virtio_net_settings settings = {.id = "net7", .mac = {2}, .vhost = true};
	struct err e = {0};
	struct guest g;

	guest_init(&g);
	settings.net = &fake_net_new(g.loop, &info)->net;
	ck_assert_int_eq(virtio_net_new(&g.env, &g.place, &settings, &g.dev, &e), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(e.text, "net7: vhost=on needs a tap device"));
	net_close(settings.net);
	loop_free(g.loop);
	bus_free(g.bus);
	gmem_free(g.mem);
}
END_TEST

START_TEST(frames_are_sent_whole_in_any_cut)
{
	static const struct net_header none;
	uint64_t gpa;
	uint32_t len;
	unsigned cut;

	card_up(&c, &card_plain, 0);
	gpa = guest_alloc(&c.g, HDR + 200, 16);
	memcpy(guest_at(&c.g, gpa + HDR, 200), c.pattern, 200);
	memcpy(guest_at(&c.g, gpa, HDR), &none, HDR);
	for (cut = 1; cut < HDR + 200; cut++) {
		guest_add(&c.g, TX,
			  (struct guest_buf[]){{gpa, cut, false},
					       {gpa + cut, (uint32_t)HDR + 200 - cut, false}},
			  2);
		card_kick(&c, TX);
		ck_assert_int_ge(guest_reap(&c.g, TX, &len), 0);
		ck_assert_uint_eq(len, 0);
		ck_assert_uint_eq(c.fake->len, 200);
		ck_assert_mem_eq(c.fake->frame, c.pattern, 200);
	}
	ck_assert_uint_eq(c.fake->sent, HDR + 199);
	guest_free(&c.g);
}
END_TEST

START_TEST(a_busy_back_end_gets_the_same_frame_again)
{
	static const struct net_header none;
	uint32_t len;

	card_up(&c, &card_plain, 0);
	c.fake->busy = true;
	offer_frame(&none, 60);
	offer_frame(&none, 61);
	card_kick(&c, TX);
	ck_assert_int_eq(guest_reap(&c.g, TX, &len), -1);
	ck_assert_uint_eq(c.fake->tries, 1);
	c.fake->busy = false;
	net_tx_ready(&c.fake->net);
	guest_run(&c.g);
	ck_assert_uint_eq(c.fake->sent, 2);
	ck_assert_int_ge(guest_reap(&c.g, TX, &len), 0);
	ck_assert_int_ge(guest_reap(&c.g, TX, &len), 0);
	/* And the driver's notifications count again. */
	offer_frame(&none, 62);
	card_kick(&c, TX);
	ck_assert_uint_eq(c.fake->sent, 3);
	guest_free(&c.g);
}
END_TEST

/* Whether the driver would notify of the next frame. */
static bool wants_notification(void)
{
	return guest_avail_event(&c.g, TX) == c.g.queues[TX].avail_idx;
}

/* A card whose naps may be so long that any two frames are close together for it. */
static void up_with_naps(void)
{
	c.nap_max_ns = 3600 * UINT64_C(1000000000);
	card_up(&c, &card_plain, 0);
	c.nap_max_ns = 0;
}

START_TEST(frames_of_a_stream_are_found_without_notifications)
{
	static const struct net_header none;
	unsigned i;

	up_with_naps();
	for (i = 0; i < 2; i++) {
		ck_assert(wants_notification());
		offer_frame(&none, 60);
		card_kick(&c, TX);
	}
	ck_assert_uint_eq(c.fake->sent, 2);
	ck_assert(!wants_notification());
	for (i = 0; i < 5; i++)
		offer_frame(&none, 60);
	while (c.fake->sent < 7)
		loop_run_once(c.g.loop, 1);
	guest_free(&c.g);
}
END_TEST

START_TEST(a_nap_ends_when_something_is_received)
{
	static const struct net_header none;
	unsigned i;

	up_with_naps();
	for (i = 0; i < 2; i++) {
		offer_frame(&none, 60);
		card_kick(&c, TX);
		usleep(300000 * (1 - i));
	}
	ck_assert(!wants_notification());
	offer_frame(&none, 60);
	guest_run(&c.g);
	ck_assert_uint_eq(c.fake->sent, 2);
	card_give(&c, 2048);
	ck_assert(fake_net_receive(c.fake, c.pattern, 60, NULL));
	guest_run(&c.g);
	ck_assert_uint_eq(c.fake->sent, 3);
	ck_assert(wants_notification());
	guest_free(&c.g);
}
END_TEST

START_TEST(a_back_end_at_work_wants_no_notifications)
{
	static const struct net_header none;
	uint32_t len;

	card_up(&c, &card_plain, 0);
	c.fake->at_work = true;
	offer_frame(&none, 60);
	card_kick(&c, TX);
	ck_assert_uint_eq(c.fake->sent, 1);
	ck_assert_int_ge(guest_reap(&c.g, TX, &len), 0);
	ck_assert_uint_ne(guest_avail_event(&c.g, TX), 1);
	/* Whatever wakes the loop up, what was offered meanwhile is sent. */
	offer_frame(&none, 61);
	c.fake->at_work = false;
	guest_kick(&c.g, RX);
	guest_run(&c.g);
	ck_assert_uint_eq(c.fake->sent, 2);
	ck_assert_uint_eq(guest_avail_event(&c.g, TX), 2);
	guest_free(&c.g);
}
END_TEST

/* A reset takes the refused frame with it: it is not sent from memory that is the driver's again.
 */
START_TEST(a_reset_forgets_the_refused_frame)
{
	static const struct net_header none;

	card_up(&c, &card_plain, 0);
	c.fake->busy = true;
	offer_frame(&none, 60);
	card_kick(&c, TX);
	guest_bring_up(&c.g, BIT(VIRTIO_F_EVENT_IDX), 3, 64);
	c.fake->busy = false;
	net_tx_ready(&c.fake->net);
	guest_run(&c.g);
	ck_assert_uint_eq(c.fake->sent, 0);
	guest_free(&c.g);
}
END_TEST

/* A frame that makes no sense is given back at once: a ring's worth of them blocks nothing. */
START_TEST(cve_2022_26353_bad_frames_are_given_back)
{
	static const struct net_header none;
	static const struct net_header bad = {.flags = NET_HEADER_NEEDS_CSUM,
					      .csum_start = 0xffff,
					      .csum_offset = 0xffff};
	unsigned i;
	uint32_t len;

	card_up(&c, &card_capable, BIT(VIRTIO_NET_F_CSUM));
	for (i = 0; i < 200; i++) {
		offer_frame(i % 2 ? &bad : &none, i % 2 ? 60 : 13);
		card_kick(&c, TX);
		ck_assert_int_ge(guest_reap(&c.g, TX, &len), 0);
	}
	ck_assert_uint_eq(c.fake->sent, 0);
	offer_frame(&none, 60);
	card_kick(&c, TX);
	ck_assert_uint_eq(c.fake->sent, 1);
	guest_free(&c.g);
}
END_TEST

START_TEST(the_link_goes_down_and_up)
{
	unsigned interrupts;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_STATUS));
	interrupts = c.g.irq.count;
	net_link_changed(&c.fake->net, false);
	ck_assert_uint_eq(bus_read(c.g.bus, BUS_MMIO, GUEST_DEV_BASE + VIRTIO_MMIO_CONFIG + 6, 2),
			  0);
	ck_assert_uint_eq(c.g.irq.count, interrupts + 1);
	ck_assert_uint_ne(guest_reg(&c.g, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_CAUSE_CONFIG, 0);
	net_link_changed(&c.fake->net, true);
	ck_assert_uint_eq(bus_read(c.g.bus, BUS_MMIO, GUEST_DEV_BASE + VIRTIO_MMIO_CONFIG + 6, 2),
			  1);
	guest_free(&c.g);
}
END_TEST

static uint8_t control(unsigned queue, const void *command, uint32_t len)
{
	uint64_t gpa = guest_alloc(&c.g, len + 1, 16);
	uint32_t used;

	memcpy(guest_at(&c.g, gpa, len), command, len);
	guest_add(&c.g, queue, (struct guest_buf[]){{gpa, len, false}, {gpa + len, 1, true}}, 2);
	card_kick(&c, queue);
	ck_assert_int_ge(guest_reap(&c.g, queue, &used), 0);
	ck_assert_uint_eq(used, 1);
	return *(uint8_t *)guest_at(&c.g, gpa + len, 1);
}

START_TEST(control_commands_are_answered)
{
	card_plug(&c, &card_plain, 1);
	guest_bring_up(&c.g, BIT(VIRTIO_NET_F_CTRL_VQ), 3, 16);
	guest_run(&c.g);
	/* Unknown, too short, and one that was not negotiated. */
	ck_assert_uint_eq(control(CTRL, (uint8_t[]){9, 9, 1, 0}, 4), 1);
	guest_free(&c.g);
}
END_TEST

START_TEST(queue_pairs_are_chosen_within_bounds)
{
	static const struct net_header none;
	uint64_t gpa;

	card_plug(&c, &card_plain, 2);
	guest_bring_up(&c.g, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ), 5, 16);
	guest_run(&c.g);
	/* VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET: 0, 1, 2, 3 and 256 pairs; then a command cut short. */
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0, 0, 0}, 4), 1);
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0, 1, 0}, 4), 0);
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0, 2, 0}, 4), 0);
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0, 3, 0}, 4), 1);
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0, 0, 1}, 4), 1);
	ck_assert_uint_eq(control(4, (uint8_t[]){4, 0}, 2), 1);
	/* The second pair sends, too. */
	gpa = guest_alloc(&c.g, HDR + 60, 16);
	memcpy(guest_at(&c.g, gpa, HDR), &none, HDR);
	guest_add(&c.g, 3, (struct guest_buf[]){{gpa, HDR + 60, false}}, 1);
	card_kick(&c, 3);
	ck_assert_uint_eq(c.fake->sent, 1);
	guest_free(&c.g);
}
END_TEST

TCase *net_cases(void)
{
	TCase *tc = tcase_create("net");

	tcase_add_test(tc, config_tells_mac_mtu_and_link);
	tcase_add_test(tc, only_what_the_back_end_carries_is_offered);
	tcase_add_test(tc, vhost_needs_a_tap_device);
	tcase_add_test(tc, frames_are_sent_whole_in_any_cut);
	tcase_add_test(tc, a_busy_back_end_gets_the_same_frame_again);
	tcase_add_test(tc, frames_of_a_stream_are_found_without_notifications);
	tcase_add_test(tc, a_nap_ends_when_something_is_received);
	tcase_add_test(tc, a_back_end_at_work_wants_no_notifications);
	tcase_add_test(tc, a_reset_forgets_the_refused_frame);
	tcase_add_test(tc, cve_2022_26353_bad_frames_are_given_back);
	tcase_add_test(tc, the_link_goes_down_and_up);
	tcase_add_test(tc, control_commands_are_answered);
	tcase_add_test(tc, queue_pairs_are_chosen_within_bounds);
	return tc;
}
