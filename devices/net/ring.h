/*
 * A ring of frames in memory that two processes share: one puts, the other takes. See ring.c.
 *
 * Neither side trusts the other: what it reads from there is copied once and checked, and what it
 * has done itself it keeps elsewhere. A side that lies gets rubbish, or none, and no more.
 */
#ifndef SARANG_NET_RING_H
#define SARANG_NET_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Sixteen of the longest frames. */
#define NET_RING_BYTES (1u << 20)

/* As it lies in memory: each side writes one line, but for what it takes back of the other's. */
struct net_ring_shared {
	_Atomic uint32_t head;         /* bytes put, ever, modulo 2^32 */
	_Atomic uint32_t writer_waits; /* not 0: for room, or for all of it; the reader signals */
	uint8_t pad1[56];
	_Atomic uint32_t tail;          /* bytes taken */
	_Atomic uint32_t reader_sleeps; /* 1: until something is put; the writer signals */
	uint8_t pad2[56];
	uint8_t data[NET_RING_BYTES];
};

_Static_assert(sizeof(struct net_ring_shared) == NET_RING_BYTES + 128, "no holes");

/* One side of it. @signal_fd: an eventfd that wakes the other. */
struct net_ring {
	struct net_ring_shared *shared;
	int signal_fd;
	uint32_t at;     /* head or tail, as this side knows it */
	uint32_t last;   /* writer: bytes of the entry that was put last */
	uint32_t taking; /* reader: bytes of the entry that net_ring_peek has shown */
	bool broken;     /* reader: the other side does not keep to the rules */
};

/* For the writer: puts the @len bytes of @iov (NET_ETHERNET_BYTES to NET_FRAME_MAX). False: there
 * is no room, and this side will be signalled when there is some; the reader has to be told of what
 * is there. */
bool net_ring_put(struct net_ring *ring, const struct iovec *iov, int count, size_t len);

/* For the writer: tells the reader of what was put, if it sleeps. */
void net_ring_say(struct net_ring *ring);

/* For the writer: whether there still are several frames that the reader has not taken; then this
 * side will be signalled when it has taken the last. */
bool net_ring_await_empty(struct net_ring *ring);

/* For the reader: the next frame, in the ring, valid until net_ring_take. NULL: there is none, or
 * the ring is broken. Its bytes may change while they are read. */
const uint8_t *net_ring_peek(struct net_ring *ring, size_t *len);

/* The frame that was shown is done with. */
void net_ring_take(struct net_ring *ring);

/* Asks to be signalled when something is put. False: something has been, and nobody will signal. */
bool net_ring_sleep(struct net_ring *ring);

/* Takes that back, as far as nobody has signalled yet: a signal less. */
void net_ring_wake(struct net_ring *ring);

#endif
