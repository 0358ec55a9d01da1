/* Addresses as users write them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "net/address.h"
#include "tests.h"

static struct err e;

START_TEST(mac_addresses_are_read_and_written)
{
	char text[NET_MAC_TEXT_MAX];
	uint8_t mac[6];

	ck_assert_int_eq(net_mac_parse("52:54:00:Ab:cD:0f", mac, &e), 0);
	ck_assert_mem_eq(mac, ((uint8_t[]){0x52, 0x54, 0, 0xab, 0xcd, 0x0f}), 6);
	ck_assert_str_eq(net_mac_format(mac, text), "52:54:00:ab:cd:0f");
}
END_TEST

START_TEST(bad_mac_addresses_are_refused)
{
	static const char *const bad[] = {"",
					  "52",
					  "52:54:00:12:34",
					  "52:54:00:12:34:5",
					  "52:54:00:12:34:56:78",
					  "52:54:00:12:34:567",
					  "52-54-00-12-34-56",
					  "5g:54:00:12:34:56",
					  "00:00:00:00:00:00"};
	uint8_t mac[6];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(net_mac_parse(bad[i], mac, &e), -EINVAL);
	ck_assert_int_eq(net_mac_parse("01:54:00:12:34:56", mac, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "multicast"));
}
END_TEST

START_TEST(made_mac_addresses_are_local_and_lasting)
{
	uint8_t a[6], b[6];
	unsigned i;
	char seed[16];

	for (i = 0; i < 1000; i++) {
		snprintf(seed, sizeof(seed), "vm%u", i);
		net_mac_make(seed, a);
		ck_assert_uint_eq(a[0] & 3, 2);
		net_mac_make(seed, b);
		ck_assert_mem_eq(a, b, 6);
		seed[0]++;
		net_mac_make(seed, b);
		ck_assert_mem_ne(a, b, 6);
	}
}
END_TEST

START_TEST(forwards_are_read_and_written)
{
	static const char *const pairs[][2] = {
		{"tcp:127.0.0.1:2222-10.0.2.15:22", "tcp:127.0.0.1:2222-10.0.2.15:22"},
		/* Nobody but this host reaches a port whose address was not given. */
		{"tcp::2222-:22", "tcp:127.0.0.1:2222-0.0.0.0:22"},
		{"::2222-:22", "tcp:127.0.0.1:2222-0.0.0.0:22"},
		{"udp:0.0.0.0:53-:5353", "udp:0.0.0.0:53-0.0.0.0:5353"},
		{"tcp:[::1]:80-[fec0::15]:8080", "tcp:[::1]:80-[fec0::15]:8080"},
		{"tcp:[::]:80-:8080", "tcp:[::]:80-[::]:8080"},
		{"tcp::80-[]:8080", "tcp:[::1]:80-[::]:8080"},
		{"tcp:[]:80-:8080", "tcp:[::1]:80-[::]:8080"},
		{"tcp:[]:80-[]:8080", "tcp:[::1]:80-[::]:8080"},
		{"tcp:[]:80-[fec0::15]:8080", "tcp:[::1]:80-[fec0::15]:8080"},
		{"tcp::1-:65535", "tcp:127.0.0.1:1-0.0.0.0:65535"},
	};
	char text[NET_FORWARD_TEXT_MAX];
	struct net_forward f, again;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		ck_assert_int_eq(net_forward_parse(pairs[i][0], &f, &e), 0);
		ck_assert_str_eq(net_forward_format(&f, text), pairs[i][1]);
		/* The network process reads what sarang writes. */
		ck_assert_int_eq(net_forward_parse(text, &again, &e), 0);
		ck_assert_mem_eq(&f, &again, sizeof(f));
	}
}
END_TEST

START_TEST(bad_forwards_are_refused)
{
	static const char *const bad[] = {
		"",
		"tcp",
		"tcp:",
		"tcp::80",
		"80-80",
		"tcp:80-80",
		"tcp::80-80",
		"tcp::0-:80",
		"tcp::80-:0",
		"tcp::65536-:80",
		"tcp::123456-:80",
		"tcp::-1-:80",
		"tcp:: 80-:80",
		"tcp::80-:80x",
		"icmp::80-:80",
		"tcp:1.2.3:80-:80",
		"tcp:1.2.3.4.5:80-:80",
		"tcp:::1:80-:80",
		"tcp:[::1:80-:80",
		"tcp:[1.2.3.4]:80-:80",
		"tcp:[::1]:80-10.0.2.15:80",
		"tcp:host:80-:80",
		"tcp:[fe80::1%lo]:80-:80",
		"tcp:127.0.0.1:80-[]:80",
		"tcp:[]:80-10.0.2.15:80",
		"tcp:[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80-:80",
	};
	struct net_forward f;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&e, 0, sizeof(e));
		ck_assert_int_eq(net_forward_parse(bad[i], &f, &e), -EINVAL);
		ck_assert_ptr_nonnull(strstr(e.text, "[tcp|udp]:[hostaddr]:hostport"));
	}
}
END_TEST

START_TEST(forwards_of_one_port_collide)
{
	static const struct {
		const char *a, *b;
		bool collide;
	} pairs[] = {
		{"tcp::80-:80", "tcp::80-:81", true},
		{"tcp::80-:80", "tcp::81-:80", false},
		{"tcp::80-:80", "udp::80-:80", false},
		{"tcp::80-:80", "tcp:127.0.0.2:80-:80", false},
		{"udp::80-:80", "udp:0.0.0.0:80-:80", true},
		{"tcp::80-:80", "tcp:[::1]:80-:80", false},
		{"tcp:[::1]:80-:80", "tcp:[::]:80-:80", true},
		{"tcp:[::1]:80-:80", "tcp:[::2]:80-:80", false},
		{"tcp:0.0.0.0:80-:80", "tcp:[::]:80-:80", false},
	};
	struct net_forward a, b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		ck_assert_int_eq(net_forward_parse(pairs[i].a, &a, &e), 0);
		ck_assert_int_eq(net_forward_parse(pairs[i].b, &b, &e), 0);
		ck_assert_int_eq(net_forwards_collide(&a, &b), pairs[i].collide);
		ck_assert_int_eq(net_forwards_collide(&b, &a), pairs[i].collide);
	}
}
END_TEST

TCase *address_cases(void)
{
	TCase *tc = tcase_create("address");

	tcase_add_test(tc, mac_addresses_are_read_and_written);
	tcase_add_test(tc, bad_mac_addresses_are_refused);
	tcase_add_test(tc, made_mac_addresses_are_local_and_lasting);
	tcase_add_test(tc, forwards_are_read_and_written);
	tcase_add_test(tc, bad_forwards_are_refused);
	tcase_add_test(tc, forwards_of_one_port_collide);
	return tc;
}
