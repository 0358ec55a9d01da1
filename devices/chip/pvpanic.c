/*
 * pvpanic: see pvpanic.h. Stateless. Register accesses on vCPU threads.
 *
 * A guest whose own crash kernel takes over (PVPANIC_CRASH_LOADED) goes on running: that is logged,
 * and does not end the machine.
 */
#include "chip/pvpanic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "tables/aml.h"
#include "tables/fdt.h"

struct pvpanic {
	struct device dev;
	struct log_limit limit;
};

static uint64_t pvpanic_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pvpanic *pvpanic = opaque;
	struct machine_events *events = pvpanic->dev.env->events;

	(void)offset;
	(void)size;
	if (value & PVPANIC_PANICKED)
		events->raise(events, MACHINE_GUEST_PANICKED, "pvpanic");
	else if (value & PVPANIC_CRASH_LOADED)
		log_limited(&pvpanic->limit, LOG_WARN,
			    "%s: the guest crashed and starts its own crash kernel",
			    pvpanic->dev.id);
}

/* The pvpanic specification: QEMU0001 with the port. */
static void pvpanic_describe_acpi(const struct device *dev, struct aml *aml)
{
	aml_begin_scope(aml, "\\_SB");
	aml_begin_device(aml, "PEVT");
	aml_name_string(aml, "_HID", "QEMU0001");
	aml_name_int(aml, "_STA", 0xf);
	aml_begin_crs(aml);
	aml_res_io(aml, (uint16_t)dev->place.base[0], PVPANIC_REGION_LEN);
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

/* Linux: the compatible that drivers/misc/pvpanic/pvpanic-mmio.c knows. */
static int pvpanic_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "pvpanic@%llx", (unsigned long long)dev->place.base[0]);
	fdtb_text(fdt, "compatible", "qemu,pvpanic-mmio");
	fdtb_reg(fdt, dev->place.base[0], PVPANIC_REGION_LEN);
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

/* The same with ports, on an ISA bus: the driver takes either. */
static int pvpanic_describe_isa(const struct device *dev, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "pvpanic@%llx", (unsigned long long)dev->place.base[0]);
	fdtb_text(fdt, "compatible", "qemu,pvpanic-mmio");
	fdtb_ports(fdt, (uint32_t)dev->place.base[0], PVPANIC_REGION_LEN);
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void pvpanic_destroy(struct device *dev)
{
	free(dev);
}

static const struct bus_region_ops pvpanic_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
	.sizes = 1,
};

static const struct device_class pvpanic_class = {
	.name = "pvpanic",
	.region_count = 1,
	.regions = {{.space = BUS_PIO, .len = PVPANIC_REGION_LEN, .ops = &pvpanic_ops}},
	.describe_acpi = pvpanic_describe_acpi,
	.describe_fdt = pvpanic_describe_isa,
	.destroy = pvpanic_destroy,
};

static const struct device_class pvpanic_mmio_class = {
	.name = "pvpanic-mmio",
	.region_count = 1,
	.regions = {{.space = BUS_MMIO, .len = PVPANIC_REGION_LEN, .ops = &pvpanic_ops}},
	.describe_fdt = pvpanic_describe_fdt,
	.destroy = pvpanic_destroy,
};

static int make(const struct device_class *class, const struct device_env *env,
		const struct device_place *place, const struct pvpanic_settings *settings,
		struct device **out, struct err *e)
{
	struct pvpanic *pvpanic = calloc(1, sizeof(*pvpanic));

	if (!pvpanic)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&pvpanic->dev, class, env, place, settings->id);
	snprintf(pvpanic->dev.detail, sizeof(pvpanic->dev.detail), "panic notification");
	*out = &pvpanic->dev;
	return 0;
}

int pvpanic_new(const struct device_env *env, const struct device_place *place,
		const struct pvpanic_settings *settings, struct device **out, struct err *e)
{
	return make(&pvpanic_class, env, place, settings, out, e);
}

int pvpanic_mmio_new(const struct device_env *env, const struct device_place *place,
		     const struct pvpanic_settings *settings, struct device **out, struct err *e)
{
	return make(&pvpanic_mmio_class, env, place, settings, out, e);
}
