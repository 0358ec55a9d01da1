/* A guest's virtio driver for tests: see driver.h. */
#include "driver.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void irq_count(struct irq_line *line)
{
	atomic_fetch_add(&container_of(line, struct guest_irq, line)->count, 1);
}

static void irq_level(struct irq_line *line, bool level)
{
	(void)line;
	(void)level;
	abort(); /* virtio-mmio here is edge-triggered */
}

static const struct irq_ops irq_ops = {.set = irq_level, .pulse = irq_count};

void guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	must(!gmem_new(&g->mem, NULL) && !gmem_add(g->mem, 0, GUEST_RAM_BYTES, NULL));
	must(!bus_new(&g->bus, NULL) && !loop_new(&g->loop, NULL));
	g->env = (struct device_env){.mem = g->mem, .bus = g->bus, .loop = g->loop};
	g->irq.line = (struct irq_line){.ops = &irq_ops, .gsi = 5};
	g->place = (struct device_place){.irq = &g->irq.line, .base = {GUEST_DEV_BASE}};
	g->brk = 0x1000;
}

void guest_plug(struct guest *g, struct device *dev)
{
	g->dev = dev;
	must(!device_map(dev, NULL) && !device_start(dev, NULL));
}

static int bell_add(void *opaque, const struct doorbell *bell)
{
	struct guest_bells *bells = opaque;

	if (bells->refuse)
		return bells->refuse;
	must(bell->addr == GUEST_DEV_BASE + VIRTIO_MMIO_QUEUE_NOTIFY && bell->size == 4);
	must(bell->match < GUEST_QUEUES && !(bells->present & (1u << bell->match)));
	bells->present |= 1u << bell->match;
	bells->fds[bell->match] = bell->fd;
	bells->added++;
	return 0;
}

static void bell_remove(void *opaque, const struct doorbell *bell)
{
	struct guest_bells *bells = opaque;

	must(bells->present & (1u << bell->match) && bells->fds[bell->match] == bell->fd);
	bells->present &= ~(1u << bell->match);
	bells->removed++;
}

static const struct doorbell_ops bell_ops = {.add = bell_add, .remove = bell_remove};

void guest_catch_doorbells(struct guest *g, struct guest_bells *bells)
{
	memset(bells, 0, sizeof(*bells));
	bus_set_doorbells(g->bus, &bell_ops, bells);
}

void guest_free(struct guest *g)
{
	device_stop(g->dev);
	device_destroy(g->dev);
	loop_free(g->loop);
	bus_free(g->bus);
	gmem_free(g->mem);
}

void guest_run(struct guest *g)
{
	int i;

	/* Long enough for the longest chain of causes in a device; each round is cheap. */
	for (i = 0; i < 12; i++)
		loop_run_once(g->loop, 0);
}

uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align)
{
	uint64_t gpa = align_up(g->brk, align);

	must(gpa + len <= GUEST_RAM_BYTES);
	g->brk = gpa + len;
	return gpa;
}

void *guest_at(const struct guest *g, uint64_t gpa, uint64_t len)
{
	void *host = gmem_ptr(g->mem, gpa, len);

	must(host);
	return host;
}

uint32_t guest_reg(const struct guest *g, uint64_t reg)
{
	return (uint32_t)bus_read(g->bus, BUS_MMIO, GUEST_DEV_BASE + reg, 4);
}

void guest_set_reg(const struct guest *g, uint64_t reg, uint32_t value)
{
	bus_write(g->bus, BUS_MMIO, GUEST_DEV_BASE + reg, 4, value);
}

bool guest_negotiate(struct guest *g, uint64_t features)
{
	uint8_t status = VIRTIO_ACKNOWLEDGE;

	g->features = features | 1ull << VIRTIO_F_VERSION_1;
	guest_set_reg(g, VIRTIO_MMIO_STATUS, 0);
	guest_set_reg(g, VIRTIO_MMIO_STATUS, status);
	status |= VIRTIO_DRIVER;
	guest_set_reg(g, VIRTIO_MMIO_STATUS, status);
	guest_set_reg(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	guest_set_reg(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)g->features);
	guest_set_reg(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	guest_set_reg(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(g->features >> 32));
	status |= VIRTIO_FEATURES_OK;
	guest_set_reg(g, VIRTIO_MMIO_STATUS, status);
	return guest_reg(g, VIRTIO_MMIO_STATUS) & VIRTIO_FEATURES_OK;
}

static void set_address(const struct guest *g, uint64_t reg, uint64_t gpa)
{
	guest_set_reg(g, reg, (uint32_t)gpa);
	guest_set_reg(g, reg + 4, (uint32_t)(gpa >> 32));
}

void guest_setup_queue(struct guest *g, unsigned queue, uint16_t size)
{
	struct guest_queue *q = &g->queues[queue];
	uint16_t i;

	must(size <= GUEST_DESCS);
	memset(q, 0, sizeof(*q));
	q->size = size;
	q->desc = guest_alloc(g, 16ull * size, 16);
	q->avail = guest_alloc(g, 6 + 2ull * size, 2);
	q->used = guest_alloc(g, 6 + 8ull * size, 4);
	for (i = 0; i < size; i++)
		q->free[q->free_count++] = (uint16_t)(size - 1 - i);
	gmem_zero(g->mem, q->avail, 6 + 2ull * size);
	gmem_zero(g->mem, q->used, 6 + 8ull * size);
	guest_set_reg(g, VIRTIO_MMIO_QUEUE_SEL, queue);
	guest_set_reg(g, VIRTIO_MMIO_QUEUE_SIZE, size);
	set_address(g, VIRTIO_MMIO_QUEUE_DESC_LOW, q->desc);
	set_address(g, VIRTIO_MMIO_QUEUE_DRIVER_LOW, q->avail);
	set_address(g, VIRTIO_MMIO_QUEUE_DEVICE_LOW, q->used);
	guest_set_reg(g, VIRTIO_MMIO_QUEUE_READY, 1);
	must(guest_reg(g, VIRTIO_MMIO_QUEUE_READY) == 1);
}

void guest_driver_ok(const struct guest *g)
{
	guest_set_reg(g, VIRTIO_MMIO_STATUS,
		      VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

void guest_bring_up(struct guest *g, uint64_t features, unsigned queues, uint16_t size)
{
	unsigned i;

	must(guest_negotiate(g, features));
	for (i = 0; i < queues; i++)
		guest_setup_queue(g, i, size);
	guest_driver_ok(g);
}

void guest_desc(const struct guest *g, unsigned queue, uint16_t index, struct virtq_desc desc)
{
	struct virtq_desc raw = {
		.addr = htole64(desc.addr),
		.len = htole32(desc.len),
		.flags = htole16(desc.flags),
		.next = htole16(desc.next),
	};

	must(!gmem_write(g->mem, g->queues[queue].desc + 16ull * index, &raw, sizeof(raw)));
}

static _Atomic uint16_t *ring16(const struct guest *g, uint64_t gpa)
{
	return guest_at(g, gpa, 2);
}

void guest_set_avail_idx(struct guest *g, unsigned queue, uint16_t idx)
{
	g->queues[queue].avail_idx = idx;
	atomic_store(ring16(g, g->queues[queue].avail + 2), htole16(idx));
}

void guest_offer(struct guest *g, unsigned queue, uint16_t head)
{
	struct guest_queue *q = &g->queues[queue];

	atomic_store(ring16(g, q->avail + 4 + 2ull * (q->avail_idx & (q->size - 1))),
		     htole16(head));
	guest_set_avail_idx(g, queue, (uint16_t)(q->avail_idx + 1));
}

uint16_t guest_add(struct guest *g, unsigned queue, const struct guest_buf *bufs, unsigned count)
{
	struct guest_queue *q = &g->queues[queue];
	uint16_t head;
	unsigned i;

	must(count && count <= q->free_count);
	head = q->free[q->free_count - 1];
	for (i = 0; i < count; i++) {
		uint16_t index = q->free[--q->free_count];
		struct virtq_desc d = {.addr = bufs[i].addr, .len = bufs[i].len};

		if (bufs[i].write)
			d.flags |= VIRTQ_DESC_WRITE;
		if (i + 1 < count) {
			d.flags |= VIRTQ_DESC_NEXT;
			d.next = q->free[q->free_count - 1];
		}
		guest_desc(g, queue, index, d);
	}
	guest_offer(g, queue, head);
	return head;
}

unsigned guest_free_descs(const struct guest *g, unsigned queue)
{
	return g->queues[queue].free_count;
}

void guest_kick(const struct guest *g, unsigned queue)
{
	guest_set_reg(g, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

int guest_reap(struct guest *g, unsigned queue, uint32_t *len)
{
	struct guest_queue *q = &g->queues[queue];
	uint16_t idx = le16toh(atomic_load(ring16(g, q->used + 2))), index;
	struct virtq_desc d;
	uint32_t elem[2];

	if (idx == q->used_seen)
		return -1;
	must(!gmem_read(g->mem, q->used + 4 + 8ull * (q->used_seen & (q->size - 1)), elem,
			sizeof(elem)));
	q->used_seen++;
	*len = le32toh(elem[1]);
	index = (uint16_t)le32toh(elem[0]);
	do {
		must(index < q->size && q->free_count < q->size);
		must(!gmem_read(g->mem, q->desc + 16ull * index, &d, sizeof(d)));
		q->free[q->free_count++] = index;
		index = le16toh(d.next);
	} while (le16toh(d.flags) & VIRTQ_DESC_NEXT);
	return (int)le32toh(elem[0]);
}

void guest_set_used_event(const struct guest *g, unsigned queue, uint16_t event)
{
	const struct guest_queue *q = &g->queues[queue];

	atomic_store(ring16(g, q->avail + 4 + 2ull * q->size), htole16(event));
}

uint16_t guest_avail_event(const struct guest *g, unsigned queue)
{
	const struct guest_queue *q = &g->queues[queue];

	return le16toh(atomic_load(ring16(g, q->used + 4 + 8ull * q->size)));
}
