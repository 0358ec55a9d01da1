/* Addresses as users write them: see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC_BYTES     6
#define MAC_MULTICAST 0x01 /* in the first byte: IEEE 802, individual/group */
#define MAC_LOCAL     0x02 /* locally administered */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_mac_bytes(const char *text, uint8_t mac[6])
{
	int i;

	for (i = 0; i < MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || text[2] != (i == MAC_BYTES - 1 ? '\0' : ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int net_mac_parse(const char *text, uint8_t mac[6], struct err *e)
{
	static const uint8_t zero[MAC_BYTES];

	if (!parse_mac_bytes(text, mac))
		return err_set(e, EINVAL,
			       "%s is no MAC address: it is written as six bytes in "
			       "hexadecimal, for example 52:54:00:12:34:56",
			       text);
	if (mac[0] & MAC_MULTICAST)
		return err_set(e, EINVAL,
			       "the MAC address %s is a multicast address, which no card can have: "
			       "the first byte must be even",
			       text);
	if (!memcmp(mac, zero, MAC_BYTES))
		return err_set(e, EINVAL, "the MAC address %s is no address of a card", text);
	return 0;
}

const char *net_mac_format(const uint8_t mac[6], char text[NET_MAC_TEXT_MAX])
{
	snprintf(text, NET_MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return text;
}

void net_mac_make(const char *seed, uint8_t mac[6])
{
	/* FNV-1a: spreads short texts well, and is the same for ever. */
	uint64_t hash = 0xcbf29ce484222325;
	int i;

	for (; *seed; seed++)
		hash = (hash ^ (uint8_t)*seed) * 0x100000001b3;
	hash ^= hash >> 40;
	for (i = 0; i < MAC_BYTES; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
	mac[0] = (uint8_t)((mac[0] & ~MAC_MULTICAST) | MAC_LOCAL);
}

uint16_t net_endpoint_port(const union net_endpoint *end)
{
	return ntohs(end->any.sa_family == AF_INET6 ? end->v6.sin6_port : end->v4.sin_port);
}

socklen_t net_endpoint_len(const union net_endpoint *end)
{
	return end->any.sa_family == AF_INET6 ? sizeof(end->v6) : sizeof(end->v4);
}

static void set_port(union net_endpoint *end, uint16_t port)
{
	if (end->any.sa_family == AF_INET6)
		end->v6.sin6_port = htons(port);
	else
		end->v4.sin_port = htons(port);
}

/* "127.0.0.1", "[::1]", "[]" or nothing; *@given says whether it is an address. */
static bool parse_host(const char *text, size_t len, union net_endpoint *end, bool *given)
{
	char address[INET6_ADDRSTRLEN];
	bool v6 = len >= 2 && text[0] == '[' && text[len - 1] == ']';

	memset(end, 0, sizeof(*end));
	end->any.sa_family = v6 ? AF_INET6 : AF_INET;
	*given = v6 ? len > 2 : len > 0;
	if (!len)
		return true;
	if (v6) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (v6)
		return !*address || inet_pton(AF_INET6, address, &end->v6.sin6_addr) == 1;
	return inet_pton(AF_INET, address, &end->v4.sin_addr) == 1;
}

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
	unsigned long value = 0;
	size_t i;

	if (!len || len > 5)
		return false;
	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value >= 1 && value <= 65535;
}

/* "[address]:port"; NULL, or what is wrong with it. */
static const char *parse_end(const char *text, size_t len, union net_endpoint *end, bool *given)
{
	const char *colon = memrchr(text, ':', len);
	uint16_t port;

	if (!colon)
		return "an address and a port are separated by a colon";
	if (!parse_host(text, (size_t)(colon - text), end, given))
		return "an address is written as 127.0.0.1 or [::1]";
	if (!parse_port(colon + 1, len - (size_t)(colon + 1 - text), &port))
		return "a port is a number from 1 to 65535";
	set_port(end, port);
	return NULL;
}

/* Takes "tcp:", "udp:" or ":" off @text; NULL where there is none of them. */
static const char *parse_protocol(const char *text, struct net_forward *forward)
{
	forward->udp = !strncmp(text, "udp:", 4);
	if (forward->udp || !strncmp(text, "tcp:", 4))
		return text + 4;
	return *text == ':' ? text + 1 : NULL;
}

/* The dash between the two ends: none stands in an address. */
static const char *parse_ends(const char *text, struct net_forward *forward)
{
	const char *dash = strchr(text, '-'), *wrong;
	bool host_given, guest_given;
	uint16_t port;

	if (!dash)
		return "the host's side and the guest's are separated by a dash";
	wrong = parse_end(text, (size_t)(dash - text), &forward->host, &host_given);
	if (!wrong)
		wrong = parse_end(dash + 1, strlen(dash + 1), &forward->guest, &guest_given);
	if (wrong)
		return wrong;
	if (!guest_given && forward->host.any.sa_family == AF_INET6) {
		port = net_endpoint_port(&forward->guest);
		forward->guest = (union net_endpoint){.v6.sin6_family = AF_INET6};
		set_port(&forward->guest, port);
	}
	if (!host_given) {
		sa_family_t family = forward->host.any.sa_family;

		/* "[]" has one, nothing has none. */
		if (family == AF_INET)
			family = forward->guest.any.sa_family;
		port = net_endpoint_port(&forward->host);
		forward->host = (union net_endpoint){0};
		forward->host.any.sa_family = family;
		if (forward->host.any.sa_family == AF_INET6)
			forward->host.v6.sin6_addr = in6addr_loopback;
		else
			forward->host.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		set_port(&forward->host, port);
	}
	if (forward->host.any.sa_family != forward->guest.any.sa_family)
		return "both addresses are IPv4 or both are IPv6";
	return NULL;
}

int net_forward_parse(const char *text, struct net_forward *forward, struct err *e)
{
	const char *rest, *wrong = "it starts with tcp: or udp:";

	memset(forward, 0, sizeof(*forward));
	rest = parse_protocol(text, forward);
	if (rest)
		wrong = parse_ends(rest, forward);
	if (!wrong)
		return 0;
	return err_set(e, EINVAL,
		       "hostfwd=%s cannot be understood: %s; the form is "
		       "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
		       text, wrong);
}

bool net_endpoint_is_any(const union net_endpoint *end)
{
	if (end->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&end->v6.sin6_addr);
	return end->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool net_endpoints_overlap(const union net_endpoint *a, const union net_endpoint *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (net_endpoint_is_any(a) || net_endpoint_is_any(b))
		return true;
	if (a->any.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
	return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
}

bool net_forwards_collide(const struct net_forward *a, const struct net_forward *b)
{
	return a->udp == b->udp && net_endpoint_port(&a->host) == net_endpoint_port(&b->host) &&
	       net_endpoints_overlap(&a->host, &b->host);
}

const char *net_endpoint_format(const union net_endpoint *end, char text[NET_FORWARD_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];
	bool v6 = end->any.sa_family == AF_INET6;

	if (v6)
		inet_ntop(AF_INET6, &end->v6.sin6_addr, address, sizeof(address));
	else
		inet_ntop(AF_INET, &end->v4.sin_addr, address, sizeof(address));
	snprintf(text, NET_FORWARD_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", address,
		 net_endpoint_port(end));
	return text;
}

const char *net_forward_format(const struct net_forward *forward, char text[NET_FORWARD_TEXT_MAX])
{
	char host[NET_FORWARD_TEXT_MAX], guest[NET_FORWARD_TEXT_MAX];

	net_endpoint_format(&forward->host, host);
	net_endpoint_format(&forward->guest, guest);
	snprintf(text, NET_FORWARD_TEXT_MAX, "%s:%.60s-%.60s", forward->udp ? "udp" : "tcp", host,
		 guest);
	return text;
}
