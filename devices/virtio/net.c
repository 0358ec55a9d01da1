/*
 * virtio-net, the front-end of a network card: virtio 1.2, section 5.1. Behind it is a struct net.
 *
 * Queue pairs (receive, transmit) and a control queue. One thread serves all queues of a card and
 * its back-end, so that what belongs to one card needs no lock against itself; vd.lock is against
 * the vCPUs that configure it. The two directions are net_rx.c and net_tx.c.
 *
 * What is offered depends on the back-end: checksums and segmentation are left to the other side
 * only where it can carry them. The header is always twelve bytes (VERSION_1, no HASH_REPORT).
 */
#include "virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "virtio/mmio.h"
#include "virtio/net_card.h"

/* 5.1.6.5 */
enum {
	CTRL_MQ = 4,
	CTRL_MQ_PAIRS_SET = 0,
	CTRL_OK = 0,
	CTRL_ERR = 1,
};

/* Which feature stands for which offload. */
static const struct {
	enum net_offload offload;
	enum virtio_feature feature;
} offload_features[] = {
	{NET_TX_CSUM, VIRTIO_NET_F_CSUM},       {NET_TX_TSO4, VIRTIO_NET_F_HOST_TSO4},
	{NET_TX_TSO6, VIRTIO_NET_F_HOST_TSO6},  {NET_RX_CSUM, VIRTIO_NET_F_GUEST_CSUM},
	{NET_RX_TSO4, VIRTIO_NET_F_GUEST_TSO4}, {NET_RX_TSO6, VIRTIO_NET_F_GUEST_TSO6},
};

static struct vnet *from_vd(struct virtio_device *vd)
{
	return container_of(vd, struct vnet, vd);
}

void vnet_settle_features(struct vnet *card)
{
	unsigned offloads = 0;
	size_t i;

	if (card->features == card->vd.accepted)
		return;
	card->features = card->vd.accepted;
	for (i = 0; i < ARRAY_SIZE(offload_features); i++)
		if (virtio_has_feature(&card->vd, offload_features[i].feature))
			offloads |= offload_features[i].offload;
	/* 5.1.3.1: a driver that breaks these rules gets what the rules leave it. */
	if (!(offloads & NET_TX_CSUM))
		offloads &= ~(unsigned)(NET_TX_TSO4 | NET_TX_TSO6);
	if (!(offloads & NET_RX_CSUM))
		offloads &= ~(unsigned)(NET_RX_TSO4 | NET_RX_TSO6);
	net_set_offloads(card->net, offloads);
}

/* ---- the control queue ---- */

static unsigned control_queue(const struct vnet *card)
{
	return virtio_has_feature(&card->vd, VIRTIO_NET_F_MQ) ? 2 * card->pairs : 2;
}

/* Does what the chain says; returns the acknowledgement. */
static uint8_t control(struct vnet *card, struct virtq_chain *chain)
{
	struct {
		uint8_t class;
		uint8_t command;
		uint16_t pairs;
	} request;
	struct iovec *iov = chain->iov;
	int count = chain->out_count;
	unsigned pairs;

	if (chain->out_bytes != sizeof(request))
		return CTRL_ERR;
	iov_take_front(&iov, &count, &request, sizeof(request));
	pairs = le16toh(request.pairs);
	if (request.class != CTRL_MQ || request.command != CTRL_MQ_PAIRS_SET || !pairs ||
	    pairs > card->pairs || !virtio_has_feature(&card->vd, VIRTIO_NET_F_MQ))
		return CTRL_ERR;
	card->active_pairs = pairs;
	net_set_queues(card->net, pairs);
	return CTRL_OK;
}

static void serve_control(struct vnet *card, unsigned queue)
{
	struct virtio_device *vd = &card->vd;
	struct virtq_chain *chain;
	unsigned count = 0;

	if (virtio_serve_begin(vd) && queue == control_queue(card)) {
		do {
			while (count < VIRTIO_NET_QUEUE_SIZE && virtio_pop(vd, queue, &chain)) {
				uint8_t ack;

				if (!chain->in_bytes) {
					virtio_break(vd, queue, CHAIN_SHORT);
					break;
				}
				ack = control(card, chain);
				*(uint8_t *)chain->iov[chain->out_count].iov_base = ack;
				virtio_push(vd, queue, chain, 1);
				count++;
			}
		} while (count < VIRTIO_NET_QUEUE_SIZE &&
			 virtq_notify_enable(&vd->queues[queue].live));
		if (count == VIRTIO_NET_QUEUE_SIZE)
			virtio_ring(vd, queue);
	}
	virtio_serve_end(vd);
}

/* ---- what the transport calls ---- */

static void vnet_notify(struct virtio_device *vd, unsigned queue)
{
	struct vnet *card = from_vd(vd);

	if (queue < card->kernel_queues)
		return;
	if (queue == VNET_RX_QUEUE)
		vnet_rx_notify(card);
	else if (!VNET_IS_RX_QUEUE(queue))
		vnet_tx_serve(card, queue / 2);
	else
		serve_control(card, queue);
}

static void vnet_queue_closed(struct virtio_device *vd, unsigned queue)
{
	struct vnet *card = from_vd(vd);

	if (queue == VNET_RX_QUEUE)
		vnet_rx_forget(card);
	else if (!VNET_IS_RX_QUEUE(queue))
		card->tx[queue / 2].refused = NULL;
	card->active_pairs = 1;
}

/* ---- with vhost ---- */

static struct vhost_job job_of(struct vnet *card, unsigned pair)
{
	return (struct vhost_job){
		.vd = &card->vd,
		.first = 2 * pair,
		.tap_fd = card->net->ops->tap_fd(card->net, pair),
		.call_fd = card->vd.transport->call_fd(&card->vd),
	};
}

static bool is_open(const struct vnet *card, unsigned pair)
{
	return virtq_is_open(&card->vd.queues[2 * pair].live) &&
	       virtq_is_open(&card->vd.queues[2 * pair + 1].live);
}

/* The kernel is told by the queues' bells; nobody else needs to listen for them. */
static void leave_bells(void *opaque)
{
	struct vnet *card = opaque;
	unsigned i;

	if (virtio_serve_begin(&card->vd)) {
		vnet_settle_features(card);
		net_set_queues(card->net, card->active_pairs);
		card->kernel_queues = control_queue(card);
	}
	virtio_serve_end(&card->vd);
	for (i = 0; i < 2 * card->pairs; i++)
		loop_del_fd(card->vd.loop, &card->vd.queues[i].bell);
	/* Without MQ it is one that would be a pair's. */
	(void)loop_add_fd(card->vd.loop, &card->vd.queues[card->kernel_queues].bell);
}

static void vnet_hand_over(struct virtio_device *vd)
{
	struct vnet *card = from_vd(vd);
	unsigned i;
	int ret = 0;

	if (!card->vhost)
		return;
	loop_call(vd->loop, leave_bells, card);
	for (i = 0; i < card->pairs && !ret; i++) {
		struct vhost_job job = job_of(card, i);

		if (is_open(card, i))
			ret = vhost_begin(&card->vhosts[i], &job);
	}
	card->handed_over = true;
	atomic_store(&vd->isr_elsewhere, VIRTIO_CAUSE_USED);
	if (ret < 0) {
		(void)virtio_serve_begin(vd);
		virtio_give_up(vd, "the host's kernel does not take its queues over");
		virtio_serve_end(vd);
	}
}

static void vnet_quiesce(struct virtio_device *vd)
{
	struct vnet *card = from_vd(vd);
	unsigned i;

	for (i = 0; card->handed_over && i < card->pairs; i++) {
		struct vhost_job job = job_of(card, i);

		vhost_end(&card->vhosts[i], &job);
	}
	card->handed_over = false;
	atomic_store(&vd->isr_elsewhere, 0);
}

/* ---- what the back-end calls ---- */

static void tx_ready(void *opaque)
{
	struct vnet *card = opaque;
	unsigned i;

	for (i = 0; i < card->pairs; i++)
		vnet_tx_serve(card, i);
}

static void link_changed(void *opaque, bool up)
{
	struct vnet *card = opaque;

	(void)virtio_serve_begin(&card->vd);
	card->config.status = htole16(up ? VNET_LINK_UP : 0);
	virtio_config_changed(&card->vd);
	virtio_serve_end(&card->vd);
}

/* ---- start, stop, an end ---- */

struct starting {
	struct vnet *card;
	struct err *e;
	int ret;
};

static void start_on_loop(void *opaque)
{
	struct starting *starting = opaque;
	const struct net_client client = {
		.rx_open = vnet_rx_open,
		.rx_begin = vnet_rx_begin,
		.rx_end = vnet_rx_end,
		.rx_close = vnet_rx_close,
		.tx_ready = tx_ready,
		.link_changed = link_changed,
		.opaque = starting->card,
	};

	/* What the kernel serves is not read here. */
	if (starting->card->vhost)
		return;
	starting->ret = net_start(starting->card->net, &client, starting->e);
	if (!starting->ret)
		loop_add_hook(starting->card->vd.loop, &starting->card->hook);
}

static int vnet_start(struct virtio_device *vd, struct err *e)
{
	struct starting starting = {.card = from_vd(vd), .e = e};

	loop_call(vd->loop, start_on_loop, &starting);
	return starting.ret;
}

static void stop_on_loop(void *opaque)
{
	struct vnet *card = opaque;

	loop_del_hook(card->vd.loop, &card->hook);
	card->awake = 0;
	if (!card->vhost)
		net_stop(card->net);
	loop_timer_cancel(card->vd.loop, &card->rx.overdue);
	loop_timer_cancel(card->vd.loop, &card->nap_end);
}

static void vnet_stop(struct virtio_device *vd)
{
	loop_call(vd->loop, stop_on_loop, from_vd(vd));
}

static void close_on_loop(void *opaque)
{
	struct vnet *card = opaque;

	net_close(card->net);
	card->net = NULL;
}

/* Frees what is there; the virtio part is not. One that was lent and not taken over stays open. */
static void free_card(struct vnet *card)
{
	unsigned i;

	if (card->thread && card->net)
		loop_call(loop_thread_loop(card->thread), close_on_loop, card);
	loop_thread_free(card->thread);
	for (i = 0; i < VIRTIO_NET_PAIRS_MAX; i++)
		vhost_close(&card->vhosts[i]);
	free(card);
}

static void vnet_destroy(struct virtio_device *vd)
{
	struct vnet *card = from_vd(vd);

	loop_call(vd->loop, close_on_loop, card);
	virtio_fini(vd);
	free_card(card);
}

static const struct virtio_ops vnet_ops = {
	.device_id = VIRTIO_ID_NET,
	.queue_size = VIRTIO_NET_QUEUE_SIZE,
	.doorbells = true,
	.start = vnet_start,
	.stop = vnet_stop,
	.notify = vnet_notify,
	.hand_over = vnet_hand_over,
	.quiesce = vnet_quiesce,
	.queue_closed = vnet_queue_closed,
	.destroy = vnet_destroy,
};

/* ---- construction ---- */

static void describe_card(struct vnet *card, const uint8_t mac[NET_MAC_BYTES])
{
	const struct net_info *info = &card->net->info;
	struct virtio_device *vd = &card->vd;
	size_t i;

	memcpy(card->config.mac, mac, NET_MAC_BYTES);
	card->config.status = htole16(info->link_up ? VNET_LINK_UP : 0);
	card->config.max_virtqueue_pairs = htole16((uint16_t)card->pairs);
	card->config.mtu = htole16(info->mtu_bytes);
	virtio_offer(vd, VIRTIO_NET_F_MAC);
	virtio_offer(vd, VIRTIO_NET_F_STATUS);
	virtio_offer(vd, VIRTIO_NET_F_MRG_RXBUF);
	virtio_offer(vd, VIRTIO_NET_F_CTRL_VQ);
	if (info->mtu_bytes)
		virtio_offer(vd, VIRTIO_NET_F_MTU);
	if (card->pairs > 1)
		virtio_offer(vd, VIRTIO_NET_F_MQ);
	for (i = 0; i < ARRAY_SIZE(offload_features); i++)
		if (info->offloads & offload_features[i].offload)
			virtio_offer(vd, offload_features[i].feature);
}

struct opening {
	const struct net_options *options;
	struct vnet *card;
	struct err *e;
	int ret;
};

static void open_on_loop(void *opaque)
{
	struct opening *o = opaque;

	o->ret = net_open(o->options, loop_thread_loop(o->card->thread), &o->card->net, o->e);
}

static int open_vhosts(struct vnet *card, const char *id, struct irq_line *irq, struct err *e)
{
	unsigned i;
	int ret = 0;

	if (!card->net->ops->tap_fd || !irq || irq_fd(irq) < 0)
		return err_set(e, ENOTSUP,
			       "%s: vhost=on needs a tap device, and interrupts that the host's "
			       "kernel can raise",
			       id);
	for (i = 0; i < card->pairs && !ret; i++)
		ret = vhost_open(&card->vhosts[i], id, e);
	return ret;
}

/* Gives @card its back-end: opened on a thread of its own, or the one that was passed in. */
static int attach(struct vnet *card, const struct virtio_net_settings *settings, struct err *e)
{
	struct opening opening = {.options = settings->options, .card = card, .e = e};
	int ret;

	if (!settings->options) {
		card->net = settings->net;
		return 0;
	}
	ret = loop_thread_new(&card->thread, settings->id, e);
	if (ret < 0)
		return ret;
	loop_call(loop_thread_loop(card->thread), open_on_loop, &opening);
	return opening.ret;
}

int virtio_net_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_net_settings *settings, struct device **out, struct err *e)
{
	struct vnet *card = calloc(1, sizeof(*card));
	struct virtio_setup setup;
	unsigned i;
	int ret;

	if (!card)
		return err_set(e, ENOMEM, "out of memory");
	card->pairs = MIN(MAX(settings->pairs, 1u), (unsigned)VIRTIO_NET_PAIRS_MAX);
	card->active_pairs = 1;
	card->hook = (struct loop_hook){.before_wait = vnet_tx_before_wait, .opaque = card};
	card->vhost = settings->vhost;
	card->kernel_queues = card->vhost ? 2 : 0;
	for (i = 0; i < VIRTIO_NET_PAIRS_MAX; i++)
		card->vhosts[i].fd = -1;
	vnet_rx_init(card);
	vnet_tx_init(card, settings->nap_max_ns);
	ret = attach(card, settings, e);
	if (!ret && card->vhost)
		ret = open_vhosts(card, settings->id, place->irq, e);
	if (ret < 0)
		goto out_free;
	setup = (struct virtio_setup){
		.ops = &vnet_ops,
		.env = env,
		.loop = card->net->loop,
		.id = settings->id,
		.queue_count = 2 * card->pairs + 1,
		.config = &card->config,
		.config_bytes = sizeof(card->config),
	};
	ret = virtio_init(&card->vd, &setup, e);
	if (ret < 0)
		goto out_free;
	describe_card(card, settings->mac);
	ret = virtio_mmio_new(place, &card->vd, "virtio-net", out, e);
	if (ret < 0) {
		virtio_fini(&card->vd);
		goto out_free;
	}
	return 0;

out_free:
	free_card(card);
	return ret;
}
