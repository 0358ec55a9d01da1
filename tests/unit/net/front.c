/* A front-end for back-ends under test: see front.h. */
#include "front.h"

#include <string.h>

#include "unit.h"

#define ROUNDS 1200 /* of at most 50 ms each */

struct front front;

static bool rx_open(void *opaque)
{
	(void)opaque;
	return front.room;
}

static int rx_begin(void *opaque, size_t len, struct iovec **iov)
{
	(void)opaque;
	(void)len;
	front.header = (struct net_header){0};
	front.iov[0] = (struct iovec){&front.header, sizeof(front.header)};
	front.iov[1] = (struct iovec){front.frame, sizeof(front.frame)};
	*iov = front.iov;
	return front.room ? 2 : 0;
}

static void rx_end(void *opaque, size_t len)
{
	(void)opaque;
	if (!len)
		return;
	front.len = len;
	front.frames++;
	front.room = false;
}

static void rx_close(void *opaque)
{
	(void)opaque;
}

static void tx_ready(void *opaque)
{
	(void)opaque;
	front.ready++;
}

static void link_changed(void *opaque, bool up)
{
	(void)opaque;
	if (up)
		front.ups++;
	else
		front.downs++;
}

int front_open(const struct net_options *options)
{
	memset(&front, 0, sizeof(front));
	log_set_level(LOG_ERROR);
	ck_assert_int_eq(loop_new(&front.loop, &front.e), 0);
	return net_open(options, front.loop, &front.net, &front.e);
}

int front_start(void)
{
	const struct net_client client = {rx_open,  rx_begin,     rx_end, rx_close,
					  tx_ready, link_changed, NULL};

	return net_start(front.net, &client, &front.e);
}

void front_close(void)
{
	net_stop(front.net);
	net_close(front.net);
	loop_free(front.loop);
}

void front_run_until(const unsigned *counter, unsigned wanted, const char *what)
{
	unsigned i;

	for (i = 0; i < ROUNDS && *counter < wanted; i++)
		loop_run_once(front.loop, 50);
	ck_assert_msg(*counter >= wanted, "waited in vain for %s", what);
}

void front_send(const void *frame, size_t len)
{
	struct net_header header = {0};
	char *bytes = (char *)(uintptr_t)frame;
	struct iovec iov[3] = {{&header, sizeof(header)},
			       {bytes, len / 2},
			       {bytes + len / 2, len - len / 2}};

	while (net_tx(front.net, iov, 3) == NET_TX_BUSY)
		front_run_until(&front.ready, front.ready + 1, "room to send");
}

void front_receive(void)
{
	unsigned before = front.frames;

	front.room = true;
	net_rx_resume(front.net);
	front_run_until(&front.frames, before + 1, "a frame");
}
