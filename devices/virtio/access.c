/*
 * The driver's view of a virtio device, as transports offer it: feature words, queue configuration
 * and configuration space. Virtio 1.2, sections 2.2, 2.5 and 4.
 *
 * On vCPU threads, several at once. Everything a driver can write here is hostile: indices are
 * checked against the device's queues before anything else, and what is in use does not change any
 * more.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "virtio/virtio.h"

uint32_t virtio_device_features(const struct virtio_device *vd, uint32_t word)
{
	return word < 2 ? (uint32_t)(vd->offered >> (32 * word)) : 0;
}

void virtio_accept_features(struct virtio_device *vd, uint32_t word, uint32_t bits)
{
	pthread_mutex_lock(&vd->lock);
	if (vd->status & VIRTIO_FEATURES_OK) {
		/* Settled: 2.2.1 forbids the driver to change them. */
	} else if (word < 2) {
		vd->accepted &= ~(0xffffffffull << (32 * word));
		vd->accepted |= (uint64_t)bits << (32 * word);
	} else if (bits) {
		vd->accepted_unknown = true;
	}
	pthread_mutex_unlock(&vd->lock);
}

static void set_half(uint64_t *value, unsigned shift, uint32_t half)
{
	*value &= ~(0xffffffffull << shift);
	*value |= (uint64_t)half << shift;
}

/* A size that the queue cannot have becomes 0, and such a queue cannot be made ready. */
static uint16_t sound_size(const struct virtio_device *vd, uint32_t size)
{
	return size <= vd->ops->queue_size && !(size & (size - 1)) ? (uint16_t)size : 0;
}

void virtio_queue_set(struct virtio_device *vd, uint32_t queue, enum virtio_queue_field field,
		      uint32_t value)
{
	struct virtq_config *c;

	if (queue >= vd->queue_count)
		return;
	c = &vd->queues[queue].config;
	pthread_mutex_lock(&vd->lock);
	if (!c->ready && !(vd->status & VIRTIO_DRIVER_OK)) {
		switch (field) {
		case VIRTIO_QUEUE_SIZE:
			c->size = sound_size(vd, value);
			break;
		case VIRTIO_QUEUE_DESC_LOW:
		case VIRTIO_QUEUE_DESC_HIGH:
			set_half(&c->desc_gpa, field == VIRTIO_QUEUE_DESC_HIGH ? 32 : 0, value);
			break;
		case VIRTIO_QUEUE_AVAIL_LOW:
		case VIRTIO_QUEUE_AVAIL_HIGH:
			set_half(&c->avail_gpa, field == VIRTIO_QUEUE_AVAIL_HIGH ? 32 : 0, value);
			break;
		case VIRTIO_QUEUE_USED_LOW:
		case VIRTIO_QUEUE_USED_HIGH:
			set_half(&c->used_gpa, field == VIRTIO_QUEUE_USED_HIGH ? 32 : 0, value);
			break;
		}
	}
	pthread_mutex_unlock(&vd->lock);
}

uint16_t virtio_queue_size_max(const struct virtio_device *vd, uint32_t queue)
{
	return queue < vd->queue_count ? vd->ops->queue_size : 0;
}

bool virtio_queue_ready(struct virtio_device *vd, uint32_t queue)
{
	bool ready;

	if (queue >= vd->queue_count)
		return false;
	pthread_mutex_lock(&vd->lock);
	ready = vd->queues[queue].config.ready;
	pthread_mutex_unlock(&vd->lock);
	return ready;
}

void virtio_queue_set_ready(struct virtio_device *vd, uint32_t queue, bool ready)
{
	struct virtio_queue *q;

	if (queue >= vd->queue_count)
		return;
	if (!ready) {
		virtio_queue_close(vd, queue);
		return;
	}
	q = &vd->queues[queue];
	pthread_mutex_lock(&vd->lock);
	if (!(vd->status & VIRTIO_DRIVER_OK) &&
	    virtq_check(&q->live, vd->env->mem, &q->config) == 0)
		q->config.ready = true;
	pthread_mutex_unlock(&vd->lock);
}

uint64_t virtio_config_read(struct virtio_device *vd, uint64_t offset, unsigned size)
{
	uint64_t raw = 0;

	if (!range_inside(offset, size, vd->config_bytes))
		return UINT64_MAX;
	pthread_mutex_lock(&vd->lock);
	memcpy(&raw, (const char *)vd->config + offset, size);
	pthread_mutex_unlock(&vd->lock);
	return le64toh(raw);
}
