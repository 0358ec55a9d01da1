/*
 * A virtio-mmio (version 2) driver with one split virtqueue, used by polling.
 *
 * Virtio 1.2, sections 2.7 (split virtqueues), 3.1 (device initialisation), 4.2 (MMIO transport).
 * The device is asked for no interrupt at all, and told of new buffers only when it wants to be.
 */
#ifndef BARE_VIRTIO_H
#define BARE_VIRTIO_H

#include "bare.h"

#define VIRTIO_MMIO_BASE  0xfeb00000 /* where the machine has its virtio-mmio devices */
#define VIRTIO_MMIO_STEP  0x200
#define VIRTIO_MMIO_SLOTS 24
#define VIRTQ_SIZE_MAX    256

enum {
	VIRTIO_MMIO_MAGIC = 0x00,
	VIRTIO_MMIO_QUEUE_NOTIFY = 0x50,
	VIRTIO_MMIO_CONFIG = 0x100,
};

enum { VIRTIO_ID_BLOCK = 2 };

/* Feature bits by number. */
enum {
	VIRTIO_BLK_F_RO = 5,
	VIRTIO_BLK_F_FLUSH = 9,
	VIRTIO_F_EVENT_IDX = 29,
	VIRTIO_F_VERSION_1 = 32,
};

struct virtq_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

enum { VIRTQ_DESC_NEXT = 1, VIRTQ_DESC_WRITE = 2 };

struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[VIRTQ_SIZE_MAX];
	uint16_t used_event;
};

struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct {
		uint32_t id;
		uint32_t bytes;
	} ring[VIRTQ_SIZE_MAX];
	uint16_t avail_event;
};

struct virtio {
	uint64_t base;
	uint64_t features; /* accepted by both sides */
	uint16_t size;     /* of the queue, a power of two */
	uint16_t avail_idx;
	uint16_t kicked_idx; /* avail_idx when the device was last considered for a kick */
	uint16_t used_idx;   /* the next used element to look at */
	uint64_t kicks;
	struct virtq_desc *desc;
	volatile struct virtq_avail
		*avail;                   /* used_event stands behind the last of @size elements */
	volatile struct virtq_used *used; /* so does avail_event */
};

/* The address of the first device with @id, 0 when there is none. */
uint64_t virtio_find(uint32_t id);

/*
 * Resets the device at @base, negotiates those of @wanted (bits 1 << number) that it offers with
 * VERSION_1, sets up queue 0 with at most VIRTQ_SIZE_MAX elements, and makes the device live.
 * What goes wrong ends the guest with a sentence. One device a guest: the rings are static.
 */
void virtio_start(struct virtio *v, uint64_t base, uint64_t wanted);

static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
	return v->features >> feature & 1;
}

/* Puts the chain that begins at descriptor @head on the avail ring; virtio_kick makes it known. */
void virtio_offer(struct virtio *v, uint16_t head);

/* Rings the doorbell for what was offered since the last call, unless the device can do without. */
void virtio_kick(struct virtio *v);

/* Takes one element off the used ring; false when there is none. */
bool virtio_poll(struct virtio *v, uint32_t *head);

#endif
