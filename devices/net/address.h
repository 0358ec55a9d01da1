/* Addresses as users write them: MAC addresses, and forwarded ports. Pure functions. */
#ifndef SARANG_NET_ADDRESS_H
#define SARANG_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NET_MAC_TEXT_MAX 18
/* "tcp:[...]:65535-[...]:65535" */
#define NET_FORWARD_TEXT_MAX 128

/*
 * Parses "52:54:00:12:34:56". 0, or -EINVAL with a sentence: not a MAC address, or one that no card
 * can have (the multicast bit, all zeroes).
 */
int net_mac_parse(const char *text, uint8_t mac[6], struct err *e);

/* Writes it into @text; returns @text. */
const char *net_mac_format(const uint8_t mac[6], char text[NET_MAC_TEXT_MAX]);

/*
 * Makes a locally administered address from @seed: the same one each time, so that a guest finds
 * its configuration again.
 */
void net_mac_make(const char *seed, uint8_t mac[6]);

/* An address and a port; the family is v4.sin_family. */
union net_endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* A port of the host that leads to one of the guest's. */
struct net_forward {
	bool udp;
	union net_endpoint host;
	union net_endpoint guest; /* address 0: the guest's, whichever it is */
};

/*
 * Parses "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport". Without a protocol it is TCP,
 * without a host address the loopback, without a guest address the one the guest was given. IPv6
 * addresses stand in brackets, and "[]" is none, of IPv6; both sides are of one family. 0, or
 * -EINVAL with a sentence.
 */
int net_forward_parse(const char *text, struct net_forward *forward, struct err *e);

/* Whether both want the same port of the host, so that only one can listen. */
bool net_forwards_collide(const struct net_forward *a, const struct net_forward *b);

/* Writes it as net_forward_parse reads it; returns @text. */
const char *net_forward_format(const struct net_forward *forward, char text[NET_FORWARD_TEXT_MAX]);

/* Writes one end, such as "127.0.0.1:2222"; returns @text. */
const char *net_endpoint_format(const union net_endpoint *end, char text[NET_FORWARD_TEXT_MAX]);

uint16_t net_endpoint_port(const union net_endpoint *end);
socklen_t net_endpoint_len(const union net_endpoint *end);
/* Whether it is all addresses of its family. */
bool net_endpoint_is_any(const union net_endpoint *end);
/* Whether they have an address in common, whatever their ports. */
bool net_endpoints_overlap(const union net_endpoint *a, const union net_endpoint *b);

#endif
