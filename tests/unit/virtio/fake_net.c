/* A network back-end in memory: see fake_net.h. */
#include "fake_net.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

static struct fake_net *from_net(struct net *net)
{
	return container_of(net, struct fake_net, net);
}

static int fake_start(struct net *net, struct err *e)
{
	(void)e;
	from_net(net)->started++;
	return 0;
}

static void fake_stop(struct net *net)
{
	from_net(net)->stopped++;
}

static enum net_tx_result fake_tx(struct net *net, const struct iovec *iov, int count)
{
	struct fake_net *fake = from_net(net);
	int i;

	fake->tries++;
	if (fake->busy)
		return NET_TX_BUSY;
	if (iov[0].iov_len != sizeof(fake->header))
		abort();
	memcpy(&fake->header, iov[0].iov_base, sizeof(fake->header));
	for (fake->len = 0, i = 1; i < count; i++) {
		if (fake->len + iov[i].iov_len > sizeof(fake->frame))
			abort();
		memcpy(fake->frame + fake->len, iov[i].iov_base, iov[i].iov_len);
		fake->len += iov[i].iov_len;
	}
	fake->out_of_order |= memcmp(fake->frame, &fake->sent, sizeof(fake->sent)) != 0;
	fake->sent++;
	return NET_TX_DONE;
}

static void fake_rx_resume(struct net *net)
{
	struct fake_net *fake = from_net(net);

	fake->resumed++;
	fake->stalled = false;
}

static bool fake_tx_busy(struct net *net)
{
	return from_net(net)->at_work;
}

static void fake_close(struct net *net)
{
	free(from_net(net));
}

static const struct net_ops fake_ops = {
	.start = fake_start,
	.stop = fake_stop,
	.tx = fake_tx,
	.tx_busy = fake_tx_busy,
	.rx_resume = fake_rx_resume,
	.close = fake_close,
};

struct fake_net *fake_net_new(struct loop *loop, const struct net_info *info)
{
	struct fake_net *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	fake->net = (struct net){.ops = &fake_ops, .loop = loop, .info = *info};
	return fake;
}

bool fake_net_receive(struct fake_net *fake, const void *frame, size_t len,
		      const struct net_header *header)
{
	const char *from = frame;
	size_t left = len;
	struct iovec *iov;
	int count = 0, i;

	if (net_rx_open(&fake->net)) {
		count = net_rx_begin(&fake->net, &iov);
		if (count && header)
			memcpy(iov[0].iov_base, header, sizeof(*header));
		for (i = 1; i < count && left; i++) {
			size_t n = MIN(left, iov[i].iov_len);

			memcpy(iov[i].iov_base, from, n);
			from += n;
			left -= n;
		}
		if (count)
			net_rx_end(&fake->net, len);
		net_rx_close(&fake->net);
	}
	fake->stalled = !count;
	return count;
}
