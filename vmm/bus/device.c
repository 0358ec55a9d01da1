/* What all devices share: see device.h. */
#include "bus/device.h"

#include <stdio.h>

void device_init(struct device *dev, const struct device_class *class, const struct device_env *env,
		 const struct device_place *place, const char *id)
{
	dev->class = class;
	dev->env = env;
	dev->place = *place;
	snprintf(dev->id, sizeof(dev->id), "%s", id);
}

int device_map(struct device *dev, struct err *e)
{
	const struct device_class *class = dev->class;
	unsigned i;
	int ret;

	for (i = 0; i < class->region_count; i++) {
		struct bus_region region = {
			.space = class->regions[i].space,
			.base = dev->place.base[i],
			.len = class->regions[i].len,
			.ops = class->regions[i].ops,
			.opaque = dev,
			.name = dev->id,
		};

		ret = bus_add(dev->env->bus, &region, e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int device_start(struct device *dev, struct err *e)
{
	return dev->class->start ? dev->class->start(dev, e) : 0;
}

void device_stop(struct device *dev)
{
	if (dev->class->stop)
		dev->class->stop(dev);
}

void device_reset(struct device *dev)
{
	if (dev->class->reset)
		dev->class->reset(dev);
}

void device_retry(struct device *dev)
{
	if (dev->class->retry)
		dev->class->retry(dev);
}

void device_destroy(struct device *dev)
{
	if (dev)
		dev->class->destroy(dev);
}
