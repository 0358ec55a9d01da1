/*
 * A ring of frames between two processes: see ring.h.
 *
 *     tail                    head
 *      |  entry | entry | ...  |        room        | end: then from the start again
 *
 * An entry is its length (32 bits) and the frame, padded to 8 bytes. It never goes round the end:
 * where there is too little room before it, a length of all ones says so. Indices count bytes and
 * never wrap but at 2^32, so that a full and an empty ring differ.
 *
 * Who waits says so first and looks again after that; who puts or takes does so first and looks
 * whether somebody waits after that. All four are sequentially consistent, so one sees the other.
 */
#include "net/ring.h"

#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "net/header.h"

#define MASK     (NET_RING_BYTES - 1)
#define NO_ENTRY UINT32_MAX
#define LENGTH   sizeof(uint32_t)

/* What a writer waits for. */
enum {
	FOR_ROOM = 1, /* the reader signals when it has taken any frame */
	FOR_ALL = 2,  /* when it has taken the last */
};

static uint32_t entry_bytes(size_t len)
{
	return ((uint32_t)(LENGTH + len) + 7) & ~7u;
}

/* Bytes to the ring's end. */
static uint32_t before_end(uint32_t at)
{
	return NET_RING_BYTES - (at & MASK);
}

static bool has_room(const struct net_ring *ring, uint32_t bytes)
{
	uint32_t used = ring->at - atomic_load(&ring->shared->tail);

	return used <= NET_RING_BYTES && NET_RING_BYTES - used >= bytes;
}

/* As the loop's own words: 1 is taken back by whoever signals. */
static void signal_if(struct net_ring *ring, _Atomic uint32_t *waits)
{
	if (atomic_load(waits) && atomic_exchange(waits, 0))
		fd_event_signal(ring->signal_fd);
}

static void put_length(struct net_ring *ring, uint32_t len)
{
	memcpy(ring->shared->data + (ring->at & MASK), &len, LENGTH);
}

bool net_ring_put(struct net_ring *ring, const struct iovec *iov, int count, size_t len)
{
	uint32_t bytes = entry_bytes(len);
	uint32_t skipped = before_end(ring->at) < bytes ? before_end(ring->at) : 0;
	uint8_t *to;
	int i;

	if (!has_room(ring, skipped + bytes)) {
		atomic_store(&ring->shared->writer_waits, FOR_ROOM);
		if (!has_room(ring, skipped + bytes))
			return false;
		atomic_store(&ring->shared->writer_waits, 0);
	}
	if (skipped)
		put_length(ring, NO_ENTRY);
	ring->at += skipped;
	put_length(ring, (uint32_t)len);
	to = ring->shared->data + (ring->at & MASK) + LENGTH;
	for (i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	ring->at += bytes;
	ring->last = bytes;
	atomic_store(&ring->shared->head, ring->at);
	return true;
}

void net_ring_say(struct net_ring *ring)
{
	signal_if(ring, &ring->shared->reader_sleeps);
}

static const uint8_t *break_ring(struct net_ring *ring)
{
	ring->broken = true;
	return NULL;
}

const uint8_t *net_ring_peek(struct net_ring *ring, size_t *len)
{
	uint32_t there = atomic_load(&ring->shared->head) - ring->at, entry;

	ring->taking = 0;
	if (!there || ring->broken)
		return NULL;
	if (there > NET_RING_BYTES || there % 8 || there < 8)
		return break_ring(ring);
	memcpy(&entry, ring->shared->data + (ring->at & MASK), LENGTH);
	if (entry == NO_ENTRY) {
		if (there < before_end(ring->at) + 8)
			return break_ring(ring);
		there -= before_end(ring->at);
		ring->at += before_end(ring->at);
		memcpy(&entry, ring->shared->data, LENGTH);
	}
	if (entry < NET_ETHERNET_BYTES || entry > NET_FRAME_MAX || entry_bytes(entry) > there ||
	    entry_bytes(entry) > before_end(ring->at))
		return break_ring(ring);
	ring->taking = entry_bytes(entry);
	*len = entry;
	return ring->shared->data + (ring->at & MASK) + LENGTH;
}

/* For the reader. */
static bool is_empty(const struct net_ring *ring)
{
	return atomic_load(&ring->shared->head) == ring->at;
}

void net_ring_take(struct net_ring *ring)
{
	ring->at += ring->taking;
	ring->taking = 0;
	atomic_store(&ring->shared->tail, ring->at);
	if (atomic_load(&ring->shared->writer_waits) != FOR_ALL || is_empty(ring))
		signal_if(ring, &ring->shared->writer_waits);
}

bool net_ring_await_empty(struct net_ring *ring)
{
	if (ring->at - atomic_load(&ring->shared->tail) <= ring->last)
		return false;
	atomic_store(&ring->shared->writer_waits, FOR_ALL);
	if (atomic_load(&ring->shared->tail) != ring->at)
		return true;
	atomic_store(&ring->shared->writer_waits, 0);
	return false;
}

bool net_ring_sleep(struct net_ring *ring)
{
	atomic_store(&ring->shared->reader_sleeps, 1);
	if (is_empty(ring) || ring->broken)
		return true;
	net_ring_wake(ring);
	return false;
}

void net_ring_wake(struct net_ring *ring)
{
	atomic_store(&ring->shared->reader_sleeps, 0);
}
