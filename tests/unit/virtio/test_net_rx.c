/* virtio-net on a fake back-end, receiving: mergeable buffers, and stalls that end. */
#include <endian.h>
#include <string.h>

#include "base/util.h"
#include "card.h"
#include "tests.h"

static struct card c;

static struct net_header header_at(uint64_t gpa)
{
	struct net_header header;

	memcpy(&header, guest_at(&c.g, gpa, HDR), HDR);
	return header;
}

START_TEST(a_received_frame_has_header_and_bytes)
{
	struct net_header header;
	uint64_t gpa;
	uint32_t len;

	card_up(&c, &card_plain, 0);
	gpa = card_give(&c, 1526);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 1000, NULL));
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_uint_eq(len, HDR + 1000);
	header = header_at(gpa);
	ck_assert_uint_eq(le16toh(header.num_buffers), 1);
	ck_assert_mem_eq(guest_at(&c.g, gpa + HDR, 1000), c.pattern, 1000);
	guest_free(&c.g);
}
END_TEST

/* Each length over buffers of each size: the used lengths add up, the header counts the buffers. */
START_TEST(mergeable_buffers_add_up)
{
	uint64_t seed = unit_seed(), at[64];
	unsigned round;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (round = 0; round < 200; round++) {
		size_t frame_len = 14 + unit_random(&seed) % 1500, got = 0, i;
		uint32_t size[64], len;
		unsigned count = 0, used;

		for (i = 0; i < HDR + frame_len; i += size[count++]) {
			size[count] = (uint32_t)(HDR + unit_random(&seed) % 400);
			if (count == 40)
				size[count] = 2000;
			at[count] = guest_alloc(&c.g, size[count], 1);
			guest_add(&c.g, RX, (struct guest_buf[]){{at[count], size[count], true}},
				  1);
		}
		card_kick(&c, RX);
		ck_assert(fake_net_receive(c.fake, c.pattern, frame_len, NULL));
		for (used = 0; guest_reap(&c.g, RX, &len) >= 0; used++) {
			ck_assert_uint_le(len, size[used]);
			for (i = 0; i < len; i++, got++)
				if (got >= HDR)
					ck_assert_uint_eq(*(uint8_t *)guest_at(&c.g, at[used] + i,
									       1),
							  c.pattern[got - HDR]);
		}
		ck_assert_uint_eq(got, HDR + frame_len);
		ck_assert_uint_eq(used, count);
		ck_assert_uint_eq(le16toh(header_at(at[0]).num_buffers), used);
		if (c.g.brk > GUEST_RAM_BYTES / 2)
			break;
	}
	ck_assert_uint_gt(round, 50);
	guest_free(&c.g);
}
END_TEST

/* The count was once written through a mapping that had been given up. Here it is there even where
 * the header's bytes lie in buffers of their own, and before the driver sees the frame. */
START_TEST(cve_2021_3748_num_buffers_in_a_split_header)
{
	uint64_t gpa;
	uint32_t len;
	unsigned cut;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (cut = 1; cut < HDR; cut++) {
		gpa = guest_alloc(&c.g, 200, 16);
		guest_add(&c.g, RX,
			  (struct guest_buf[]){{gpa, cut, true}, {gpa + cut, 100 - cut, true}}, 2);
		guest_add(&c.g, RX, (struct guest_buf[]){{gpa + 100, 100, true}}, 1);
		card_kick(&c, RX);
		ck_assert(fake_net_receive(c.fake, c.pattern, 150, NULL));
		ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
		ck_assert_uint_eq(len, 100);
		ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
		ck_assert_uint_eq(len, HDR + 150 - 100);
		ck_assert_uint_eq(le16toh(header_at(gpa).num_buffers), 2);
		ck_assert_mem_eq(guest_at(&c.g, gpa + HDR, 150), c.pattern, 150);
	}
	guest_free(&c.g);
}
END_TEST

START_TEST(cve_2020_16843_receive_recovers_from_a_full_ring)
{
	unsigned round;
	uint32_t len;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	for (round = 0; round < 3; round++) {
		unsigned before = c.fake->resumed;

		ck_assert(!fake_net_receive(c.fake, c.pattern, 100, NULL));
		ck_assert(c.fake->stalled);
		card_give(&c, 2000);
		card_kick(&c, RX);
		ck_assert_uint_gt(c.fake->resumed, before);
		ck_assert(fake_net_receive(c.fake, c.pattern, 100, NULL));
		ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
		ck_assert_uint_eq(len, HDR + 100);
	}
	guest_free(&c.g);
}
END_TEST

/* A frame is longer than all buffers there are: it waits, whole, for more. */
START_TEST(cve_2020_16843_a_frame_waits_for_buffers)
{
	uint64_t a, b;
	uint32_t len;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	a = card_give(&c, 500);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 1000, NULL));
	ck_assert_int_eq(guest_reap(&c.g, RX, &len), -1);
	ck_assert(!fake_net_receive(c.fake, c.pattern, 60, NULL));
	card_give(&c, 100);
	card_kick(&c, RX);
	ck_assert_int_eq(guest_reap(&c.g, RX, &len), -1);
	b = card_give(&c, 1000);
	card_kick(&c, RX);
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_uint_eq(len, HDR + 1000 - 600);
	ck_assert_uint_eq(le16toh(header_at(a).num_buffers), 3);
	ck_assert_mem_eq(guest_at(&c.g, a + HDR, 488), c.pattern, 488);
	ck_assert_mem_eq(guest_at(&c.g, b, 412), c.pattern + 588, 412);
	ck_assert(!c.fake->stalled);
	guest_free(&c.g);
}
END_TEST

/* The driver's whole ring is too small for the frame: it is lost, and the next one arrives. */
START_TEST(cve_2020_16843_a_frame_no_ring_can_hold)
{
	unsigned i;
	uint32_t len;

	card_plug(&c, &card_plain, 1);
	guest_bring_up(&c.g, BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_EVENT_IDX), 3, 4);
	guest_run(&c.g);
	for (i = 0; i < 4; i++)
		card_give(&c, 100);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 1000, NULL));
	ck_assert(fake_net_receive(c.fake, c.pattern, 60, NULL));
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_uint_eq(len, HDR + 60);
	guest_free(&c.g);
}
END_TEST

START_TEST(cve_2020_16843_a_reset_while_stalled)
{
	uint32_t len;

	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	card_give(&c, 100);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 1000, NULL));
	ck_assert(!fake_net_receive(c.fake, c.pattern, 60, NULL));
	guest_set_reg(&c.g, VIRTIO_MMIO_STATUS, 0);
	guest_run(&c.g);
	ck_assert(!fake_net_receive(c.fake, c.pattern, 60, NULL));
	guest_bring_up(&c.g, 0, 3, 64);
	guest_run(&c.g);
	ck_assert(!c.fake->stalled);
	card_give(&c, 100);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 60, NULL));
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_uint_eq(len, HDR + 60);
	guest_free(&c.g);
}
END_TEST

/* Without MRG_RXBUF too the header has twelve bytes, and a frame that is too long is lost. */
START_TEST(cve_2023_6693_the_header_has_one_size)
{
	uint64_t gpa;
	uint32_t len;

	card_up(&c, &card_plain, 0);
	card_give(&c, HDR + 100);
	gpa = card_give(&c, HDR + 101);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 101, NULL));
	ck_assert_int_eq(guest_reap(&c.g, RX, &len), -1);
	ck_assert(fake_net_receive(c.fake, c.pattern, 100, NULL));
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_uint_eq(len, HDR + 100);
	ck_assert(fake_net_receive(c.fake, c.pattern, 101, NULL));
	ck_assert_int_ge(guest_reap(&c.g, RX, &len), 0);
	ck_assert_mem_eq(guest_at(&c.g, gpa + HDR, 101), c.pattern, 101);
	guest_free(&c.g);
}
END_TEST

START_TEST(a_buffer_below_the_header_breaks_the_device)
{
	card_up(&c, &card_plain, BIT(VIRTIO_NET_F_MRG_RXBUF));
	card_give(&c, HDR - 1);
	card_kick(&c, RX);
	ck_assert(!fake_net_receive(c.fake, c.pattern, 60, NULL));
	ck_assert_uint_ne(guest_reg(&c.g, VIRTIO_MMIO_STATUS) & VIRTIO_NEEDS_RESET, 0);
	guest_free(&c.g);
}
END_TEST

START_TEST(headers_of_the_back_end_reach_who_agreed)
{
	static const struct net_header valid = {.flags = NET_HEADER_DATA_VALID};
	uint64_t gpa;

	card_up(&c, &card_capable, BIT(VIRTIO_NET_F_GUEST_CSUM));
	gpa = card_give(&c, 1526);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 60, &valid));
	ck_assert_uint_eq(header_at(gpa).flags, NET_HEADER_DATA_VALID);
	guest_free(&c.g);
	card_up(&c, &card_capable, 0);
	gpa = card_give(&c, 1526);
	card_kick(&c, RX);
	ck_assert(fake_net_receive(c.fake, c.pattern, 60, &valid));
	ck_assert_uint_eq(header_at(gpa).flags, 0);
	guest_free(&c.g);
}
END_TEST

START_TEST(received_frames_wait_for_the_driver)
{
	card_plug(&c, &card_plain, 1);
	ck_assert(!fake_net_receive(c.fake, c.pattern, 60, NULL));
	guest_bring_up(&c.g, 0, 3, 16);
	guest_run(&c.g);
	ck_assert(!c.fake->stalled);
	guest_free(&c.g);
}
END_TEST

TCase *net_rx_cases(void)
{
	TCase *tc = tcase_create("net rx");

	tcase_add_test(tc, a_received_frame_has_header_and_bytes);
	tcase_add_test(tc, mergeable_buffers_add_up);
	tcase_add_test(tc, cve_2021_3748_num_buffers_in_a_split_header);
	tcase_add_test(tc, cve_2020_16843_receive_recovers_from_a_full_ring);
	tcase_add_test(tc, cve_2020_16843_a_frame_waits_for_buffers);
	tcase_add_test(tc, cve_2020_16843_a_frame_no_ring_can_hold);
	tcase_add_test(tc, cve_2020_16843_a_reset_while_stalled);
	tcase_add_test(tc, cve_2023_6693_the_header_has_one_size);
	tcase_add_test(tc, a_buffer_below_the_header_breaks_the_device);
	tcase_add_test(tc, headers_of_the_back_end_reach_who_agreed);
	tcase_add_test(tc, received_frames_wait_for_the_driver);
	return tc;
}
