/* virtio-net: a network card. Virtio 1.2, section 5.1. See net.c. */
#ifndef SARANG_VIRTIO_NET_H
#define SARANG_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/device.h"

struct net;         /* net/net.h */
struct net_options; /* net/net.h */

#define VIRTIO_NET_PAIRS_MAX  4
#define VIRTIO_NET_QUEUE_SIZE 256

struct virtio_net_settings {
	const char *id; /* "net0": the device's id and its thread's name */
	/*
	 * What to open, on a thread of the device's own. NULL: @net is served instead, on the loop
	 * that it is attached to and that the caller runs; the device owns it once virtio_net_new
	 * has succeeded.
	 */
	const struct net_options *options;
	struct net *net;
	uint8_t mac[6];
	/*
	 * The longest a frame of the guest's may be left lying for others to come, and only while
	 * it sends one after the other; 0: never.
	 */
	uint64_t nap_max_ns;
	/* Of queues, 1 to VIRTIO_NET_PAIRS_MAX. Frames are received on the first, but with vhost.
	 */
	unsigned pairs;
	bool vhost; /* the host's kernel serves the queues: tap devices only */
};

/* Makes the card on a virtio-mmio transport at @place. 0, or -errno with net_open's sentence. */
int virtio_net_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_net_settings *settings, struct device **out, struct err *e);

#endif
