/* The virtio-mmio transport, version 2. Virtio 1.2, section 4.2. See mmio.c. */
#ifndef SARANG_VIRTIO_MMIO_H
#define SARANG_VIRTIO_MMIO_H

#include <stdint.h>

#include "base/err.h"
#include "bus/device.h"
#include "virtio/virtio.h"

#define VIRTIO_MMIO_LEN 0x200

/* Register offsets, 4.2.2. */
enum virtio_mmio_reg {
	VIRTIO_MMIO_MAGIC = 0x000,
	VIRTIO_MMIO_VERSION = 0x004,
	VIRTIO_MMIO_DEVICE_ID = 0x008,
	VIRTIO_MMIO_VENDOR_ID = 0x00c,
	VIRTIO_MMIO_DEVICE_FEATURES = 0x010,
	VIRTIO_MMIO_DEVICE_FEATURES_SEL = 0x014,
	VIRTIO_MMIO_DRIVER_FEATURES = 0x020,
	VIRTIO_MMIO_DRIVER_FEATURES_SEL = 0x024,
	VIRTIO_MMIO_QUEUE_SEL = 0x030,
	VIRTIO_MMIO_QUEUE_SIZE_MAX = 0x034,
	VIRTIO_MMIO_QUEUE_SIZE = 0x038,
	VIRTIO_MMIO_QUEUE_READY = 0x044,
	VIRTIO_MMIO_QUEUE_NOTIFY = 0x050,
	VIRTIO_MMIO_INTERRUPT_STATUS = 0x060,
	VIRTIO_MMIO_INTERRUPT_ACK = 0x064,
	VIRTIO_MMIO_STATUS = 0x070,
	VIRTIO_MMIO_QUEUE_DESC_LOW = 0x080,
	VIRTIO_MMIO_QUEUE_DESC_HIGH = 0x084,
	VIRTIO_MMIO_QUEUE_DRIVER_LOW = 0x090,
	VIRTIO_MMIO_QUEUE_DRIVER_HIGH = 0x094,
	VIRTIO_MMIO_QUEUE_DEVICE_LOW = 0x0a0,
	VIRTIO_MMIO_QUEUE_DEVICE_HIGH = 0x0a4,
	VIRTIO_MMIO_SHM_SEL = 0x0ac,
	VIRTIO_MMIO_SHM_LEN_LOW = 0x0b0,
	VIRTIO_MMIO_SHM_LEN_HIGH = 0x0b4,
	VIRTIO_MMIO_SHM_BASE_LOW = 0x0b8,
	VIRTIO_MMIO_SHM_BASE_HIGH = 0x0bc,
	VIRTIO_MMIO_QUEUE_RESET = 0x0c0,
	VIRTIO_MMIO_CONFIG_GENERATION = 0x0fc,
	VIRTIO_MMIO_CONFIG = 0x100,
};

#define VIRTIO_MMIO_MAGIC_VALUE   0x74726976 /* "virt" */
#define VIRTIO_MMIO_VERSION_VALUE 2
#define VIRTIO_MMIO_VENDOR_VALUE  0x474e5253 /* "SRNG" */

/*
 * Puts @vd on a transport at @place, which then owns it: device_destroy calls vd->ops->destroy. On
 * failure (-ENOMEM) it stays the caller's. @detail: a few words for `inspect`, copied.
 */
int virtio_mmio_new(const struct device_place *place, struct virtio_device *vd, const char *detail,
		    struct device **out, struct err *e);

/* Where a virtio-mmio device is, for tables that a device does not write itself. */
struct virtio_mmio_where {
	uint64_t base;
	uint64_t len;
	unsigned gsi; /* edge-triggered */
};

/* 0 with *@where, or -EINVAL when @dev is not a virtio-mmio transport. */
int virtio_mmio_where(const struct device *dev, struct virtio_mmio_where *where);

#endif
