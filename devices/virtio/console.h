/* virtio-console: one port (/dev/hvc0). Virtio 1.2, section 5.3. See console.c. */
#ifndef SARANG_VIRTIO_CONSOLE_H
#define SARANG_VIRTIO_CONSOLE_H

#include "base/err.h"
#include "bus/device.h"

struct chr; /* char/chr.h */

struct virtio_console_settings {
	const char *id; /* "console0" */
	/* Borrowed: attached to the main loop; not closed here, and calls nobody once the device is
	 * stopped and its loop does not run. */
	struct chr *chr;
};

/* Makes it on a virtio-mmio transport at @place, served by the main loop. 0 or -errno. */
int virtio_console_new(const struct device_env *env, const struct device_place *place,
		       const struct virtio_console_settings *settings, struct device **out,
		       struct err *e);

#endif
