/* The virtio-mmio driver of virtio.h. */
#include "virtio.h"

/* Registers, virtio 1.2 section 4.2.2. */
enum {
	REG_VERSION = 0x04,
	REG_DEVICE_ID = 0x08,
	REG_DEVICE_FEATURES = 0x10,
	REG_DEVICE_FEATURES_SEL = 0x14,
	REG_DRIVER_FEATURES = 0x20,
	REG_DRIVER_FEATURES_SEL = 0x24,
	REG_QUEUE_SEL = 0x30,
	REG_QUEUE_NUM_MAX = 0x34,
	REG_QUEUE_NUM = 0x38,
	REG_QUEUE_READY = 0x44,
	REG_STATUS = 0x70,
	REG_QUEUE_DESC = 0x80,
	REG_QUEUE_DRIVER = 0x90,
	REG_QUEUE_DEVICE = 0xa0,
};

enum {
	STATUS_ACKNOWLEDGE = 1,
	STATUS_DRIVER = 2,
	STATUS_DRIVER_OK = 4,
	STATUS_FEATURES_OK = 8,
};

enum { MAGIC = 0x74726976, AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

static struct virtq_desc desc_ring[VIRTQ_SIZE_MAX] __attribute__((aligned(16)));
static volatile struct virtq_avail avail_ring __attribute__((aligned(2)));
static volatile struct virtq_used used_ring __attribute__((aligned(4)));

uint64_t virtio_find(uint32_t id)
{
	for (uint64_t slot = 0; slot < VIRTIO_MMIO_SLOTS; slot++) {
		uint64_t base = VIRTIO_MMIO_BASE + slot * VIRTIO_MMIO_STEP;

		if (mmio_read32(base + VIRTIO_MMIO_MAGIC) == MAGIC &&
		    mmio_read32(base + REG_DEVICE_ID) == id)
			return base;
	}
	return 0;
}

static void negotiate(struct virtio *v, uint64_t wanted)
{
	uint64_t offered;

	mmio_write32(v->base + REG_DEVICE_FEATURES_SEL, 1);
	offered = (uint64_t)mmio_read32(v->base + REG_DEVICE_FEATURES) << 32;
	mmio_write32(v->base + REG_DEVICE_FEATURES_SEL, 0);
	offered |= mmio_read32(v->base + REG_DEVICE_FEATURES);

	v->features = offered & (wanted | 1ull << VIRTIO_F_VERSION_1);
	if (!virtio_has(v, VIRTIO_F_VERSION_1))
		panic("the device at %lx does not offer VIRTIO_F_VERSION_1", v->base);
	mmio_write32(v->base + REG_DRIVER_FEATURES_SEL, 1);
	mmio_write32(v->base + REG_DRIVER_FEATURES, (uint32_t)(v->features >> 32));
	mmio_write32(v->base + REG_DRIVER_FEATURES_SEL, 0);
	mmio_write32(v->base + REG_DRIVER_FEATURES, (uint32_t)v->features);

	mmio_write32(v->base + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if (!(mmio_read32(v->base + REG_STATUS) & STATUS_FEATURES_OK))
		panic("the device at %lx refuses features %lx", v->base, v->features);
}

static void write_address(uint64_t reg, const volatile void *ring)
{
	mmio_write32(reg, (uint32_t)(uint64_t)ring);
	mmio_write32(reg + 4, (uint32_t)((uint64_t)ring >> 32));
}

static void set_up_queue(struct virtio *v)
{
	uint32_t max;

	mmio_write32(v->base + REG_QUEUE_SEL, 0);
	max = mmio_read32(v->base + REG_QUEUE_NUM_MAX);
	if (!max)
		panic("the device at %lx has no queue 0", v->base);
	v->size = max < VIRTQ_SIZE_MAX ? (uint16_t)max : VIRTQ_SIZE_MAX;
	v->desc = desc_ring;
	v->avail = &avail_ring;
	v->used = &used_ring;
	/* With EVENT_IDX the flag is to stay 0, and used_event does its work: see virtio_poll. */
	if (!virtio_has(v, VIRTIO_F_EVENT_IDX))
		v->avail->flags = AVAIL_NO_INTERRUPT;
	mmio_write32(v->base + REG_QUEUE_NUM, v->size);
	write_address(v->base + REG_QUEUE_DESC, v->desc);
	write_address(v->base + REG_QUEUE_DRIVER, v->avail);
	write_address(v->base + REG_QUEUE_DEVICE, v->used);
	mmio_write32(v->base + REG_QUEUE_READY, 1);
}

/* The event fields stand behind a ring of v->size elements, which may be smaller than the struct's.
 */
static volatile uint16_t *used_event(struct virtio *v)
{
	return &v->avail->ring[v->size];
}

static volatile uint16_t *avail_event(struct virtio *v)
{
	return (volatile uint16_t *)&v->used->ring[v->size];
}

void virtio_start(struct virtio *v, uint64_t base, uint64_t wanted)
{
	*v = (struct virtio){.base = base};
	if (mmio_read32(base + VIRTIO_MMIO_MAGIC) != MAGIC)
		panic("there is no virtio-mmio device at %lx", base);
	if (mmio_read32(base + REG_VERSION) != 2)
		panic("the virtio-mmio device at %lx is not of version 2", base);
	mmio_write32(base + REG_STATUS, 0);
	while (mmio_read32(base + REG_STATUS))
		relax();
	mmio_write32(base + REG_STATUS, STATUS_ACKNOWLEDGE);
	mmio_write32(base + REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	negotiate(v, wanted);
	set_up_queue(v);
	*used_event(v) = (uint16_t)-1;
	mmio_write32(base + REG_STATUS,
		     STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

void virtio_offer(struct virtio *v, uint16_t head)
{
	v->avail->ring[v->avail_idx % v->size] = head;
	v->avail_idx++;
}

void virtio_kick(struct virtio *v)
{
	uint16_t old = v->kicked_idx;
	uint16_t new = v->avail_idx;

	if (new == old)
		return;
	/* The ring's contents before its index: x86 keeps stores in order, the compiler has to be
	 * told. */
	__asm__ volatile("" ::: "memory");
	v->avail->idx = new;
	v->kicked_idx = new;
	/* The index before reading what the device wants: the one order x86 does not keep by
	 * itself. */
	__asm__ volatile("mfence" ::: "memory");
	if (virtio_has(v, VIRTIO_F_EVENT_IDX)) {
		/* Did the index pass avail_event on its way from @old to @new? All modulo 2^16. */
		if ((uint16_t)(new - *avail_event(v) - 1) >= (uint16_t)(new - old))
			return;
	} else if (v->used->flags & USED_NO_NOTIFY) {
		return;
	}
	v->kicks++;
	mmio_write32(v->base + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

bool virtio_poll(struct virtio *v, uint32_t *head)
{
	if (v->used->idx == v->used_idx)
		return false;
	__asm__ volatile("" ::: "memory");
	*head = v->used->ring[v->used_idx % v->size].id;
	/* "Interrupt me when you pass this one", said of one just passed: not before 65535 more. */
	*used_event(v) = v->used_idx++;
	return true;
}
