/* The header before each frame: what a driver may write there. */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"
#include "net/header.h"
#include "tests.h"

#define ALL (NET_TX_CSUM | NET_TX_TSO4 | NET_TX_TSO6)

static const struct net_header csum = {.flags = NET_HEADER_NEEDS_CSUM,
				       .csum_start = 34,
				       .csum_offset = 16};

START_TEST(a_plain_header_is_cleared)
{
	/* What means nothing without the flags must not reach a host that may think otherwise. */
	struct net_header h = {.hdr_len = 7, .gso_size = 8, .csum_start = 9, .num_buffers = 3};

	h.flags = NET_HEADER_DATA_VALID;
	ck_assert_int_eq(net_header_check(&h, 60, 0), 0);
	ck_assert_mem_eq(&h, &(struct net_header){0}, sizeof(h));
}
END_TEST

START_TEST(checksum_places_are_inside_the_frame)
{
	unsigned start, offset;

	for (start = 0; start < 70; start++)
		for (offset = 0; offset < 70; offset++) {
			struct net_header h = csum;

			h.csum_start = htole16((uint16_t)start);
			h.csum_offset = htole16((uint16_t)offset);
			ck_assert_int_eq(net_header_check(&h, 64, ALL),
					 start + offset + 2 <= 64 ? 0 : -EINVAL);
		}
}
END_TEST

/* CVE-2017-5931's pattern: a sum of two 16-bit fields that wraps. */
START_TEST(cve_2017_5931_checksum_place_does_not_wrap)
{
	struct net_header h = csum;

	h.csum_start = htole16(0xfff0);
	h.csum_offset = htole16(0x20);
	ck_assert_int_eq(net_header_check(&h, 64, ALL), -EINVAL);
}
END_TEST

START_TEST(nothing_is_taken_that_was_not_negotiated)
{
	struct net_header h = csum;

	ck_assert_int_eq(net_header_check(&h, 64, NET_RX_CSUM), -EINVAL);
	h = csum;
	h.gso_type = NET_GSO_TCPV4;
	h.gso_size = htole16(1448);
	ck_assert_int_eq(net_header_check(&h, 64, NET_TX_CSUM | NET_TX_TSO6), -EINVAL);
	ck_assert_int_eq(net_header_check(&h, 64, NET_TX_CSUM | NET_TX_TSO4), 0);
	h.gso_type = NET_GSO_TCPV6;
	ck_assert_int_eq(net_header_check(&h, 64, NET_TX_CSUM | NET_TX_TSO4), -EINVAL);
}
END_TEST

START_TEST(segmentation_needs_a_size_and_a_checksum)
{
	struct net_header h = csum;
	unsigned type;

	h.gso_type = NET_GSO_TCPV4;
	ck_assert_int_eq(net_header_check(&h, 64, ALL), -EINVAL);
	h.gso_size = htole16(1448);
	h.flags = 0;
	ck_assert_int_eq(net_header_check(&h, 64, ALL), -EINVAL);
	for (type = 0; type < 256; type++) {
		h = csum;
		h.gso_type = (uint8_t)type;
		h.gso_size = htole16(1448);
		ck_assert_int_eq(net_header_check(&h, 64, ALL),
				 type == 0 || type == 1 || type == 4 ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(a_header_length_is_at_most_the_frame)
{
	struct net_header h = csum;

	h.hdr_len = htole16(0xffff);
	ck_assert_int_eq(net_header_check(&h, 64, ALL), 0);
	ck_assert_uint_eq(le16toh(h.hdr_len), 64);
}
END_TEST

/* Frames that were made for the driver before a reset, or by a host that does as it likes. */
START_TEST(a_driver_sees_only_what_it_agreed_to)
{
	static const struct {
		uint8_t gso_type;
		unsigned offloads;
		bool csum, gso;
	} cases[] = {
		{NET_GSO_TCPV4, 0, false, false},
		{NET_GSO_TCPV4, NET_RX_CSUM, true, false},
		{NET_GSO_TCPV4, NET_RX_CSUM | NET_RX_TSO6, true, false},
		{NET_GSO_TCPV4, NET_RX_CSUM | NET_RX_TSO4, true, true},
		{NET_GSO_TCPV6, NET_RX_CSUM | NET_RX_TSO4, true, false},
		{NET_GSO_TCPV6, NET_RX_CSUM | NET_RX_TSO6, true, true},
		{NET_GSO_TCPV4 | 0x80, ALL | NET_RX_CSUM | NET_RX_TSO4, true, false},
		{3, ~0u, true, false},
		{0xff, ~0u, true, false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_header h = csum;

		h.gso_type = cases[i].gso_type;
		h.gso_size = htole16(1448);
		net_header_restrict(&h, cases[i].offloads);
		ck_assert_uint_eq(h.flags, cases[i].csum ? NET_HEADER_NEEDS_CSUM : 0);
		ck_assert_uint_eq(h.gso_type, cases[i].gso ? cases[i].gso_type : NET_GSO_NONE);
		ck_assert_uint_eq(le16toh(h.gso_size), cases[i].gso ? 1448 : 0);
	}
}
END_TEST

TCase *header_cases(void)
{
	TCase *tc = tcase_create("header");

	tcase_add_test(tc, a_plain_header_is_cleared);
	tcase_add_test(tc, checksum_places_are_inside_the_frame);
	tcase_add_test(tc, cve_2017_5931_checksum_place_does_not_wrap);
	tcase_add_test(tc, nothing_is_taken_that_was_not_negotiated);
	tcase_add_test(tc, segmentation_needs_a_size_and_a_checksum);
	tcase_add_test(tc, a_header_length_is_at_most_the_frame);
	tcase_add_test(tc, a_driver_sees_only_what_it_agreed_to);
	return tc;
}
