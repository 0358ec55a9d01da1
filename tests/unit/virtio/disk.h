/* A guest with a virtio disk on a fake back-end, and requests to it in one call. */
#ifndef SARANG_TESTS_VIRTIO_DISK_H
#define SARANG_TESTS_VIRTIO_DISK_H

#include "driver.h"
#include "fake_blk.h"
#include "virtio/blk_request.h"

#define DISK_FEATURES                                                     \
	(1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD |      \
	 1ull << VIRTIO_BLK_F_WRITE_ZEROES | 1ull << VIRTIO_F_EVENT_IDX | \
	 1ull << VIRTIO_F_INDIRECT_DESC)

struct disk {
	struct guest g;
	struct fake_blk *fake;
};

struct disk_shape {
	uint64_t capacity;
	uint32_t block_bytes;
	bool read_only;
	bool pause_on_error; /* d->g.env.events is told */
};

/* A request in guest memory. */
struct disk_io {
	uint64_t header, data, status;
	uint32_t data_len;
};

/* Makes, plugs in; the driver is not up yet. */
void disk_init(struct disk *d, const struct disk_shape *shape);

/* Allocates a request with @data_len bytes of room. */
struct disk_io disk_io_new(struct disk *d, uint32_t data_len);

/* Offers it on @queue and notifies; data goes to the device unless @type reads. Returns the head.
 */
uint16_t disk_offer(struct disk *d, unsigned queue, const struct disk_io *io, uint32_t type,
		    uint64_t sector);

/* Offers on queue 0, runs the loop, reaps; returns the status byte, *@len the used length. */
int disk_do(struct disk *d, const struct disk_io *io, uint32_t type, uint64_t sector,
	    uint32_t *len);

#endif
