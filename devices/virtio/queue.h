/*
 * The split virtqueue (virtio 1.2, sections 2.6 and 2.7), the device's side of it.
 *
 *     driver                                                      device
 *       | fills descriptors, puts the head of the chain into         |
 *       |     avail.ring[avail.idx % size], avail.idx++ -----------> | virtq_pop
 *       |                                                            |   ... the device works ...
 *       | <------------- used.ring[used.idx % size] = {head, len} -- | virtq_push
 *       | <------------- used.idx += n ----------------------------- | virtq_publish
 *
 * What the driver has written into registers (struct virtq_config) is apart from the live queue
 * (struct virtq), which is made from it once, when the driver is ready, and does not look at it
 * again: registers that change later change nothing. Rings are touched only between virtq_open and
 * virtq_close.
 *
 * No call here locks: a queue is served by one thread at a time, which the owner sees to.
 */
#ifndef SARANG_VIRTIO_QUEUE_H
#define SARANG_VIRTIO_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "mem/gmem.h"
#include "virtio/chain.h"

#define VIRTQ_SIZE_MAX 1024 /* what a device here may ask for; the specification allows 32768 */

/* What a driver has configured. */
struct virtq_config {
	uint16_t size; /* descriptors: a power of two; 0: the driver wrote something impossible */
	bool ready;
	uint64_t desc_gpa, avail_gpa, used_gpa;
};

enum virtq_flags {
	VIRTQ_EVENT_IDX = 1 << 0,
	VIRTQ_INDIRECT = 1 << 1,
};

struct virtq_avail; /* the available ring in guest memory */
struct virtq_used;  /* the used ring in guest memory */

/* A live queue. Fields are the module's own. */
struct virtq {
	uint16_t size_max;
	int iov_max; /* iovecs a chain can have */

	/* Preallocated by virtq_init. */
	struct virtq_chain *chains; /* size_max slots */
	struct iovec *iovs;         /* iov_max for each slot; untouched pages cost nothing */
	uint16_t *free_slots;       /* a stack: the slot used last is the one in the cache */
	bool *busy;                 /* by head: on loan */

	/* Of an open queue. */
	struct chain_source source; /* size 0: not open */
	bool event_idx;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t avail_next;     /* the next entry to pop */
	uint16_t used_next;      /* the next entry to fill */
	uint16_t used_published; /* the index that the driver sees */
	uint16_t in_flight;      /* chains on loan */
	enum chain_fault fault;  /* once set nothing is popped any more */
};

/* Allocates for up to @size_max descriptors. 0 or -ENOMEM. Freed with virtq_fini, which is
 * repeatable. */
int virtq_init(struct virtq *q, uint16_t size_max, struct err *e);
void virtq_fini(struct virtq *q);

/*
 * Whether @config describes a queue that can be opened: size, alignments (2.7: 16, 2 and 4 bytes),
 * each ring in RAM. 0 or -EINVAL.
 */
int virtq_check(const struct virtq *q, const struct gmem *mem, const struct virtq_config *config);

/* Opens it; @flags: enum virtq_flags. 0, or -EINVAL as virtq_check. All indices start at 0. */
int virtq_open(struct virtq *q, const struct gmem *mem, const struct virtq_config *config,
	       unsigned flags);

/* Forgets the rings and every chain on loan: the borrower must not push them any more. Repeatable.
 */
void virtq_close(struct virtq *q);

static inline bool virtq_is_open(const struct virtq *q)
{
	return q->source.size != 0;
}

/*
 * Takes the next chain that the driver offers. 1 with *@chain, lent until virtq_push; 0 when there
 * is none (or the queue is not open); -EBADMSG when what the driver offers is malformed, with
 * q->fault set: then and from then on. At most `size` chains are on loan.
 */
int virtq_pop(struct virtq *q, struct virtq_chain **chain);

/* Marks the queue as misused by the driver for a reason only the device can see. */
void virtq_set_fault(struct virtq *q, enum chain_fault fault);

/* Whether the driver offers something: a look at one index, for polling. */
bool virtq_pending(const struct virtq *q);

/* Gives a chain back, @len bytes of its in part written; the driver sees it after virtq_publish. */
void virtq_push(struct virtq *q, struct virtq_chain *chain, uint32_t len);

/*
 * Shows the driver all that was pushed. Returns whether it wants an interrupt for it
 * (2.7.7.2, 2.7.10): one decision a batch. False when nothing was pushed.
 */
bool virtq_publish(struct virtq *q);

/* Asks the driver for no notifications: the queue is being served anyway. A hint. */
void virtq_notify_disable(struct virtq *q);

/*
 * Asks for them again. Returns true when something was offered meanwhile, for which no notification
 * will come: the caller pops again.
 */
bool virtq_notify_enable(struct virtq *q);

/* An open queue for somebody else in our place who reads and writes the rings: where they are, and
 * the next available entry. Nothing is on loan then. */
struct virtq_rings {
	const void *desc, *avail, *used;
	uint16_t size, next;
};

struct virtq_rings virtq_rings(const struct virtq *q);

/* That one has stopped, having taken what came before the available index @next. */
void virtq_go_on_at(struct virtq *q, uint16_t next);

#endif
