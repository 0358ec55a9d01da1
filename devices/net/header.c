/* The header before every frame: see header.h. */
#include "net/header.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/util.h"

/* The checksum's place must be in the frame: who fills it in later does not look again. */
static int check_csum(const struct net_header *header, size_t frame_len, unsigned offloads)
{
	uint32_t place = (uint32_t)le16toh(header->csum_start) + le16toh(header->csum_offset);

	if (!(offloads & NET_TX_CSUM) || !range_inside(place, sizeof(uint16_t), frame_len))
		return -EINVAL;
	return 0;
}

static int check_gso(const struct net_header *header, unsigned offloads)
{
	unsigned needed = 0;

	switch (header->gso_type) {
	case NET_GSO_TCPV4:
		needed = NET_TX_TSO4;
		break;
	case NET_GSO_TCPV6:
		needed = NET_TX_TSO6;
		break;
	default:
		return -EINVAL;
	}
	/* 5.1.6.2: segments have checksums that are filled in one by one. */
	if (!(offloads & needed) || !header->gso_size || !(header->flags & NET_HEADER_NEEDS_CSUM))
		return -EINVAL;
	return 0;
}

int net_header_check(struct net_header *header, size_t frame_len, unsigned offloads)
{
	int ret = 0;

	header->flags &= NET_HEADER_NEEDS_CSUM;
	header->num_buffers = 0;
	if (header->flags)
		ret = check_csum(header, frame_len, offloads);
	if (!ret && header->gso_type != NET_GSO_NONE)
		ret = check_gso(header, offloads);
	if (ret < 0)
		return ret;
	if (!header->flags)
		memset(header, 0, sizeof(*header));
	else if (le16toh(header->hdr_len) > frame_len)
		header->hdr_len = htole16((uint16_t)frame_len);
	return 0;
}

/* What a driver has to have agreed to for a frame of that type; 0: there is no such type. */
static unsigned needed_to_receive(uint8_t gso_type)
{
	/* Without the mark for explicit congestion notification: that is not agreed to at all. */
	if (gso_type == NET_GSO_TCPV4)
		return NET_RX_TSO4;
	return gso_type == NET_GSO_TCPV6 ? NET_RX_TSO6 : 0;
}

void net_header_restrict(struct net_header *header, unsigned offloads)
{
	if (!(offloads & NET_RX_CSUM)) {
		memset(header, 0, sizeof(*header));
	} else if (!(offloads & needed_to_receive(header->gso_type))) {
		header->gso_type = NET_GSO_NONE;
		header->gso_size = 0;
	}
}
