/*
 * The header that stands before every frame between a virtio network card and its driver: struct
 * virtio_net_hdr of virtio 1.2, section 5.1.6. Linux's tap devices use the same bytes, so both
 * sides of a network speak it. Pure functions.
 */
#ifndef SARANG_NET_HEADER_H
#define SARANG_NET_HEADER_H

#include <stddef.h>
#include <stdint.h>

/* Little-endian, as VERSION_1 has it: twelve bytes whatever else was negotiated. */
struct net_header {
	uint8_t flags;    /* enum net_header_flags */
	uint8_t gso_type; /* enum net_gso_type */
	uint16_t hdr_len; /* a hint: how much of the frame is headers */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset; /* from csum_start */
	uint16_t num_buffers; /* towards the driver: how many buffers the frame lies in */
};

_Static_assert(sizeof(struct net_header) == 12, "virtio 1.2, 5.1.6");

enum net_header_flags {
	NET_HEADER_NEEDS_CSUM = 1, /* the checksum is not filled in yet */
	NET_HEADER_DATA_VALID = 2, /* the checksum has been verified */
};

enum net_gso_type {
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_TCPV6 = 4,
};

/* What one side can leave to the other; see struct net_info and net_set_offloads. */
enum net_offload {
	NET_TX_CSUM = 1 << 0, /* the guest sends frames without checksums */
	NET_TX_TSO4 = 1 << 1, /* the guest sends TCP segments of up to 64 KiB */
	NET_TX_TSO6 = 1 << 2,
	NET_RX_CSUM = 1 << 3, /* the guest takes frames without checksums, or known to be good */
	NET_RX_TSO4 = 1 << 4, /* the guest takes TCP segments of up to 64 KiB */
	NET_RX_TSO6 = 1 << 5,
};

/* Destination, source, type (IEEE 802.3); and a VLAN tag. */
#define NET_ETHERNET_BYTES 14
#define NET_VLAN_BYTES     4
/* The longest frame there can be: 5.1.6.3.1 has drivers give 65562 bytes, header included. */
#define NET_FRAME_MAX 65550

/*
 * Checks what a driver wrote before a frame of @frame_len bytes that it sends, against the
 * @offloads (enum net_offload) that were negotiated. Where it is sound, corrects the hint hdr_len
 * to what the frame has, clears what means nothing in this direction, and returns 0; else -EINVAL.
 */
int net_header_check(struct net_header *header, size_t frame_len, unsigned offloads);

/*
 * Takes out of a received frame's header what the driver has not agreed (@offloads) to see: frames
 * that the host had made for the driver before this one may still be waiting. Such a frame then has
 * a wrong checksum, or is longer than others.
 */
void net_header_restrict(struct net_header *header, unsigned offloads);

#endif
