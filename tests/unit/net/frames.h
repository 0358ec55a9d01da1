/* Frames as a guest of user networking sends them. */
#ifndef SARANG_TESTS_NET_FRAMES_H
#define SARANG_TESTS_NET_FRAMES_H

#include <stdint.h>

/* RFC 768: a datagram of four @bytes to @port of the host's loopback; no checksum. */
void frame_make_datagram(uint8_t frame[46], uint16_t port, const char *bytes);

/* RFC 9293: asks for a connection to @port of the host's loopback. */
void frame_make_syn(uint8_t frame[60], uint16_t port);

/* RFC 826: makes the request in @frame, for the guest's address, the guest's answer. */
void frame_answer_arp(uint8_t frame[42]);

#endif
