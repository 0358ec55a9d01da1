/*
 * virtio-net, towards the guest: virtio 1.2, sections 5.1.6.3 and 5.1.6.4.
 *
 * The back-end reads a frame straight into guest memory. Unless it says how long that is, the
 * iovecs lent to it are
 *
 *     header (ours) | buffers of the driver's, for a frame of the usual size | spill (ours)
 *
 * and mostly the spill stays empty. A frame that reaches into it waits there until the driver gives
 * more buffers; then its rest is copied behind what lies in guest memory already. With
 * MRG_RXBUF a frame takes as many buffers as it needs and its header counts them; without, it has
 * one, and a frame that is too long for that is lost, as on a card.
 *
 * Nothing here can stall for good: wherever there are too few buffers, notifications are asked for
 * and the ring is looked at again after that; a frame that no buffers come for is given up after a
 * second, in case the driver's whole ring is too small for it.
 */
#include <endian.h>
#include <string.h>

#include "base/util.h"
#include "virtio/net_card.h"

#define OVERDUE_NS 1000000000ull

static bool mergeable(const struct vnet *card)
{
	return virtio_has_feature(&card->vd, VIRTIO_NET_F_MRG_RXBUF);
}

/* The longest frame that is to be expected: what buffers are taken for beforehand. */
static size_t usual_frame_max(const struct vnet *card)
{
	unsigned mtu = card->net->info.mtu_bytes ? card->net->info.mtu_bytes : 1500;

	if (card->net->offloads & (NET_RX_TSO4 | NET_RX_TSO6))
		return NET_FRAME_MAX;
	return MIN((size_t)mtu + NET_ETHERNET_BYTES + NET_VLAN_BYTES, (size_t)NET_FRAME_MAX);
}

/* Takes one buffer of the driver's; false: it offers none. */
static bool hold_buffer(struct vnet *card)
{
	struct vnet_rx *rx = &card->rx;
	struct virtq_chain *chain;

	if (!virtio_pop(&card->vd, VNET_RX_QUEUE, &chain))
		return false;
	if (chain->in_bytes < sizeof(struct net_header)) {
		virtio_break(&card->vd, VNET_RX_QUEUE, CHAIN_SHORT);
		return false;
	}
	rx->held[rx->held_count++] = chain;
	rx->held_bytes += chain->in_bytes;
	return true;
}

/* Takes buffers for a frame of @len bytes; returns whether they suffice. When they do not, the
 * driver will notify. */
static bool hold_buffers(struct vnet *card, size_t len)
{
	struct virtq *q = &card->vd.queues[VNET_RX_QUEUE].live;
	struct vnet_rx *rx = &card->rx;
	size_t wanted = sizeof(struct net_header) + len;
	unsigned max = mergeable(card) ? VIRTIO_NET_QUEUE_SIZE : 1;

	do {
		while (rx->held_bytes < wanted && rx->held_count < max && hold_buffer(card))
			;
		if (rx->held_bytes >= wanted || rx->held_count == max)
			break;
	} while (virtq_notify_enable(q));
	return rx->held_bytes >= wanted;
}

/* Copies @len bytes to @at in the buffers held, the header being at 0. They have room. */
static void copy_to_held(struct vnet_rx *rx, size_t at, const void *bytes, size_t len)
{
	const char *from = bytes;
	unsigned i;
	int j;

	for (i = 0; i < rx->held_count && len; i++) {
		const struct virtq_chain *chain = rx->held[i];

		for (j = chain->out_count; j < chain->out_count + chain->in_count && len; j++) {
			const struct iovec *v = &chain->iov[j];
			size_t n = v->iov_len > at ? MIN(v->iov_len - at, len) : 0;

			if (n)
				memcpy((char *)v->iov_base + at, from, n);
			at -= MIN(at, v->iov_len);
			from += n;
			len -= n;
		}
	}
}

/* Gives the driver a frame of @len bytes that lies in the buffers held behind room for a header. */
static void deliver(struct vnet *card, size_t len)
{
	struct vnet_rx *rx = &card->rx;
	size_t left = sizeof(struct net_header) + len;
	unsigned used = 0, i;

	for (; left; used++)
		left -= MIN(left, (size_t)rx->held[used]->in_bytes);
	net_header_restrict(&rx->header, card->net->offloads);
	rx->header.num_buffers = htole16((uint16_t)used);
	copy_to_held(rx, 0, &rx->header, sizeof(rx->header));
	left = sizeof(struct net_header) + len;
	for (i = 0; i < used; i++) {
		size_t n = MIN(left, (size_t)rx->held[i]->in_bytes);

		left -= n;
		rx->held_bytes -= rx->held[i]->in_bytes;
		virtio_push(&card->vd, VNET_RX_QUEUE, rx->held[i], (uint32_t)n);
	}
	rx->held_count -= used;
	memmove(rx->held, rx->held + used, rx->held_count * sizeof(*rx->held));
}

static void stop_waiting(struct vnet *card)
{
	card->rx.waiting_len = 0;
	loop_timer_cancel(card->vd.loop, &card->rx.overdue);
}

/* Delivers the frame that waits for buffers, when there are enough; false: it still waits. */
static bool finish_waiting(struct vnet *card)
{
	struct vnet_rx *rx = &card->rx;

	if (!rx->waiting_len)
		return true;
	if (hold_buffers(card, rx->waiting_len)) {
		copy_to_held(rx, sizeof(struct net_header) + rx->lent_bytes, rx->spill,
			     rx->waiting_len - rx->lent_bytes);
		deliver(card, rx->waiting_len);
	} else if (rx->held_count < card->vd.queues[VNET_RX_QUEUE].config.size) {
		return false;
	}
	/* Delivered; or the driver has no buffer left that it could add. */
	stop_waiting(card);
	return true;
}

/* The buffers held as iovecs, as many as @len bytes need, behind the header's; the spill is the
 * last. */
static int make_iov(struct vnet_rx *rx, size_t len)
{
	size_t skip = sizeof(struct net_header);
	int count = 1, j;
	unsigned i;

	rx->header = (struct net_header){0};
	rx->iov[0] = (struct iovec){&rx->header, sizeof(rx->header)};
	rx->lent_bytes = 0;
	for (i = 0; i < rx->held_count && rx->lent_bytes < len; i++) {
		const struct virtq_chain *chain = rx->held[i];

		for (j = chain->out_count; j < chain->out_count + chain->in_count; j++) {
			size_t n = MIN(skip, chain->iov[j].iov_len);

			skip -= n;
			if (chain->iov[j].iov_len == n)
				continue;
			if (count == NET_IOV_MAX - 1)
				goto out;
			rx->iov[count].iov_base = (char *)chain->iov[j].iov_base + n;
			rx->iov[count].iov_len = chain->iov[j].iov_len - n;
			rx->lent_bytes += rx->iov[count++].iov_len;
		}
	}
out:
	rx->iov[count++] = (struct iovec){rx->spill, sizeof(rx->spill)};
	return count;
}

bool vnet_rx_open(void *opaque)
{
	struct vnet *card = opaque;

	if (virtio_serve_begin(&card->vd)) {
		vnet_settle_features(card);
		return true;
	}
	virtio_serve_end(&card->vd);
	return false;
}

void vnet_rx_close(void *opaque)
{
	struct vnet *card = opaque;

	virtio_serve_end(&card->vd);
}

int vnet_rx_begin(void *opaque, size_t len, struct iovec **iov)
{
	struct vnet *card = opaque;

	if (!finish_waiting(card))
		return 0;
	(void)hold_buffers(card, len ? len : usual_frame_max(card));
	if (!card->rx.held_count || atomic_load(&card->vd.broken))
		return 0;
	*iov = card->rx.iov;
	return make_iov(&card->rx, len ? len : NET_FRAME_MAX);
}

void vnet_rx_end(void *opaque, size_t len)
{
	struct vnet *card = opaque;
	struct vnet_rx *rx = &card->rx;

	if (!len || len > NET_FRAME_MAX)
		return;
	card->look.received++;
	/* What it says to that must not wait. */
	loop_timer_cancel(card->vd.loop, &card->nap_end);
	if (len <= rx->lent_bytes) {
		deliver(card, len);
	} else if (mergeable(card)) {
		rx->waiting_len = len;
		loop_timer_arm(card->vd.loop, &rx->overdue, OVERDUE_NS);
		(void)finish_waiting(card);
	}
}

void vnet_rx_notify(struct vnet *card)
{
	bool go_on = false;

	if (virtio_serve_begin(&card->vd)) {
		vnet_settle_features(card);
		go_on = finish_waiting(card);
	}
	virtio_serve_end(&card->vd);
	if (go_on)
		net_rx_resume(card->net);
}

static void give_up_waiting(void *opaque)
{
	struct vnet *card = opaque;

	(void)virtio_serve_begin(&card->vd);
	/* Nothing waits any more where the driver has reset the card since. */
	if (card->rx.waiting_len)
		log_limited(&card->limit, LOG_INFO,
			    "%s: a frame of %zu bytes is lost: the guest gives no buffers for it",
			    card->vd.id, card->rx.waiting_len);
	card->rx.waiting_len = 0;
	virtio_serve_end(&card->vd);
	net_rx_resume(card->net);
}

void vnet_rx_forget(struct vnet *card)
{
	/* The timer is the loop's, which this is not: without a frame it does nothing. */
	card->rx.held_count = 0;
	card->rx.held_bytes = 0;
	card->rx.waiting_len = 0;
}

void vnet_rx_init(struct vnet *card)
{
	card->rx.overdue = (struct loop_timer){.fired = give_up_waiting, .opaque = card};
}
