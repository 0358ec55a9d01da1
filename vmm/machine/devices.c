/* The constructors of configured devices: from a plan entry to the device it names. */
#include "machine/devices.h"

#include <string.h>

#include "base/util.h"
#include "machine/config.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/rng.h"

/* How long a disk's thread looks for the next request before it sleeps: about what a wake-up costs.
 */
#define DISK_POLL_MAX_NS 50000

int machine_create_disk(const struct build_parts *parts, const struct plan_device *planned,
			const struct device_place *place, struct device **out, struct err *e)
{
	const struct disk_config *disk = &parts->config->disks[planned->index];
	struct blk_options options = disk_config_options(disk);
	struct virtio_blk_settings settings = {
		.id = planned->id,
		.options = &options,
		.serial = disk->serial,
		.queues = MIN(parts->config->cpus, (unsigned)VIRTIO_BLK_QUEUES_MAX),
		.poll_max_ns = DISK_POLL_MAX_NS,
		.pause_on_error = disk->on_error && !strcmp(disk->on_error, "pause"),
	};

	return virtio_blk_new(parts->env, place, &settings, out, e);
}

int machine_create_hvc(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct virtio_console_settings settings = {.id = planned->id, .chr = parts->hvc};

	return virtio_console_new(parts->env, place, &settings, out, e);
}

int machine_create_rng(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct virtio_rng_settings settings = {.id = planned->id};

	return virtio_rng_new(parts->env, place, &settings, out, e);
}
