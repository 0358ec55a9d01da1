/*
 * User-mode networking: the back-end that needs no privileges and no set-up.
 *
 *     guest <-> virtio-net <-> this <== two rings ==> sarang-slirp <-> the host's sockets
 *                (sarang, the card's thread)         (a process of its own)
 *
 * The other process is the guest's gateway, DHCP and name server; what it may do is in
 * slirp/sandbox.c, what they share in protocol.h. Frames are copied from guest memory into one ring
 * (ring.h) and out of the other, with no system call while both sides are awake. When the ring is
 * full the front-end waits; when the guest has no buffers nothing is taken, and the other process
 * waits.
 *
 * When that process dies the card's cable is pulled out until another one is ready in its place.
 * One that dies young is replaced after a while only, twice as long each time.
 *
 * On the card's loop.
 */
#include "net/user.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "net/net.h"
#include "net/peer.h"
#include "net/process.h"
#include "net/spawn.h"

#define NS_PER_MS 1000000ull
/* How long the process may take to begin, where nothing else is said. */
#define BEGIN_MAX_MS 10000
/* Frames before others on the loop get their turn. */
#define ROUND 64

struct net_user {
	struct net net;
	struct net_user_options options;
	char *hostname, *program;
	struct net_process process;
	struct net_peer peer;
	bool ready;            /* the process has said so */
	bool rx_stalled;       /* the guest has no buffers */
	bool tx_blocked;       /* the ring is full */
	struct loop_fd source; /* the socket: its first word, and its end */
	struct loop_fd event;  /* the process has put frames, or made room */
	struct loop_fd asks;
	struct loop_fd end;
	struct loop_timer overdue; /* it should be ready by then */
};

static struct net_user *from_net(struct net *net)
{
	return container_of(net, struct net_user, net);
}

/* ---- the process's life ---- */

static int begin_process(struct net_user *user, struct err *e)
{
	user->ready = false;
	net_peer_begins(&user->peer);
	return net_process_start(&user->options, &user->process, e);
}

static void asked(void *opaque, uint32_t events)
{
	struct net_user *user = opaque;

	/* Where there is no question, asking for it would wait for one. */
	if (events & EPOLLIN)
		net_process_answer(&user->process);
	else
		loop_del_fd(user->net.loop, &user->asks);
}

static void watch_asks(struct net_user *user)
{
	user->asks.fd = user->process.asks;
	if (user->asks.fd >= 0 && !user->asks.watched)
		(void)loop_add_fd(user->net.loop, &user->asks);
}

/* The process is gone, or does not make sense: ends it for good and plans the next. */
static void lose_process(struct net_user *user, const char *why)
{
	bool was_blocked = user->tx_blocked;
	char how[64];

	loop_del_fd(user->net.loop, &user->source);
	loop_del_fd(user->net.loop, &user->event);
	loop_del_fd(user->net.loop, &user->asks);
	loop_del_fd(user->net.loop, &user->end);
	loop_timer_cancel(user->net.loop, &user->overdue);
	net_spawn_status(net_process_end(&user->process), how, sizeof(how));
	user->ready = user->rx_stalled = user->tx_blocked = false;
	log_limited(&user->net.limit, LOG_WARN,
		    "%s: its network process ended (%s); it is started anew", user->net.id,
		    why ? why : how);
	net_peer_lost(&user->peer);
	/* What waited for room is sent, and lost, now. */
	if (was_blocked)
		net_tx_ready(&user->net);
}

/* Has the front-end send what was refused. */
static void send_held(struct net_user *user)
{
	if (!user->tx_blocked)
		return;
	user->tx_blocked = false;
	net_tx_ready(&user->net);
}

static void ended(void *opaque, uint32_t events)
{
	(void)events;
	lose_process(opaque, NULL);
}

static void did_not_begin(void *opaque)
{
	lose_process(opaque, "it did not begin");
}

static void hear(struct net_user *user)
{
	struct err e = {0};
	int ret = net_process_hear(&user->options, &user->process, &e);

	if (ret == -EAGAIN)
		return;
	if (ret < 0) {
		lose_process(user, e.text);
		return;
	}
	user->ready = true;
	loop_timer_cancel(user->net.loop, &user->overdue);
	watch_asks(user);
	net_peer_serves(&user->peer);
	send_held(user);
	/* Has receive go on, or say that it sleeps. */
	fd_event_signal(user->process.event);
}

/* ---- frames ---- */

/* One frame from the process to the guest; false: there is none, or not now. */
static bool receive_frame(struct net_user *user)
{
	const uint8_t *frame;
	size_t len;

	frame = net_ring_peek(&user->process.rx, &len);
	if (!frame)
		return false;
	/* The process computed the checksums itself, or had them from the host's kernel. */
	if (!net_rx_copy(&user->net, frame, len)) {
		user->rx_stalled = true;
		return false;
	}
	net_ring_take(&user->process.rx);
	return true;
}

static void receive(struct net_user *user)
{
	int i;

	if (!user->ready || user->rx_stalled)
		return;
	if (!net_rx_open(&user->net)) {
		user->rx_stalled = true;
		return;
	}
	for (i = 0; i < ROUND && receive_frame(user); i++)
		;
	net_rx_close(&user->net);
	if (user->process.rx.broken)
		lose_process(user, "what it sends is no frame");
	else if (!user->rx_stalled && (i == ROUND || !net_ring_sleep(&user->process.rx)))
		fd_event_signal(user->process.event);
}

static void rings_ready(void *opaque, uint32_t events)
{
	struct net_user *user = opaque;

	(void)events;
	fd_event_clear(user->process.event);
	if (user->ready)
		send_held(user);
	receive(user);
}

static void socket_ready(void *opaque, uint32_t events)
{
	struct net_user *user = opaque;

	(void)events;
	if (!user->ready)
		hear(user);
	else
		lose_process(user, NULL);
}

static enum net_tx_result user_tx(struct net *net, const struct iovec *iov, int count)
{
	struct net_user *user = from_net(net);
	size_t len = 0;
	int i;

	for (i = 1; i < count; i++)
		len += iov[i].iov_len;
	/* What is sent while the cable is out is lost; what is sent before the first process is
	 * ready waits for it. */
	if (user->peer.link_down)
		return NET_TX_DONE;
	if (user->ready && net_ring_put(&user->process.tx, iov + 1, count - 1, len)) {
		net_ring_say(&user->process.tx);
		return NET_TX_DONE;
	}
	user->tx_blocked = true;
	return NET_TX_BUSY;
}

static bool user_tx_busy(struct net *net)
{
	struct net_user *user = from_net(net);

	return user->ready && !user->tx_blocked && net_ring_await_empty(&user->process.tx);
}

static void user_rx_resume(struct net *net)
{
	struct net_user *user = from_net(net);

	/* Not from here: who resumes may be in the middle of something. */
	if (user->rx_stalled && user->process.event >= 0)
		fd_event_signal(user->process.event);
	user->rx_stalled = false;
}

/* ---- start and stop ---- */

/* Waits until the process has begun: a port that the user asked for may be taken. */
static int wait_until_ready(struct net_user *user, struct err *e)
{
	struct pollfd fd = {.fd = user->process.socket, .events = POLLIN};
	uint64_t end_ns = loop_now_ns() + user->options.begin_max_ms * NS_PER_MS, now_ns;
	int ret;

	for (;;) {
		ret = net_process_hear(&user->options, &user->process, e);
		if (ret != -EAGAIN)
			break;
		now_ns = loop_now_ns();
		if (now_ns >= end_ns)
			return err_set(e, ETIMEDOUT,
				       "the network process did not begin within %u seconds",
				       user->options.begin_max_ms / 1000);
		(void)poll(&fd, 1, (int)((end_ns - now_ns) / NS_PER_MS + 1));
	}
	return ret;
}

static int watch_process(struct net_user *user)
{
	int ret;

	user->source.fd = user->process.socket;
	user->event.fd = user->process.event;
	user->end.fd = user->process.end;
	if (user->end.fd >= 0)
		(void)loop_add_fd(user->net.loop, &user->end);
	if (!user->ready)
		loop_timer_arm(user->net.loop, &user->overdue,
			       user->options.begin_max_ms * NS_PER_MS);
	ret = loop_add_fd(user->net.loop, &user->event);
	return ret < 0 ? ret : loop_add_fd(user->net.loop, &user->source);
}

static int user_start(struct net *net, struct err *e)
{
	struct net_user *user = from_net(net);
	int ret = 0;

	if (!user->process.pid) {
		net_peer_plan(&user->peer);
		return 0;
	}
	/* Without ports nothing that the user asked for can be impossible: the guest may start. */
	if (!user->ready && user->options.forward_count) {
		ret = wait_until_ready(user, e);
		if (ret < 0)
			return ret;
		user->ready = true;
		net_peer_serves(&user->peer);
	}
	ret = watch_process(user);
	if (ret < 0)
		return err_errno(e, -ret, "%s: cannot watch its network process", net->id);
	watch_asks(user);
	fd_event_signal(user->process.event);
	return 0;
}

static void user_stop(struct net *net)
{
	struct net_user *user = from_net(net);

	net_peer_stop(&user->peer);
	loop_timer_cancel(net->loop, &user->overdue);
	loop_del_fd(net->loop, &user->source);
	loop_del_fd(net->loop, &user->event);
	loop_del_fd(net->loop, &user->asks);
	loop_del_fd(net->loop, &user->end);
}

static void restart(void *opaque)
{
	struct net_user *user = opaque;
	struct err e = {0};
	int ret = begin_process(user, &e);

	if (!ret)
		ret = watch_process(user);
	if (ret < 0)
		lose_process(user, *e.text ? e.text : NULL);
}

static void user_close(struct net *net)
{
	struct net_user *user = from_net(net);

	net_process_end(&user->process);
	free(user->hostname);
	free(user->program);
	free(user);
}

static const struct net_ops user_ops = {
	.start = user_start,
	.stop = user_stop,
	.tx = user_tx,
	.tx_busy = user_tx_busy,
	.rx_resume = user_rx_resume,
	.close = user_close,
};

int net_user_open(const char *id, const struct net_user_options *options, struct loop *loop,
		  struct net **out, struct err *e)
{
	struct net_user *user = calloc(1, sizeof(*user));
	int ret;

	if (!user)
		return err_set(e, ENOMEM, "out of memory");
	user->net = (struct net){
		.ops = &user_ops,
		.loop = loop,
		.info = {.offloads = NET_RX_CSUM, .mtu_bytes = options->mtu_bytes, .link_up = true},
	};
	snprintf(user->net.id, sizeof(user->net.id), "%s", id);
	user->options = *options;
	user->hostname = options->hostname ? strdup(options->hostname) : NULL;
	user->program = options->program ? strdup(options->program) : NULL;
	user->options.hostname = user->hostname;
	user->options.program = user->program;
	if (!options->begin_max_ms)
		user->options.begin_max_ms = BEGIN_MAX_MS;
	user->source = (struct loop_fd){.events = EPOLLIN, .ready = socket_ready, .opaque = user};
	user->event = (struct loop_fd){.events = EPOLLIN, .ready = rings_ready, .opaque = user};
	user->asks = (struct loop_fd){.events = EPOLLIN, .ready = asked, .opaque = user};
	user->end = (struct loop_fd){.events = EPOLLIN, .ready = ended, .opaque = user};
	user->overdue = (struct loop_timer){.fired = did_not_begin, .opaque = user};
	net_peer_init(&user->peer, &user->net, restart, user);
	ret = begin_process(user, e);
	if (ret < 0) {
		user_close(&user->net);
		return ret;
	}
	*out = &user->net;
	return 0;
}
