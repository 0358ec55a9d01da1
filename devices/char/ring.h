/*
 * A ring of bytes between one consumer and any producers. It has no lock of its own: its owner's
 * lock is held for every call. The bytes ring_peek showed may be read without the lock, for only
 * the consumer frees their place.
 */
#ifndef SARANG_CHAR_RING_H
#define SARANG_CHAR_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_BYTES 65536u

struct ring {
	uint8_t bytes[RING_BYTES];
	size_t head; /* where the oldest byte is */
	size_t len;
};

/* Adds up to @len bytes, not beyond @limit in total (at most RING_BYTES); returns how many. */
size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t len, size_t limit);

/* The oldest bytes that lie in one piece; returns how many there are, with *@bytes. */
size_t ring_peek(const struct ring *ring, const uint8_t **bytes);

/* Takes the oldest @len bytes out. @len is at most what ring_peek returned. */
void ring_consume(struct ring *ring, size_t len);

#endif
