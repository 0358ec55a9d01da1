/* The plan of a machine: see plan.h. */
#include "arch/plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct plan_device *plan_add(struct plan *plan, struct err *e, const char *id_fmt, ...)
{
	struct plan_device *planned;
	va_list args;

	if (plan->count == PLAN_DEVICES_MAX) {
		err_set(e, ENOSPC, "a machine has at most %d devices", PLAN_DEVICES_MAX);
		return NULL;
	}
	planned = &plan->devices[plan->count++];
	memset(planned, 0, sizeof(*planned));
	planned->gsi = PLAN_NO_IRQ;
	va_start(args, id_fmt);
	vsnprintf(planned->id, sizeof(planned->id), id_fmt, args);
	va_end(args);
	return planned;
}

void plan_add_region(struct plan_device *planned, enum bus_space space, uint64_t base, uint64_t len)
{
	planned->base[planned->region_count] = base;
	planned->regions[planned->region_count] =
		(struct device_region){.space = space, .len = len};
	planned->region_count++;
}

int plan_add_chips(struct plan *plan, const struct plan_chip *chips, size_t count, struct err *e)
{
	const struct plan_chip *chip;

	for (chip = chips; chip < chips + count; chip++) {
		struct plan_device *planned = plan_add(plan, e, "%s", chip->id);

		if (!planned)
			return e->code;
		snprintf(planned->detail, sizeof(planned->detail), "%s", chip->detail);
		if (chip->mmio)
			plan_add_region(planned, BUS_MMIO, chip->mmio, chip->len);
		if (chip->port)
			plan_add_region(planned, BUS_PIO, chip->port, chip->len);
		planned->gsi = chip->gsi;
		planned->pulsed = chip->pulsed;
		planned->flags = chip->flags;
		planned->create = chip->create;
	}
	return 0;
}
