/* A guest with a virtio network card on a fake back-end. */
#ifndef SARANG_TESTS_VIRTIO_CARD_H
#define SARANG_TESTS_VIRTIO_CARD_H

#include "driver.h"
#include "fake_net.h"
#include "virtio/net.h"

#define BIT(n) (1ull << (n))
#define RX     0
#define TX     1
#define CTRL   2
#define HDR    sizeof(struct net_header)

struct card {
	struct guest g;
	struct fake_net *fake;
	uint64_t nap_max_ns;            /* to be set before */
	uint8_t pattern[NET_FRAME_MAX]; /* what frames are made of */
};

extern const struct net_info card_plain;   /* no offloads, an MTU of 1500 */
extern const struct net_info card_capable; /* all offloads, no MTU */

/* Makes it with that many queue pairs and plugs it in; the driver is not up yet. */
void card_plug(struct card *c, const struct net_info *info, unsigned pairs);

/* With one pair, and its back-end on @loop, which somebody else runs. */
void card_plug_on(struct card *c, const struct net_info *info, struct loop *loop);

/* As card_plug with one pair, and the driver up with @features and EVENT_IDX. */
void card_up(struct card *c, const struct net_info *info, uint64_t features);

/* Gives the device a buffer to receive into; returns where it is. */
uint64_t card_give(struct card *c, uint32_t len);

/* Notifies, and runs the loop until all is done. */
void card_kick(struct card *c, unsigned queue);

#endif
