/*
 * Naps: how long a card may leave its queues alone when the driver sends one frame after the other.
 * See nap.c. Pure arithmetic: the clock and the timer are the caller's.
 */
#ifndef SARANG_VIRTIO_NAP_H
#define SARANG_VIRTIO_NAP_H

#include <stdint.h>

/* To begin with all is 0 but max_ns. */
struct nap {
	uint64_t max_ns;    /* the longest nap; 0: none at all */
	uint64_t length_ns; /* of the one that is over now; 0: there was none */
	uint64_t looked_ns; /* when frames were last found; 0: never */
	uint64_t before_ns; /* of the one before that, and what it found */
	unsigned before_sent;
	unsigned content; /* naps in which no longer ones are tried */
	unsigned poor;    /* naps, the last ones, in which too few came */
	unsigned rest;    /* looks before the next try */
};

/* What came since the last look. */
struct nap_look {
	uint64_t now_ns;   /* not 0 */
	unsigned sent;     /* frames of the driver's that were found */
	uint64_t bytes;    /* in those */
	unsigned received; /* frames that it was given */
};

/* To be told of each look at the queues. Returns how long, in ns, to leave them alone, without
 * notifications, before the next look; 0: ask for notifications. */
uint64_t nap_next(struct nap *nap, const struct nap_look *look);

#endif
