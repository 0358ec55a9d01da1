/*
 * virtio-net, from the guest: virtio 1.2, sections 5.1.6.1 and 5.1.6.2.
 *
 * A frame goes to the back-end as it lies in guest memory, its header as a checked copy. A back-end
 * that is busy refuses it: it is kept and offered again when the back-end has room, and the
 * driver's queue fills up meanwhile. A frame that makes no sense is lost, and its buffer given
 * back, like any other's: a driver that is wrong about one frame may be right about the next.
 *
 * A driver that sends frame after frame is not asked to notify of each: the card's thread looks at
 * the queues after naps (nap.h), or when the back-end is done with what it has.
 */
#include <string.h>

#include "base/util.h"
#include "virtio/net_card.h"

/* Takes the header off @chain; false: it is no frame. */
static bool begin_frame(struct vnet *card, struct vnet_tx *tx, struct virtq_chain *chain)
{
	size_t len;

	tx->rest = chain->iov;
	tx->rest_count = chain->out_count;
	if (chain->out_bytes < sizeof(tx->header))
		return false;
	len = chain->out_bytes - sizeof(tx->header);
	iov_take_front(&tx->rest, &tx->rest_count, &tx->header, sizeof(tx->header));
	return len >= NET_ETHERNET_BYTES && len <= NET_FRAME_MAX && tx->rest_count < NET_IOV_MAX &&
	       !net_header_check(&tx->header, len, card->net->offloads);
}

static enum net_tx_result send_frame(struct vnet *card, struct vnet_tx *tx)
{
	card->tx_iov[0] = (struct iovec){&tx->header, sizeof(tx->header)};
	memcpy(card->tx_iov + 1, tx->rest, (size_t)tx->rest_count * sizeof(*tx->rest));
	return net_tx(card->net, card->tx_iov, tx->rest_count + 1);
}

/* Sends the next frame of @queue; false: there is none, or it has to wait. */
static bool send_next(struct vnet *card, struct vnet_tx *tx, unsigned queue)
{
	struct virtq_chain *chain = tx->refused;

	if (!chain) {
		if (!virtio_pop(&card->vd, queue, &chain))
			return false;
		if (!begin_frame(card, tx, chain)) {
			log_limited(&card->limit, LOG_INFO,
				    "%s: the guest sends a frame that is none", card->vd.id);
			virtio_push(&card->vd, queue, chain, 0);
			return true;
		}
	}
	tx->refused = chain;
	if (send_frame(card, tx) == NET_TX_BUSY)
		return false;
	tx->refused = NULL;
	card->look.bytes += (uint64_t)chain->out_bytes;
	virtio_push(&card->vd, queue, chain, 0);
	return true;
}

void vnet_tx_serve(struct vnet *card, unsigned pair)
{
	struct virtio_device *vd = &card->vd;
	unsigned queue = VNET_TX_QUEUE(pair), count = 0;
	struct vnet_tx *tx = &card->tx[pair];

	if (virtio_serve_begin(vd)) {
		vnet_settle_features(card);
		virtq_notify_disable(&vd->queues[queue].live);
		/* Others get their turn when all that the queue can hold has been sent. */
		while (count < VIRTIO_NET_QUEUE_SIZE && send_next(card, tx, queue))
			count++;
		/* With one refused, the back-end's room comes before the driver's next frame. */
		if (tx->refused)
			card->awake &= ~(1u << pair);
		else if (count == VIRTIO_NET_QUEUE_SIZE)
			virtio_ring(vd, queue);
		else
			card->awake |= 1u << pair;
		card->look.sent += count;
	}
	virtio_serve_end(vd);
}

/* Asks for notifications again; returns whether a queue was offered something meanwhile. */
static bool fall_asleep(struct vnet *card)
{
	unsigned i, awake = 0;

	if (virtio_serve_begin(&card->vd))
		for (i = 0; i < card->pairs; i++)
			if ((card->awake & (1u << i)) &&
			    virtq_notify_enable(&card->vd.queues[VNET_TX_QUEUE(i)].live))
				awake |= 1u << i;
	virtio_serve_end(&card->vd);
	card->awake = awake;
	return awake;
}

bool vnet_tx_before_wait(void *opaque)
{
	struct vnet *card = opaque;
	struct nap_look look;
	uint64_t nap_ns;
	unsigned i;

	if (!card->awake || card->nap_end.armed)
		return false;
	for (i = 0; i < card->pairs; i++)
		if (card->awake & (1u << i))
			vnet_tx_serve(card, i);
	look = card->look;
	look.now_ns = loop_now_ns();
	card->look = (struct nap_look){0};
	nap_ns = nap_next(&card->nap, &look);
	if (nap_ns) {
		loop_timer_arm(card->vd.loop, &card->nap_end, nap_ns);
		return false;
	}
	/* What comes meanwhile is found, all at once, when the host's side is done with what it
	 * has. */
	return card->awake && !net_tx_busy(card->net) && fall_asleep(card);
}

/* The loop looks at the queues before it waits again. */
static void nap_ended(void *opaque)
{
	(void)opaque;
}

void vnet_tx_init(struct vnet *card, uint64_t nap_max_ns)
{
	card->nap.max_ns = nap_max_ns;
	card->nap_end = (struct loop_timer){.fired = nap_ended, .opaque = card};
}
