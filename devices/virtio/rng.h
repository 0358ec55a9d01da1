/* virtio-rng: entropy from the host's getrandom. Virtio 1.2, section 5.4. See rng.c. */
#ifndef SARANG_VIRTIO_RNG_H
#define SARANG_VIRTIO_RNG_H

#include "base/err.h"
#include "bus/device.h"

struct virtio_rng_settings {
	const char *id; /* "rng0" */
};

/* Makes it on a virtio-mmio transport at @place, served by the main loop. 0 or -errno. */
int virtio_rng_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_rng_settings *settings, struct device **out, struct err *e);

#endif
