/* What all network back-ends share: see net.h. */
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/capture.h"
#include "net/stream.h"
#include "net/tap.h"
#include "net/user.h"

static void tx_goes_on(void *opaque)
{
	net_tx_ready(opaque);
}

static void rx_goes_on(void *opaque)
{
	net_rx_resume(opaque);
}

int net_open(const struct net_options *options, struct loop *loop, struct net **out, struct err *e)
{
	struct net_limit limit;
	int ret = -EINVAL;

	*out = NULL;
	switch (options->kind) {
	case NET_USER:
		ret = net_user_open(options->id, options->user, loop, out, e);
		break;
	case NET_TAP:
		ret = net_tap_open(options->id, options->tap, loop, out, e);
		break;
	case NET_STREAM:
		ret = net_stream_open(options->id, options->stream, loop, out, e);
		break;
	}
	if (ret < 0)
		return ret;
	net_limit_init(&limit, options->bits_per_s, options->frames_per_s, loop_now_ns());
	(*out)->rx_limit = (*out)->tx_limit = limit;
	(*out)->rx_timer = (struct loop_timer){.fired = rx_goes_on, .opaque = *out};
	(*out)->tx_timer = (struct loop_timer){.fired = tx_goes_on, .opaque = *out};
	if (!options->capture)
		return 0;
	(*out)->card = options->card;
	(*out)->cards = options->cards;
	(*out)->capture_file = strdup(options->capture);
	if ((*out)->capture_file)
		return 0;
	net_close(*out);
	*out = NULL;
	return err_set(e, ENOMEM, "out of memory");
}

void net_close(struct net *net)
{
	if (!net)
		return;
	net_capture_close(net->capture);
	free(net->capture_file);
	net->ops->close(net);
}

/* The first card makes the file. */
static int begin_capture(struct net *net, struct err *e)
{
	int ret = net->card ? 0 : net_capture_begin(net->capture_file, net->cards, e);

	return ret < 0 ? ret : net_capture_open(net->capture_file, net->card, &net->capture, e);
}

int net_start(struct net *net, const struct net_client *client, struct err *e)
{
	int ret;

	net->client = *client;
	ret = net->ops->start(net, e);
	/* Not before: a card that cannot begin leaves no file behind, and no old one empty. */
	if (ret < 0 || !net->capture_file || net->capture)
		return ret;
	ret = begin_capture(net, e);
	if (ret < 0)
		net_stop(net);
	return ret;
}

void net_stop(struct net *net)
{
	loop_timer_cancel(net->loop, &net->rx_timer);
	loop_timer_cancel(net->loop, &net->tx_timer);
	net->ops->stop(net);
}

/* Whether the next frame has to wait for what the limit allows; then @timer is set to go on. */
static bool must_wait(struct net *net, struct net_limit *limit, struct loop_timer *timer)
{
	uint64_t wait_ns = net_limit_exists(limit) ? net_limit_wait(limit, loop_now_ns()) : 0;

	if (wait_ns)
		loop_timer_arm(net->loop, timer, wait_ns);
	return wait_ns;
}

static void account(struct net_limit *limit, size_t len)
{
	if (net_limit_exists(limit))
		net_limit_charge(limit, loop_now_ns(), len);
}

enum net_tx_result net_tx(struct net *net, const struct iovec *iov, int count)
{
	enum net_tx_result result = NET_TX_BUSY;
	size_t len = 0;
	int i;

	if (!must_wait(net, &net->tx_limit, &net->tx_timer))
		result = net->ops->tx(net, iov, count);
	if (result == NET_TX_BUSY)
		return result;
	for (i = 1; i < count; i++)
		len += iov[i].iov_len;
	account(&net->tx_limit, len);
	net_capture_frame(net->capture, NET_FROM_GUEST, iov + 1, count - 1, len);
	return result;
}

bool net_tx_busy(struct net *net)
{
	return net->ops->tx_busy && net->ops->tx_busy(net);
}

void net_rx_resume(struct net *net)
{
	net->ops->rx_resume(net);
}

void net_set_offloads(struct net *net, unsigned offloads)
{
	net->offloads = offloads & net->info.offloads;
	if (net->ops->set_offloads)
		net->ops->set_offloads(net, net->offloads);
}

void net_set_queues(struct net *net, unsigned count)
{
	if (net->ops->set_queues)
		net->ops->set_queues(net, count);
}

bool net_rx_open(struct net *net)
{
	return net->client.rx_open(net->client.opaque);
}

/* For a frame of @len bytes; 0: nobody knows. */
static int begin_frame(struct net *net, size_t len, struct iovec **iov)
{
	net->rx_count = 0;
	if (must_wait(net, &net->rx_limit, &net->rx_timer))
		return 0;
	net->rx_count = net->client.rx_begin(net->client.opaque, len, iov);
	net->rx_iov = *iov;
	return net->rx_count;
}

int net_rx_begin(struct net *net, struct iovec **iov)
{
	return begin_frame(net, 0, iov);
}

void net_rx_end(struct net *net, size_t len)
{
	if (len) {
		account(&net->rx_limit, len);
		/* Before the guest has its buffers again. */
		net_capture_frame(net->capture, NET_TO_GUEST, net->rx_iov + 1, net->rx_count - 1,
				  len);
	}
	net->client.rx_end(net->client.opaque, len);
}

bool net_rx_copy(struct net *net, const uint8_t *frame, size_t len)
{
	struct iovec *iov;
	int count = begin_frame(net, len, &iov), i;
	size_t left = len, n;

	if (!count)
		return false;
	for (i = 1; i < count && left; i++, left -= n, frame += n) {
		n = MIN(iov[i].iov_len, left);
		memcpy(iov[i].iov_base, frame, n);
	}
	if (net->offloads & NET_RX_CSUM)
		((struct net_header *)iov->iov_base)->flags = NET_HEADER_DATA_VALID;
	net_rx_end(net, left ? 0 : len);
	return true;
}

void net_rx_close(struct net *net)
{
	net->client.rx_close(net->client.opaque);
}

void net_tx_ready(struct net *net)
{
	net->client.tx_ready(net->client.opaque);
}

void net_link_changed(struct net *net, bool up)
{
	net->client.link_changed(net->client.opaque, up);
}
