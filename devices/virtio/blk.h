/* virtio-blk: a disk. Virtio 1.2, section 5.2. See blk.c. */
#ifndef SARANG_VIRTIO_BLK_H
#define SARANG_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/device.h"

struct blk;         /* block/blk.h */
struct blk_options; /* block/blk.h */

#define VIRTIO_BLK_QUEUES_MAX   4
#define VIRTIO_BLK_QUEUE_SIZE   256
#define VIRTIO_BLK_SERIAL_BYTES 20 /* a longer serial is cut */

struct virtio_blk_settings {
	const char *id; /* "disk0": the device's id and its thread's name */
	/*
	 * What to open, on a thread of the device's own. NULL: @blk is served instead, on the loop
	 * that it is attached to and that the caller runs; the device owns it once virtio_blk_new
	 * has succeeded.
	 */
	const struct blk_options *options;
	struct blk *blk;
	const char *serial; /* NULL: none */
	unsigned queues;    /* 1 to VIRTIO_BLK_QUEUES_MAX: one for each vCPU up to that */
	/*
	 * The longest the disk's thread looks for the next request before it sleeps, and only while
	 * requests have lately come that fast; 0: it sleeps at once.
	 */
	uint64_t poll_max_ns;
	/*
	 * A request that the host fails is kept, MACHINE_IO_FAILED raised, and the request tried
	 * again on retry. Else the driver gets an I/O error.
	 */
	bool pause_on_error;
};

/* Makes the disk on a virtio-mmio transport at @place. 0, or -errno with blk_open's sentence. */
int virtio_blk_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_blk_settings *settings, struct device **out, struct err *e);

#endif
