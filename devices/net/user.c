/*
 * User-mode networking: the back-end that needs no privileges and no set-up.
 *
 *     guest <-> virtio-net <-> this <== socket ==> sarang-slirp <-> the host's sockets
 *                (sarang, the card's thread)       (a process of its own)
 *
 * The other process is the guest's gateway, DHCP and name server; what it may do is in
 * slirp/sandbox.c, what is said over the socket in protocol.h. Frames go from guest memory into the
 * socket and back without a copy in between. When the socket is full the front-end waits; when the
 * guest has no buffers nothing is read, and the other process waits.
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
#include <sys/socket.h>

#include "base/util.h"
#include "net/net.h"
#include "net/process.h"
#include "net/spawn.h"

#define NS_PER_MS 1000000ull
/* How long the process may take to begin. */
#define BEGIN_MAX_MS 10000
/* It is started anew after the shorter one, or the longer one at last when it does not live. */
#define RESTART_MIN_NS (50 * NS_PER_MS)
#define RESTART_MAX_NS (5000 * NS_PER_MS)
#define RESTART_OLD_NS (10000 * NS_PER_MS)
/* Frames before others on the loop get their turn. */
#define ROUND 64

struct net_user {
	struct net net;
	struct net_user_options options;
	char *hostname, *program;
	struct net_process process;
	bool ready;      /* the process has said so */
	bool link_down;  /* the guest was told */
	bool running;    /* between start and stop */
	bool rx_stalled; /* the guest has no buffers */
	bool tx_blocked; /* the socket is full */
	struct loop_fd source;
	struct loop_fd asks;
	struct loop_fd end;
	struct loop_timer restart;
	uint64_t restart_delay_ns;
	uint64_t born_ns;
};

static struct net_user *from_net(struct net *net)
{
	return container_of(net, struct net_user, net);
}

static void watch(struct net_user *user)
{
	uint32_t events = (user->rx_stalled ? 0 : (uint32_t)EPOLLIN) |
			  (user->tx_blocked && user->ready ? (uint32_t)EPOLLOUT : 0);

	if (user->source.watched && user->source.events != events)
		loop_mod_fd(user->net.loop, &user->source, events);
}

/* ---- the process's life ---- */

static int begin_process(struct net_user *user, struct err *e)
{
	user->ready = false;
	user->born_ns = loop_now_ns();
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

static void plan_restart(struct net_user *user)
{
	if (loop_now_ns() - user->born_ns > RESTART_OLD_NS)
		user->restart_delay_ns = RESTART_MIN_NS;
	loop_timer_arm(user->net.loop, &user->restart, user->restart_delay_ns);
	user->restart_delay_ns = MIN(2 * user->restart_delay_ns, RESTART_MAX_NS);
}

/* The process is gone, or does not make sense: ends it for good and plans the next. */
static void lose_process(struct net_user *user, const char *why)
{
	bool was_blocked = user->tx_blocked;
	char how[64];

	loop_del_fd(user->net.loop, &user->source);
	loop_del_fd(user->net.loop, &user->asks);
	loop_del_fd(user->net.loop, &user->end);
	net_spawn_status(net_process_end(&user->process), how, sizeof(how));
	user->ready = user->rx_stalled = user->tx_blocked = false;
	log_limited(&user->net.limit, LOG_WARN,
		    "%s: its network process ended (%s); it is started anew", user->net.id,
		    why ? why : how);
	plan_restart(user);
	if (!user->link_down)
		net_link_changed(&user->net, false);
	user->link_down = true;
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
	watch(user);
}

/* Also when nobody looks at the socket because the guest has no buffers. */
static void ended(void *opaque, uint32_t events)
{
	(void)events;
	lose_process(opaque, NULL);
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
	watch_asks(user);
	if (user->link_down)
		net_link_changed(&user->net, true);
	user->link_down = false;
	send_held(user);
}

/* ---- frames ---- */

/* One frame from the process to the guest; false: not now. *@lost: the process is gone. */
static bool receive_frame(struct net_user *user, bool *lost)
{
	struct msghdr message = {0};
	struct iovec *iov;
	int count = net_rx_begin(&user->net, &iov);
	ssize_t len;

	if (!count) {
		user->rx_stalled = true;
		return false;
	}
	message.msg_iov = iov + 1;
	message.msg_iovlen = (size_t)count - 1;
	len = recvmsg(user->process.socket, &message, MSG_DONTWAIT);
	*lost = len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR);
	/* The process computed the checksums itself, or had them from the host's kernel. */
	if (len >= NET_ETHERNET_BYTES && (user->net.offloads & NET_RX_CSUM))
		((struct net_header *)iov->iov_base)->flags = NET_HEADER_DATA_VALID;
	net_rx_end(&user->net,
		   len >= NET_ETHERNET_BYTES && !(message.msg_flags & MSG_TRUNC) ? (size_t)len : 0);
	return len > 0;
}

static void receive(struct net_user *user)
{
	bool lost = false;
	int i;

	if (!net_rx_open(&user->net)) {
		user->rx_stalled = true;
		watch(user);
		return;
	}
	for (i = 0; i < ROUND && receive_frame(user, &lost); i++)
		;
	net_rx_close(&user->net);
	if (lost)
		lose_process(user, NULL);
	else
		watch(user);
}

static void socket_ready(void *opaque, uint32_t events)
{
	struct net_user *user = opaque;

	if (!user->ready) {
		hear(user);
		return;
	}
	if (events & EPOLLOUT)
		send_held(user);
	if (events & ~(uint32_t)EPOLLOUT)
		receive(user);
}

/* False: the socket is full. Any other failure is a lost frame. */
static bool send_frame(const struct net_user *user, const struct iovec *iov, int count)
{
	const struct msghdr message = {
		.msg_iov = (struct iovec *)(uintptr_t)iov,
		.msg_iovlen = (size_t)count,
	};

	return sendmsg(user->process.socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
	       errno != EAGAIN;
}

static enum net_tx_result user_tx(struct net *net, const struct iovec *iov, int count)
{
	struct net_user *user = from_net(net);

	/* What is sent while the cable is out is lost; what is sent before the first process is
	 * ready waits for it. */
	if (user->link_down || (user->ready && send_frame(user, iov + 1, count - 1)))
		return NET_TX_DONE;
	user->tx_blocked = true;
	watch(user);
	return NET_TX_BUSY;
}

static void user_rx_resume(struct net *net)
{
	struct net_user *user = from_net(net);

	user->rx_stalled = false;
	watch(user);
}

/* ---- start and stop ---- */

/* Waits until the process has begun: a port that the user asked for may be taken. */
static int wait_until_ready(struct net_user *user, struct err *e)
{
	struct pollfd fd = {.fd = user->process.socket, .events = POLLIN};
	uint64_t end_ns = loop_now_ns() + BEGIN_MAX_MS * NS_PER_MS, now_ns;
	int ret;

	for (;;) {
		ret = net_process_hear(&user->options, &user->process, e);
		if (ret != -EAGAIN)
			break;
		now_ns = loop_now_ns();
		if (now_ns >= end_ns)
			return err_set(e, ETIMEDOUT,
				       "the network process did not begin within %d seconds",
				       BEGIN_MAX_MS / 1000);
		(void)poll(&fd, 1, (int)((end_ns - now_ns) / NS_PER_MS + 1));
	}
	return ret;
}

static int watch_socket(struct net_user *user)
{
	user->source.fd = user->process.socket;
	user->source.events = EPOLLIN;
	user->end.fd = user->process.end;
	if (user->end.fd >= 0)
		(void)loop_add_fd(user->net.loop, &user->end);
	return loop_add_fd(user->net.loop, &user->source);
}

static int user_start(struct net *net, struct err *e)
{
	struct net_user *user = from_net(net);
	int ret = 0;

	user->running = true;
	if (!user->process.pid) {
		plan_restart(user);
		return 0;
	}
	/* Without ports nothing that the user asked for can be impossible: the guest may start. */
	if (!user->ready && user->options.forward_count) {
		ret = wait_until_ready(user, e);
		if (ret < 0)
			return ret;
		user->ready = true;
	}
	ret = watch_socket(user);
	if (ret < 0)
		return err_errno(e, -ret, "%s: cannot watch its network process", net->id);
	watch_asks(user);
	watch(user);
	return 0;
}

static void user_stop(struct net *net)
{
	struct net_user *user = from_net(net);

	user->running = false;
	loop_timer_cancel(net->loop, &user->restart);
	loop_del_fd(net->loop, &user->source);
	loop_del_fd(net->loop, &user->asks);
	loop_del_fd(net->loop, &user->end);
}

static void restart(void *opaque)
{
	struct net_user *user = opaque;
	struct err e = {0};
	int ret = begin_process(user, &e);

	if (!ret)
		ret = watch_socket(user);
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
	user->source = (struct loop_fd){.ready = socket_ready, .opaque = user};
	user->asks = (struct loop_fd){.events = EPOLLIN, .ready = asked, .opaque = user};
	user->end = (struct loop_fd){.events = EPOLLIN, .ready = ended, .opaque = user};
	user->restart = (struct loop_timer){.fired = restart, .opaque = user};
	user->restart_delay_ns = RESTART_MIN_NS;
	ret = begin_process(user, e);
	if (ret < 0) {
		user_close(&user->net);
		return ret;
	}
	*out = &user->net;
	return 0;
}
