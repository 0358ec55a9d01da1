/* A guest with a virtio disk on a fake back-end: see disk.h. */
#include "disk.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/blk.h"

void disk_init(struct disk *d, const struct disk_shape *shape)
{
	struct virtio_blk_settings settings = {.id = "disk0",
					       .serial = "serial-0123456789-too-long",
					       .queues = 2};
	struct device *dev;

	guest_init(&d->g);
	d->fake = fake_blk_new(d->g.loop, shape->capacity, shape->block_bytes);
	d->fake->blk.info.read_only = shape->read_only;
	settings.blk = &d->fake->blk;
	settings.pause_on_error = shape->pause_on_error;
	if (virtio_blk_new(&d->g.env, &d->g.place, &settings, &dev, NULL) < 0)
		abort();
	guest_plug(&d->g, dev);
}

struct disk_io disk_io_new(struct disk *d, uint32_t data_len)
{
	return (struct disk_io){
		.header = guest_alloc(&d->g, 16, 16),
		.data = guest_alloc(&d->g, data_len ? data_len : 1, 16),
		.status = guest_alloc(&d->g, 1, 1),
		.data_len = data_len,
	};
}

uint16_t disk_offer(struct disk *d, unsigned queue, const struct disk_io *io, uint32_t type,
		    uint64_t sector)
{
	struct virtio_blk_req_header header = {.type = htole32(type), .sector = htole64(sector)};
	bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	struct guest_buf bufs[3] = {{io->header, 16, false}};
	unsigned count = 1;
	uint16_t head;

	if (io->data_len)
		bufs[count++] = (struct guest_buf){io->data, io->data_len, reads};
	bufs[count++] = (struct guest_buf){io->status, 1, true};
	memcpy(guest_at(&d->g, io->header, 16), &header, 16);
	*(uint8_t *)guest_at(&d->g, io->status, 1) = 0xee;
	head = guest_add(&d->g, queue, bufs, count);
	guest_kick(&d->g, queue);
	return head;
}

int disk_do(struct disk *d, const struct disk_io *io, uint32_t type, uint64_t sector, uint32_t *len)
{
	uint32_t used = UINT32_MAX;

	disk_offer(d, 0, io, type, sector);
	guest_run(&d->g);
	if (guest_reap(&d->g, 0, &used) < 0)
		return -1;
	if (len)
		*len = used;
	return *(uint8_t *)guest_at(&d->g, io->status, 1);
}
