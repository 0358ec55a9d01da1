/* A guest with a virtio network card: see card.h. */
#include "card.h"

#include <stdlib.h>

const struct net_info card_plain = {.mtu_bytes = 1500, .link_up = true};
const struct net_info card_capable = {
	.offloads =
		NET_TX_CSUM | NET_TX_TSO4 | NET_TX_TSO6 | NET_RX_CSUM | NET_RX_TSO4 | NET_RX_TSO6,
	.link_up = true,
};

static void begin(struct card *c)
{
	size_t i;

	for (i = 0; i < sizeof(c->pattern); i++)
		c->pattern[i] = (uint8_t)(i * 7 + i / 251);
	guest_init(&c->g);
}

static void plug(struct card *c, const struct net_info *info, unsigned pairs, struct loop *loop)
{
	struct virtio_net_settings settings = {.id = "net0",
					       .mac = {0x52, 0x54, 0, 1, 2, 3},
					       .nap_max_ns = c->nap_max_ns,
					       .pairs = pairs};
	struct device *dev;

	c->fake = fake_net_new(loop, info);
	settings.net = &c->fake->net;
	if (virtio_net_new(&c->g.env, &c->g.place, &settings, &dev, NULL) < 0)
		abort();
	guest_plug(&c->g, dev);
}

void card_plug(struct card *c, const struct net_info *info, unsigned pairs)
{
	begin(c);
	plug(c, info, pairs, c->g.loop);
}

void card_plug_on(struct card *c, const struct net_info *info, struct loop *loop)
{
	begin(c);
	plug(c, info, 1, loop);
}

void card_up(struct card *c, const struct net_info *info, uint64_t features)
{
	card_plug(c, info, 1);
	guest_bring_up(&c->g, features | BIT(VIRTIO_F_EVENT_IDX), 3, 64);
	guest_run(&c->g);
}

uint64_t card_give(struct card *c, uint32_t len)
{
	uint64_t gpa = guest_alloc(&c->g, len, 16);

	guest_add(&c->g, RX, (struct guest_buf[]){{gpa, len, true}}, 1);
	return gpa;
}

void card_kick(struct card *c, unsigned queue)
{
	guest_kick(&c->g, queue);
	guest_run(&c->g);
}
