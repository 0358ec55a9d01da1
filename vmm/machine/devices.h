/* The constructors of configured devices, as the plan names them: see arch/plan.h. */
#ifndef SARANG_MACHINE_DEVICES_H
#define SARANG_MACHINE_DEVICES_H

#include "arch/plan.h"

int machine_create_disk(const struct build_parts *parts, const struct plan_device *planned,
			const struct device_place *place, struct device **out, struct err *e);
int machine_create_net(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e);
int machine_create_hvc(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e);
int machine_create_rng(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e);

#endif
