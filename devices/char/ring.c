/* The output ring: see ring.h. Pure, no lock, any thread that holds the owner's lock. */
#include "char/ring.h"

#include <string.h>

#include "base/util.h"

size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t len, size_t limit)
{
	size_t room = limit > ring->len ? limit - ring->len : 0;
	size_t tail = (ring->head + ring->len) % RING_BYTES;
	size_t count = MIN(len, room);
	size_t first = MIN(count, RING_BYTES - tail);

	memcpy(ring->bytes + tail, bytes, first);
	memcpy(ring->bytes, bytes + first, count - first);
	ring->len += count;
	return count;
}

size_t ring_peek(const struct ring *ring, const uint8_t **bytes)
{
	*bytes = ring->bytes + ring->head;
	return MIN(ring->len, RING_BYTES - ring->head);
}

void ring_consume(struct ring *ring, size_t len)
{
	ring->head = (ring->head + len) % RING_BYTES;
	ring->len -= len;
}
