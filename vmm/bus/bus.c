/* The buses: see bus.h. One sorted array a space, searched by bisection; no state that changes at
 * run time. */
#include "bus/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define BUS_SPACES 2

struct bus {
	struct bus_region *regions; /* sorted by space, then base */
	unsigned count;
	const struct doorbell_ops *doorbells;
	void *doorbells_opaque;
};

int bus_new(struct bus **out, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : err_set(e, ENOMEM, "out of memory");
}

void bus_free(struct bus *bus)
{
	if (!bus)
		return;
	free(bus->regions);
	free(bus);
}

static const char *space_name(enum bus_space space)
{
	return space == BUS_PIO ? "ports" : "memory";
}

static _Bool regions_overlap(const struct bus_region *a, const struct bus_region *b)
{
	return a->space == b->space && a->base < b->base + b->len && b->base < a->base + a->len;
}

int bus_add(struct bus *bus, const struct bus_region *region, struct err *e)
{
	uint64_t end, limit = region->space == BUS_PIO ? 0x10000 : UINT64_MAX;
	struct bus_region *grown;
	unsigned i;

	if (!region->len || !add_u64(region->base, region->len, &end) || end > limit)
		return err_set(e, EINVAL, "%s does not fit into %s at 0x%llx", region->name,
			       space_name(region->space), (unsigned long long)region->base);
	for (i = 0; i < bus->count; i++)
		if (regions_overlap(&bus->regions[i], region))
			return err_set(e, EEXIST, "%s and %s overlap at 0x%llx", region->name,
				       bus->regions[i].name, (unsigned long long)region->base);
	grown = realloc(bus->regions, (bus->count + 1) * sizeof(*grown));
	if (!grown)
		return err_set(e, ENOMEM, "out of memory");
	bus->regions = grown;
	for (i = 0; i < bus->count; i++)
		if (region->space < grown[i].space ||
		    (region->space == grown[i].space && region->base < grown[i].base))
			break;
	memmove(&grown[i + 1], &grown[i], (bus->count - i) * sizeof(*grown));
	grown[i] = *region;
	bus->count++;
	return 0;
}

const struct bus_region *bus_region_at(const struct bus *bus, unsigned index)
{
	return index < bus->count ? &bus->regions[index] : NULL;
}

/* The region that takes all of the access, or NULL. */
static const struct bus_region *find(const struct bus *bus, enum bus_space space, uint64_t addr,
				     unsigned size)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const struct bus_region *r = &bus->regions[mid];

		if (r->space < space || (r->space == space && r->base + (r->len - 1) < addr))
			low = mid + 1;
		else
			high = mid;
	}
	if (low < bus->count) {
		const struct bus_region *r = &bus->regions[low];

		/* Exactly one of the sizes: KVM hands out 3 bytes where an access crosses a page.
		 */
		if (r->space == space && addr >= r->base &&
		    range_inside(addr - r->base, size, r->len) && (r->ops->sizes & size) &&
		    !(size & (size - 1)))
			return r;
	}
	return NULL;
}

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t addr, unsigned size)
{
	const struct bus_region *r = find(bus, space, addr, size);
	uint64_t value = UINT64_MAX;

	if (r && r->ops->read)
		value = r->ops->read(r->opaque, addr - r->base, size);
	return value & size_mask(size);
}

void bus_write(struct bus *bus, enum bus_space space, uint64_t addr, unsigned size, uint64_t value)
{
	const struct bus_region *r = find(bus, space, addr, size);

	if (r && r->ops->write)
		r->ops->write(r->opaque, addr - r->base, size, value & size_mask(size));
}

void bus_set_doorbells(struct bus *bus, const struct doorbell_ops *ops, void *opaque)
{
	bus->doorbells = ops;
	bus->doorbells_opaque = opaque;
}

int bus_doorbell_add(struct bus *bus, const struct doorbell *bell)
{
	return bus->doorbells ? bus->doorbells->add(bus->doorbells_opaque, bell) : -ENOTSUP;
}

void bus_doorbell_remove(struct bus *bus, const struct doorbell *bell)
{
	if (bus->doorbells)
		bus->doorbells->remove(bus->doorbells_opaque, bell);
}
