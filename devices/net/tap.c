/*
 * A tap device: an Ethernet interface of the host's whose other end is the guest's card. Linux's
 * Documentation/networking/tuntap.rst and <linux/if_tun.h>.
 *
 * Its frames carry the same header as the card's (IFF_VNET_HDR, little-endian, twelve bytes), so
 * checksums and segmentation are left to whoever can do them best, up to the real network card:
 * what a frame's header says goes through us as it is.
 *
 * On the card's loop.
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "net/net.h"
#include "net/tap_device.h"

#define ROUND 64

struct net_tap;

/* One of the device's queues: a descriptor. */
struct tap_queue {
	struct net_tap *tap;
	struct loop_fd source;
	bool detached; /* the interface gives it no frames */
};

struct net_tap {
	struct net net;
	unsigned count;
	/* All are read; frames are sent on the first. */
	struct tap_queue queues[NET_TAP_QUEUES_MAX];
	bool rx_stalled, tx_blocked;
};

static struct net_tap *from_net(struct net *net)
{
	return container_of(net, struct net_tap, net);
}

static void watch(struct net_tap *tap)
{
	unsigned i;

	for (i = 0; i < tap->count; i++) {
		struct loop_fd *source = &tap->queues[i].source;
		uint32_t events = (tap->rx_stalled ? 0 : (uint32_t)EPOLLIN) |
				  (tap->tx_blocked && i == 0 ? (uint32_t)EPOLLOUT : 0);

		if (source->watched && source->events != events)
			loop_mod_fd(tap->net.loop, source, events);
	}
}

static void unwatch(struct net_tap *tap)
{
	unsigned i;

	for (i = 0; i < tap->count; i++)
		loop_del_fd(tap->net.loop, &tap->queues[i].source);
}

/* The interface was removed under us: the cable is out for good. */
static void lose_device(struct net_tap *tap, int errnum)
{
	bool was_blocked = tap->tx_blocked;

	log_limited(&tap->net.limit, LOG_WARN, "%s: its tap device is gone: %s", tap->net.id,
		    strerror(errnum));
	unwatch(tap);
	tap->tx_blocked = false;
	net_link_changed(&tap->net, false);
	/* What waited for room is sent, and lost, now. */
	if (was_blocked)
		net_tx_ready(&tap->net);
}

/* One frame to the guest. 1: taken; 0: none, or no buffers; else -errno: the device is gone. */
static int receive_frame(struct net_tap *tap, int fd)
{
	struct iovec *iov;
	int count = net_rx_begin(&tap->net, &iov);
	ssize_t len;

	if (!count) {
		tap->rx_stalled = true;
		return 0;
	}
	len = readv(fd, iov, count);
	net_rx_end(&tap->net, len > (ssize_t)sizeof(struct net_header)
				      ? (size_t)len - sizeof(struct net_header)
				      : 0);
	if (len >= 0)
		return 1;
	return errno == EBADFD || errno == ENODEV ? -errno : 0;
}

static void receive(struct net_tap *tap, int fd)
{
	int i, ret = 1;

	if (!net_rx_open(&tap->net)) {
		tap->rx_stalled = true;
		watch(tap);
		return;
	}
	for (i = 0; i < ROUND && ret > 0; i++)
		ret = receive_frame(tap, fd);
	net_rx_close(&tap->net);
	if (ret < 0)
		lose_device(tap, -ret);
	else
		watch(tap);
}

static void tap_ready(void *opaque, uint32_t events)
{
	struct tap_queue *queue = opaque;
	struct net_tap *tap = queue->tap;

	if ((events & EPOLLOUT) && tap->tx_blocked) {
		tap->tx_blocked = false;
		net_tx_ready(&tap->net);
		watch(tap);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		receive(tap, queue->source.fd);
}

static enum net_tx_result tap_tx(struct net *net, const struct iovec *iov, int count)
{
	struct net_tap *tap = from_net(net);

	/* An interface that is down, or a frame that the host does not like: lost, as on a wire. */
	if (writev(tap->queues[0].source.fd, iov, count) >= 0 || errno != EAGAIN ||
	    !tap->queues[0].source.watched)
		return NET_TX_DONE;
	tap->tx_blocked = true;
	watch(tap);
	return NET_TX_BUSY;
}

static void tap_rx_resume(struct net *net)
{
	struct net_tap *tap = from_net(net);

	tap->rx_stalled = false;
	watch(tap);
}

/* What the host may leave to the guest. */
static void tap_set_offloads(struct net *net, unsigned offloads)
{
	unsigned long flags = 0;

	if (offloads & NET_RX_CSUM)
		flags |= TUN_F_CSUM;
	if (offloads & NET_RX_TSO4)
		flags |= TUN_F_TSO4;
	if (offloads & NET_RX_TSO6)
		flags |= TUN_F_TSO6;
	if (ioctl(from_net(net)->queues[0].source.fd, TUNSETOFFLOAD, flags) < 0)
		log_limited(&net->limit, LOG_WARN,
			    "%s: its tap device cannot do without offloads: %s", net->id,
			    strerror(errno));
}

/* The interface spreads frames over those of its queues that the driver looks at. */
static void tap_set_queues(struct net *net, unsigned count)
{
	struct net_tap *tap = from_net(net);
	unsigned i;

	for (i = 0; i < tap->count; i++) {
		struct tap_queue *queue = &tap->queues[i];
		struct ifreq request = {.ifr_flags =
						i < count ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

		if (queue->detached == (i >= count))
			continue;
		if (ioctl(queue->source.fd, TUNSETQUEUE, &request) < 0)
			log_limited(&net->limit, LOG_WARN, "%s: cannot change its queues: %s",
				    net->id, strerror(errno));
		else
			queue->detached = i >= count;
	}
}

static int tap_fd(struct net *net, unsigned queue)
{
	return from_net(net)->queues[queue].source.fd;
}

static int tap_start(struct net *net, struct err *e)
{
	struct net_tap *tap = from_net(net);
	unsigned i;
	int ret = 0;

	tap->rx_stalled = tap->tx_blocked = false;
	for (i = 0; i < tap->count && !ret; i++) {
		tap->queues[i].source.events = EPOLLIN;
		ret = loop_add_fd(net->loop, &tap->queues[i].source);
	}
	return ret < 0 ? err_errno(e, -ret, "%s: cannot watch its tap device", net->id) : 0;
}

static void tap_stop(struct net *net)
{
	unwatch(from_net(net));
}

static void tap_close(struct net *net)
{
	struct net_tap *tap = from_net(net);
	unsigned i;

	for (i = 0; i < tap->count; i++)
		fd_close(&tap->queues[i].source.fd);
	free(tap);
}

static const struct net_ops tap_ops = {
	.start = tap_start,
	.stop = tap_stop,
	.tx = tap_tx,
	.rx_resume = tap_rx_resume,
	.set_offloads = tap_set_offloads,
	.set_queues = tap_set_queues,
	.tap_fd = tap_fd,
	.close = tap_close,
};

/* Has the header, and nothing left over from who had the device before. */
static int set_up(int fd, struct net_tap *tap, struct err *e)
{
	int header = sizeof(struct net_header), little = 1, control;
	struct ifreq request = {0};

	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return err_set(e, EINVAL, "descriptor %d is no tap device", fd);
	if ((request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) != TAP_FLAGS)
		return err_set(e, EINVAL,
			       "descriptor %d is not set up as IFF_TAP, IFF_NO_PI and IFF_VNET_HDR",
			       fd);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    (ioctl(fd, TUNSETVNETLE, &little) < 0 && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) ||
	    ioctl(fd, TUNSETOFFLOAD, 0ul) < 0 || fd_set_nonblock(fd, true) < 0)
		return err_errno(e, errno, "cannot set up the tap device %s", request.ifr_name);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control >= 0 && !ioctl(control, SIOCGIFMTU, &request))
		tap->net.info.mtu_bytes = (uint16_t)MIN(MAX(request.ifr_mtu, 68), 65535);
	fd_close(&control);
	return 0;
}

/* Opens as many queues of the interface as are wanted. */
static int open_queues(struct net_tap *tap, const struct net_tap_options *options, struct err *e)
{
	unsigned wanted = MAX(options->queues, 1u), i;
	int fd;

	for (i = 0; i < wanted; i++) {
		fd = options->ifname ? tap_attach(options->ifname, e) : options->fd;
		if (fd < 0)
			return fd;
		tap->queues[i].source.fd = fd;
		tap->count++;
		if (wanted > 1 && !tap_is_multi_queue(fd))
			return err_set(e, EINVAL,
				       "the tap device %s has one queue: `sarang net tap create "
				       "--multi-queue` makes one for queues=%u",
				       options->ifname, wanted);
		fd = set_up(fd, tap, e);
		if (fd < 0)
			return fd;
	}
	return 0;
}

int net_tap_open(const char *id, const struct net_tap_options *options, struct loop *loop,
		 struct net **out, struct err *e)
{
	struct net_tap *tap = calloc(1, sizeof(*tap));
	unsigned i;
	int ret;

	if (!tap)
		return err_set(e, ENOMEM, "out of memory");
	tap->net = (struct net){
		.ops = &tap_ops,
		.loop = loop,
		.info = {.offloads = NET_TX_CSUM | NET_TX_TSO4 | NET_TX_TSO6 | NET_RX_CSUM |
				     NET_RX_TSO4 | NET_RX_TSO6,
			 .link_up = true},
	};
	snprintf(tap->net.id, sizeof(tap->net.id), "%s", id);
	for (i = 0; i < NET_TAP_QUEUES_MAX; i++) {
		tap->queues[i].tap = tap;
		tap->queues[i].source =
			(struct loop_fd){.fd = -1, .ready = tap_ready, .opaque = &tap->queues[i]};
	}
	ret = open_queues(tap, options, e);
	if (ret < 0) {
		/* One that was passed in is still who passed it's. */
		if (!options->ifname)
			tap->count = 0;
		tap_close(&tap->net);
		return ret;
	}
	for (i = 0; i < tap->count; i++)
		(void)fcntl(tap->queues[i].source.fd, F_SETFD, FD_CLOEXEC);
	*out = &tap->net;
	return 0;
}
