/* The virtio-blk driver of blk.h. */
#include "blk.h"

/* Three descriptors a request: header, data, status. Slot n has n * 3 and the two behind it. */
enum { DESCS_PER_SLOT = 3 };

#define PATIENCE_TICKS 60000000000ull /* some 20 s */

static struct {
	struct {
		uint32_t type;
		uint32_t reserved;
		uint64_t sector;
	} header[BLK_DEPTH_MAX];
	volatile uint8_t status[BLK_DEPTH_MAX];
} shared;

void blk_start(struct blk *b, const struct start_info *start, unsigned depth)
{
	uint64_t base = option_u64("blk", 0);
	uint64_t config;

	if (!depth || depth > BLK_DEPTH_MAX)
		panic("option depth= takes 1 to %d", BLK_DEPTH_MAX);
	if (!is_ram(start, BLK_BUFFERS_BASE, (uint64_t)depth * BLK_BUFFER_BYTES))
		panic("%u buffers need %u MiB of memory", depth,
		      (BLK_BUFFERS_BASE + depth * BLK_BUFFER_BYTES) >> 20);
	if (!base)
		base = virtio_find(VIRTIO_ID_BLOCK);
	if (!base)
		panic("there is no virtio-blk device, and none is named by blk=ADDRESS");
	virtio_start(&b->virtio, base,
		     1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_FLUSH |
			     1ull << VIRTIO_F_EVENT_IDX);
	if (b->virtio.size < depth * DESCS_PER_SLOT)
		panic("a queue of %u is too small for depth=%u", b->virtio.size, depth);
	config = base + VIRTIO_MMIO_CONFIG;
	b->capacity_bytes =
		(mmio_read32(config) | (uint64_t)mmio_read32(config + 4) << 32) * BLK_SECTOR_BYTES;
	b->depth = depth;
	for (unsigned i = 0; i < depth; i++)
		b->slots[i] = (struct blk_slot){
			.buffer = (uint8_t *)(uint64_t)(BLK_BUFFERS_BASE + i * BLK_BUFFER_BYTES),
		};
}

struct blk_slot *blk_free_slot(struct blk *b)
{
	for (unsigned i = 0; i < b->depth; i++) {
		if (!b->slots[i].busy)
			return &b->slots[i];
	}
	return NULL;
}

void blk_submit(struct blk *b, struct blk_slot *slot)
{
	unsigned n = (unsigned)(slot - b->slots);
	uint16_t head = (uint16_t)(n * DESCS_PER_SLOT);
	uint16_t status = (uint16_t)(head + 2);
	struct virtq_desc *desc = b->virtio.desc;
	uint16_t after_header = slot->op == BLK_FLUSH ? status : (uint16_t)(head + 1);

	shared.header[n].type = slot->op;
	shared.header[n].sector = slot->offset_bytes / BLK_SECTOR_BYTES;
	shared.status[n] = 0xff;
	desc[head] = (struct virtq_desc){(uint64_t)&shared.header[n], sizeof(shared.header[n]),
					 VIRTQ_DESC_NEXT, after_header};
	desc[head + 1] =
		(struct virtq_desc){(uint64_t)slot->buffer, slot->len_bytes,
				    VIRTQ_DESC_NEXT | (slot->op == BLK_READ ? VIRTQ_DESC_WRITE : 0),
				    status};
	desc[status] = (struct virtq_desc){(uint64_t)&shared.status[n], 1, VIRTQ_DESC_WRITE, 0};
	slot->busy = true;
	slot->started_ticks = ticks();
	virtio_offer(&b->virtio, head);
}

struct blk_slot *blk_completed(struct blk *b)
{
	struct blk_slot *slot;
	uint32_t head;

	if (!virtio_poll(&b->virtio, &head))
		return NULL;
	if (head % DESCS_PER_SLOT || head / DESCS_PER_SLOT >= b->depth)
		panic("the device returns descriptor %u, which heads no chain", head);
	slot = &b->slots[head / DESCS_PER_SLOT];
	if (!slot->busy)
		panic("the device returns descriptor %u twice", head);
	if (shared.status[head / DESCS_PER_SLOT] != 0)
		panic("%s of %u bytes at %lu failed with status %u",
		      slot->op == BLK_READ    ? "read"
		      : slot->op == BLK_WRITE ? "write"
					      : "flush",
		      slot->len_bytes, slot->offset_bytes, shared.status[head / DESCS_PER_SLOT]);
	slot->busy = false;
	return slot;
}

struct blk_slot *blk_wait(struct blk *b)
{
	uint64_t start = ticks();

	for (;;) {
		struct blk_slot *slot = blk_completed(b);

		if (slot)
			return slot;
		if (ticks() - start > PATIENCE_TICKS)
			panic("the device does not complete a request");
		relax();
	}
}
