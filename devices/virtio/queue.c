/*
 * The split virtqueue: see queue.h. Virtio 1.2, sections 2.7.4 to 2.7.10.
 *
 * Memory ordering. The driver's writes before avail.idx are visible after an acquire load of it;
 * ours before used.idx are published by its store. Two places need more, a store that must be
 * visible before a later load (the classic store-buffer race, where both sides look away at once):
 *   - used.idx stored, then used_event (or avail.flags) loaded: does the driver want an interrupt?
 *   - avail_event (or used.flags) stored, then avail.idx loaded: did the driver add without
 * notifying? There both accesses are sequentially consistent; the driver has a full barrier between
 * its two.
 *
 * Runs on the thread that serves the queue.
 */
#include "virtio/queue.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 2.7.6 and 2.7.8. Behind the last ring entry: used_event and avail_event, 16 bits each. */
struct virtq_avail {
	_Atomic uint16_t flags;
	_Atomic uint16_t idx;
	_Atomic uint16_t ring[];
};

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

struct virtq_used {
	_Atomic uint16_t flags;
	_Atomic uint16_t idx;
	struct virtq_used_elem ring[];
};

_Static_assert(sizeof(_Atomic uint16_t) == 2, "ring indices are accessed in place");
_Static_assert(sizeof(struct virtq_avail) == 4, "virtio 1.2, 2.7.6");
_Static_assert(sizeof(struct virtq_used) == 4, "virtio 1.2, 2.7.8");

#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY     1

/* A chain may have more pieces than descriptors where RAM ranges adjoin; this many more. */
#define SPARE_PIECES 8

int virtq_init(struct virtq *q, uint16_t size_max, struct err *e)
{
	memset(q, 0, sizeof(*q));
	q->size_max = size_max;
	q->iov_max = size_max + SPARE_PIECES;
	q->chains = calloc(size_max, sizeof(*q->chains));
	q->iovs = calloc((size_t)size_max * (size_t)q->iov_max, sizeof(*q->iovs));
	q->free_slots = calloc(size_max, sizeof(*q->free_slots));
	q->busy = calloc(size_max, sizeof(*q->busy));
	if (!q->chains || !q->iovs || !q->free_slots || !q->busy) {
		virtq_fini(q);
		return err_set(e, ENOMEM, "out of memory for a virtqueue of %u entries", size_max);
	}
	return 0;
}

void virtq_fini(struct virtq *q)
{
	free(q->chains);
	free(q->iovs);
	free(q->free_slots);
	free(q->busy);
	memset(q, 0, sizeof(*q));
}

static uint64_t desc_bytes(uint16_t size)
{
	return (uint64_t)size * sizeof(struct virtq_desc);
}

static uint64_t avail_bytes(uint16_t size)
{
	return sizeof(struct virtq_avail) + ((uint64_t)size + 1) * sizeof(uint16_t);
}

static uint64_t used_bytes(uint16_t size)
{
	return sizeof(struct virtq_used) + (uint64_t)size * sizeof(struct virtq_used_elem) +
	       sizeof(uint16_t);
}

int virtq_check(const struct virtq *q, const struct gmem *mem, const struct virtq_config *config)
{
	uint16_t size = config->size;

	if (!size || size > q->size_max || (size & (size - 1)))
		return -EINVAL;
	if (config->desc_gpa % 16 || config->avail_gpa % 2 || config->used_gpa % 4)
		return -EINVAL;
	if (!gmem_ptr(mem, config->desc_gpa, desc_bytes(size)) ||
	    !gmem_ptr(mem, config->avail_gpa, avail_bytes(size)) ||
	    !gmem_ptr(mem, config->used_gpa, used_bytes(size)))
		return -EINVAL;
	return 0;
}

int virtq_open(struct virtq *q, const struct gmem *mem, const struct virtq_config *config,
	       unsigned flags)
{
	uint16_t size = config->size, i;

	if (virtq_check(q, mem, config) < 0)
		return -EINVAL;
	q->source = (struct chain_source){
		.mem = mem,
		.table = gmem_ptr(mem, config->desc_gpa, desc_bytes(size)),
		.size = size,
		.indirect = flags & VIRTQ_INDIRECT,
		.iov_max = q->iov_max,
	};
	q->event_idx = flags & VIRTQ_EVENT_IDX;
	q->avail = gmem_ptr(mem, config->avail_gpa, avail_bytes(size));
	q->used = gmem_ptr(mem, config->used_gpa, used_bytes(size));
	q->avail_next = q->used_next = q->used_published = 0;
	q->in_flight = 0;
	q->fault = CHAIN_FINE;
	memset(q->busy, 0, q->size_max * sizeof(*q->busy));
	for (i = 0; i < size; i++)
		q->free_slots[i] = (uint16_t)(size - 1 - i);
	return 0;
}

void virtq_close(struct virtq *q)
{
	memset(&q->source, 0, sizeof(q->source));
	q->avail = NULL;
	q->used = NULL;
	q->in_flight = 0;
	q->used_next = q->used_published = 0;
}

/* Where the driver writes the used index at which it wants to be interrupted. */
static _Atomic uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->source.size];
}

/* Where we write the available index at which we want to be notified. */
static _Atomic uint16_t *avail_event(const struct virtq *q)
{
	return (_Atomic uint16_t *)(void *)&q->used->ring[q->source.size];
}

void virtq_set_fault(struct virtq *q, enum chain_fault fault)
{
	if (!q->fault)
		q->fault = fault;
}

/* Whether and how many chains wait; a jump that no driver can have made is a fault. */
static uint16_t waiting(struct virtq *q)
{
	uint16_t idx = le16toh(atomic_load_explicit(&q->avail->idx, memory_order_acquire));
	uint16_t count = (uint16_t)(idx - q->avail_next);

	if (count > q->source.size)
		virtq_set_fault(q, CHAIN_AVAIL_JUMP);
	return count;
}

int virtq_pop(struct virtq *q, struct virtq_chain **out)
{
	struct virtq_chain *chain;
	uint16_t head, slot;

	if (!virtq_is_open(q) || (!q->fault && !waiting(q)))
		return 0;
	if (q->fault)
		return -EBADMSG;
	head = le16toh(atomic_load_explicit(&q->avail->ring[q->avail_next & (q->source.size - 1)],
					    memory_order_relaxed));
	if (head >= q->source.size)
		virtq_set_fault(q, CHAIN_HEAD_RANGE);
	else if (q->busy[head] || q->in_flight == q->source.size)
		virtq_set_fault(q, CHAIN_HEAD_BUSY);
	if (q->fault)
		return -EBADMSG;

	slot = q->free_slots[q->source.size - q->in_flight - 1];
	chain = &q->chains[slot];
	chain->iov = &q->iovs[(size_t)slot * (size_t)q->iov_max];
	chain->head = head;
	chain->slot = slot;
	virtq_set_fault(q, chain_walk(&q->source, head, chain));
	if (q->fault)
		return -EBADMSG;
	q->busy[head] = true;
	q->in_flight++;
	q->avail_next++;
	*out = chain;
	return 1;
}

bool virtq_pending(const struct virtq *q)
{
	return virtq_is_open(q) && !q->fault &&
	       le16toh(atomic_load_explicit(&q->avail->idx, memory_order_acquire)) != q->avail_next;
}

void virtq_push(struct virtq *q, struct virtq_chain *chain, uint32_t len)
{
	struct virtq_used_elem *elem = &q->used->ring[q->used_next & (q->source.size - 1)];

	elem->id = htole32(chain->head);
	elem->len = htole32(len);
	q->used_next++;
	q->busy[chain->head] = false;
	q->free_slots[q->source.size - q->in_flight] = chain->slot;
	q->in_flight--;
}

bool virtq_publish(struct virtq *q)
{
	uint16_t old = q->used_published, now = q->used_next, event;

	if (!virtq_is_open(q) || old == now)
		return false;
	q->used_published = now;
	atomic_store_explicit(&q->used->idx, htole16(now), memory_order_seq_cst);
	if (!q->event_idx)
		return !(le16toh(atomic_load_explicit(&q->avail->flags, memory_order_seq_cst)) &
			 AVAIL_NO_INTERRUPT);
	/* Was the entry that the driver waits for among these? In 16-bit arithmetic, so that it
	 * wraps. */
	event = le16toh(atomic_load_explicit(used_event(q), memory_order_seq_cst));
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void virtq_notify_disable(struct virtq *q)
{
	if (!virtq_is_open(q))
		return;
	/*
	 * With EVENT_IDX there is no flag: asking for an index that has just passed is to ask for
	 * none (2.7.10). One left by an earlier enabling may still lie ahead.
	 */
	if (q->event_idx) {
		uint16_t passed = (uint16_t)(q->avail_next - 1);

		if (le16toh(atomic_load_explicit(avail_event(q), memory_order_relaxed)) ==
		    q->avail_next)
			atomic_store_explicit(avail_event(q), htole16(passed),
					      memory_order_relaxed);
		return;
	}
	/* Not written again while it stands: the driver's processor reads this cache line. */
	if (!atomic_load_explicit(&q->used->flags, memory_order_relaxed))
		atomic_store_explicit(&q->used->flags, htole16(USED_NO_NOTIFY),
				      memory_order_relaxed);
}

bool virtq_notify_enable(struct virtq *q)
{
	uint16_t idx;

	if (!virtq_is_open(q) || q->fault)
		return false;
	if (q->event_idx)
		atomic_store_explicit(avail_event(q), htole16(q->avail_next), memory_order_seq_cst);
	else
		atomic_store_explicit(&q->used->flags, 0, memory_order_seq_cst);
	idx = le16toh(atomic_load_explicit(&q->avail->idx, memory_order_seq_cst));
	return idx != q->avail_next;
}

struct virtq_rings virtq_rings(const struct virtq *q)
{
	return (struct virtq_rings){
		.desc = q->source.table,
		.avail = q->avail,
		.used = q->used,
		.size = q->source.size,
		.next = q->avail_next,
	};
}

void virtq_go_on_at(struct virtq *q, uint16_t next)
{
	if (!virtq_is_open(q))
		return;
	q->avail_next = next;
	q->used_next = q->used_published =
		le16toh(atomic_load_explicit(&q->used->idx, memory_order_acquire));
}
