/*
 * libFuzzer target: any sequence of register accesses and guest memory writes to a disk (fake
 * back-end) or an entropy device leaves a device that can be reset and brought up again.
 *
 * Input: byte 0 chooses the device and whether the driver is brought up first; then operations of 8
 * bytes: what, register or place, size, and a value. Guest memory starts as rings that a driver has
 * set up.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/virtio/driver.h"
#include "../unit/virtio/fake_blk.h"
#include "base/bytes.h"
#include "base/log.h"
#include "virtio/blk.h"
#include "virtio/rng.h"

#define OP_BYTES 8
#define OPS_MAX  200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void plug(struct guest *g, bool disk)
{
	struct virtio_blk_settings blk = {.id = "disk0", .queues = 2};
	struct virtio_rng_settings rng = {.id = "rng0"};
	struct device *dev;
	int ret;

	guest_init(g);
	if (disk)
		blk.blk = &fake_blk_new(g->loop, 1u << 16, 512)->blk;
	ret = disk ? virtio_blk_new(&g->env, &g->place, &blk, &dev, NULL)
		   : virtio_rng_new(&g->env, &g->place, &rng, &dev, NULL);
	if (ret < 0)
		abort();
	guest_plug(g, dev);
}

/* A place in what the driver has allocated: rings first, then buffers. */
static void poke(struct guest *g, const uint8_t *op)
{
	uint64_t gpa = 0x1000 + get_le16(op + 2) % 0x3000;

	if (gmem_write(g->mem, gpa, op + 4, op[1] % 4 + 1) < 0)
		abort();
}

/* A descriptor with addresses that make sense now and then, offered at once. */
static void offer(struct guest *g, const uint8_t *op)
{
	unsigned queue = op[1] % 2;
	struct guest_queue *q = &g->queues[queue];
	struct virtq_desc d = {
		.addr = 0x1000 + (uint64_t)op[4] * 64,
		.len = (uint32_t)op[5] * 4,
		.flags = op[6],
		.next = op[7],
	};

	if (!q->size)
		return;
	guest_desc(g, queue, op[2] % q->size, d);
	if (op[3] & 1)
		guest_offer(g, queue, op[2] % q->size);
	guest_kick(g, queue);
}

static void run_op(struct guest *g, const uint8_t *op)
{
	uint64_t at = GUEST_DEV_BASE + get_le16(op + 2) % 0x200;
	unsigned size = 1u << (op[1] % 4);

	switch (op[0] % 6) {
	case 0:
		bus_read(g->bus, BUS_MMIO, at, size);
		break;
	case 1:
		bus_write(g->bus, BUS_MMIO, at, size, get_le32(op + 4));
		break;
	case 2:
		bus_write(g->bus, BUS_MMIO, at & ~3ull, 4, get_le32(op + 4));
		break;
	case 3:
		poke(g, op);
		break;
	case 4:
		offer(g, op);
		break;
	case 5:
		loop_run_once(g->loop, 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct guest g;
	unsigned i;

	if (!len)
		return 0;
	log_set_level(LOG_ERROR);
	plug(&g, data[0] & 1);
	if (data[0] & 2)
		guest_bring_up(&g, data[0] & 4 ? 3ull << 28 : 0, data[0] & 1 ? 2 : 1, 8);
	for (i = 0; i < OPS_MAX && 1 + (i + 1) * OP_BYTES <= len; i++)
		run_op(&g, data + 1 + i * OP_BYTES);
	guest_run(&g);
	/* Whatever was done to it: a reset mends it. */
	guest_bring_up(&g, 0, 1, 8);
	if (guest_reg(&g, VIRTIO_MMIO_STATUS) != 15)
		abort();
	guest_free(&g);
	return 0;
}
