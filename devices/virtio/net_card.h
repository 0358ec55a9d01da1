/* Shared by the parts of virtio-net: net.c (device, control queue), net_rx.c and net_tx.c. */
#ifndef SARANG_VIRTIO_NET_CARD_H
#define SARANG_VIRTIO_NET_CARD_H

#include "net/net.h"
#include "virtio/nap.h"
#include "virtio/net.h"
#include "virtio/vhost.h"
#include "virtio/virtio.h"

/* 5.1.4 */
struct virtio_net_config {
	uint8_t mac[NET_MAC_BYTES];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};

_Static_assert(sizeof(struct virtio_net_config) == 12, "virtio 1.2, 5.1.4");

enum {
	VNET_LINK_UP = 1, /* in status */
	VNET_QUEUES_MAX = 2 * VIRTIO_NET_PAIRS_MAX + 1,
};

/*
 * Receiving. Buffers of the driver's are taken as frames need them and kept until they are filled;
 * what a frame leaves over serves the next one. All under vd.lock, on the card's loop.
 */
struct vnet_rx {
	struct virtq_chain *held[VIRTIO_NET_QUEUE_SIZE];
	unsigned held_count;
	size_t held_bytes;
	struct net_header header;
	struct iovec iov[NET_IOV_MAX]; /* as lent to the back-end */
	size_t lent_bytes;             /* for a frame, in guest memory; the spill comes after */
	/* A frame that is longer than the buffers there were: its rest is in the spill. */
	size_t waiting_len; /* the whole frame; 0: there is none */
	struct loop_timer overdue;
	uint8_t spill[NET_FRAME_MAX];
};

struct vnet_tx {
	struct virtq_chain *refused; /* by a busy back-end; NULL: none */
	struct net_header header;
	struct iovec *rest; /* of @refused, without the header */
	int rest_count;
};

struct vnet {
	struct virtio_device vd;
	struct loop_thread *thread; /* NULL: the loop is the caller's */
	struct net *net;
	struct virtio_net_config config;
	unsigned pairs;        /* that there are */
	unsigned active_pairs; /* that the driver uses; under vd.lock */
	uint64_t features;     /* that the back-end was told of; the card's loop's */
	struct vnet_rx rx;
	struct vnet_tx tx[VIRTIO_NET_PAIRS_MAX];
	struct iovec tx_iov[NET_IOV_MAX];
	/* Looking at the queues, see net_tx.c; the card's loop's. */
	struct loop_hook hook;
	/* The host's kernel serves the pairs, not we; handed over now or not; under vd.change. */
	bool vhost, handed_over;
	unsigned kernel_queues; /* the card's loop's: those before the control queue */
	struct vhost vhosts[VIRTIO_NET_PAIRS_MAX];
	unsigned awake; /* bit per pair: its queue sends no notifications */
	struct nap nap;
	struct nap_look look; /* what came since the last */
	struct loop_timer nap_end;
	struct log_limit limit;
};

/* 5.1.2: receiveq1, transmitq1, receiveq2 ... */
#define VNET_RX_QUEUE           0
#define VNET_TX_QUEUE(pair)     (2 * (pair) + 1)
#define VNET_IS_RX_QUEUE(queue) (!((queue)&1))

/* Tells the back-end of the features, once the driver has agreed to some. On the card's loop,
 * between virtio_serve_begin and virtio_serve_end. */
void vnet_settle_features(struct vnet *card);

/* net_rx.c: what the back-end calls. */
bool vnet_rx_open(void *opaque);
int vnet_rx_begin(void *opaque, size_t len, struct iovec **iov);
void vnet_rx_end(void *opaque, size_t len);
void vnet_rx_close(void *opaque);
/* The driver has given buffers (or reset the card): goes on with what waited. */
void vnet_rx_notify(struct vnet *card);
/* Forgets buffers and the frame that waited. Under vd.lock. */
void vnet_rx_forget(struct vnet *card);
void vnet_rx_init(struct vnet *card);

/* net_tx.c. Naps are at most @nap_max_ns long. */
void vnet_tx_init(struct vnet *card, uint64_t nap_max_ns);
/* Sends what the driver offers on @pair. */
void vnet_tx_serve(struct vnet *card, unsigned pair);
/* The loop is about to wait: see struct loop_hook. */
bool vnet_tx_before_wait(void *opaque);

#endif
