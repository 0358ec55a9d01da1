/* Frames as a guest of user networking sends them: see frames.h. */
#include "frames.h"

#include <stddef.h>
#include <string.h>

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* RFC 1071, of an even number of bytes. */
static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void frame_make_datagram(uint8_t frame[46], uint16_t port, const char *bytes)
{
	static const uint8_t begin[] = {
		0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0,  0,  0, 1, 8,  0, /* Ethernet */
		0x45, 0,    0,  0, 0, 0, 0,    0,    64, 17, 0, 0, 10, 0, /* IPv4 */
		2,    15,   10, 0, 2, 2,
	};

	memcpy(frame, begin, sizeof(begin));
	put16(frame + 16, 32);
	put16(frame + 24, checksum(frame + 14, 20));
	put16(frame + 34, 4000);
	put16(frame + 36, port);
	put16(frame + 38, 12);
	put16(frame + 40, 0);
	memcpy(frame + 42, bytes, 4);
}

void frame_make_syn(uint8_t frame[60], uint16_t port)
{
	static const uint8_t begin[] = {
		0x52, 0x55, 10, 0,  2, 2, 0x52, 0x54, 0,  0, 0, 1, 8,  0, /* Ethernet */
		0x45, 0,    0,  40, 0, 0, 0,    0,    64, 6, 0, 0, 10, 0, /* IPv4 */
		2,    15,   10, 0,  2, 2,
	};
	/* Addresses, protocol and length go into the checksum, too. */
	uint8_t summed[32] = {10, 0, 2, 15, 10, 0, 2, 2, 0, 6, 0, 20};
	uint8_t *tcp = summed + 12;

	memset(frame, 0, 60);
	memcpy(frame, begin, sizeof(begin));
	put16(frame + 24, checksum(frame + 14, 20));
	put16(tcp, 4000);
	put16(tcp + 2, port);
	tcp[12] = 5 << 4;
	tcp[13] = 2;
	put16(tcp + 14, 8192);
	put16(tcp + 16, checksum(summed, sizeof(summed)));
	memcpy(frame + 34, tcp, 20);
}

void frame_answer_arp(uint8_t frame[42])
{
	static const uint8_t own[6] = {0x52, 0x54, 0, 0, 0, 1};
	uint8_t wanted[4];

	memcpy(wanted, frame + 38, 4);
	memcpy(frame + 32, frame + 22, 10); /* who asked, in both addresses, is answered */
	memcpy(frame + 28, wanted, 4);
	memcpy(frame + 22, own, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, own, 6);
	frame[21] = 2;
}
