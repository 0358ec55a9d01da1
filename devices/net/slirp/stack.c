/*
 * The guest's network: libslirp between the rings that sarang shares with us and sockets of the
 * host.
 *
 *     10.0.2.0/24   .2 gateway (the host's loopback), .3 name server, .15 what DHCP gives the guest
 *     fec0::/64     ::2 gateway, ::3 name server, the guest's by router advertisement
 *
 * One thread, one poll(2) a round over sarang's eventfd and all that libslirp has open; what a
 * round does is in a ring before the next begins. libslirp gets frames as they lie in the ring: it
 * copies what it keeps, and sarang does not touch what it has put. When sarang takes no more (its
 * guest has no buffers) we wait a moment, which holds the host's side back; a guest that takes
 * nothing for longer loses frames, as it would on a cable, until it takes some again. Datagrams
 * pass through datagrams.c on the host's side: it reads and sends several at once.
 */
#include "stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "datagrams.h"
#include "loop/loop.h"
#include "net/header.h"

#define NS_PER_MS     1000000
#define SEND_WAIT_MS  100
#define ROUND         64 /* frames of the guest before the host's sockets get their turn */
#define TIMERS_MAX    4
#define FDS_MAX_FIRST 64
/* Frames that sarang is told of at once: more are an interrupt less, but lie longer. */
#define UNSAID_MAX       32
#define UNSAID_BYTES_MAX (128 << 10)

/* Of stack->fds. */
enum {
	SOCKET_FD,
	EVENT_FD,
	LINK_FDS,
};

struct stack_timer {
	SlirpTimerId id;
	void *opaque;
	int64_t at_ms; /* -1: not armed */
	bool used;
};

struct stack {
	Slirp *slirp;
	struct stack_link link;
	bool ended;      /* sarang is gone */
	bool congested;  /* sarang has not taken a frame for SEND_WAIT_MS */
	unsigned unsaid; /* frames that sarang has not been told of */
	size_t unsaid_bytes;
	int64_t now_ns; /* the time when this round began */
	struct stack_timer timers[TIMERS_MAX];
	struct pollfd *fds; /* begins with LINK_FDS of ours */
	size_t fd_count, fd_room;
};

/* libslirp asks several times a round, to count in milliseconds. */
static int64_t now_ns(void *opaque)
{
	return ((const struct stack *)opaque)->now_ns;
}

/* Whether it is worth while to look for room again, after waiting for it where that helped before.
 */
static bool wait_for_room(struct stack *stack)
{
	struct pollfd fds[LINK_FDS] = {
		[SOCKET_FD] = {.fd = stack->link.socket, .events = POLLIN},
		[EVENT_FD] = {.fd = stack->link.event, .events = POLLIN},
	};

	if (stack->congested || poll(fds, LINK_FDS, SEND_WAIT_MS) <= 0)
		stack->congested = true;
	fd_event_clear(stack->link.event);
	stack->ended |= fds[SOCKET_FD].revents != 0;
	return !stack->congested && !stack->ended;
}

static void tell_sarang(struct stack *stack)
{
	net_ring_say(&stack->link.to_guest);
	stack->unsaid = 0;
	stack->unsaid_bytes = 0;
}

/* At the end of what makes frames: libslirp mostly has several. */
static void tell_of_frames(struct stack *stack)
{
	if (stack->unsaid)
		tell_sarang(stack);
}

static ssize_t send_frame(const void *bytes, size_t len, void *opaque)
{
	const struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct stack *stack = opaque;
	bool sent;

	if (len < NET_ETHERNET_BYTES || len > NET_FRAME_MAX)
		return (ssize_t)len;
	do {
		sent = net_ring_put(&stack->link.to_guest, &iov, 1, len);
		if (sent) {
			stack->unsaid++;
			stack->unsaid_bytes += len;
		}
		if (!sent || stack->unsaid == UNSAID_MAX || stack->unsaid_bytes >= UNSAID_BYTES_MAX)
			tell_sarang(stack);
	} while (!sent && wait_for_room(stack));
	if (sent)
		stack->congested = false;
	return (ssize_t)len;
}

static void ignore_error(const char *message, void *opaque)
{
	/* What a guest does wrong is its own business. */
	(void)message;
	(void)opaque;
}

static void *timer_new(SlirpTimerId id, void *timer_opaque, void *opaque)
{
	struct stack *stack = opaque;
	size_t i;

	for (i = 0; i < TIMERS_MAX && stack->timers[i].used; i++)
		;
	if (i == TIMERS_MAX)
		abort();
	stack->timers[i] = (struct stack_timer){id, timer_opaque, -1, true};
	return &stack->timers[i];
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	((struct stack_timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
	(void)opaque;
	((struct stack_timer *)timer)->at_ms = at_ms;
}

static void ignore_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void forget_fd(int fd, void *opaque)
{
	(void)opaque;
	datagrams_forget(fd);
}

/* libslirp calls it from the thread that polls: nobody sleeps meanwhile. */
static void ignore_notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_frame,
	.guest_error = ignore_error,
	.clock_get_ns = now_ns,
	.timer_new_opaque = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = forget_fd,
	.notify = ignore_notify,
};

static bool reserve_fds(struct stack *stack, size_t room)
{
	struct pollfd *fds = realloc(stack->fds, room * sizeof(*fds));

	if (fds) {
		stack->fds = fds;
		stack->fd_room = room;
	}
	return fds;
}

struct stack *stack_new(const struct net_user_options *options, const struct stack_link *link)
{
	struct stack *stack = calloc(1, sizeof(*stack));
	SlirpConfig config = {
		.version = 4,
		.restricted = options->restricted,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.vhostname = options->hostname,
		.if_mtu = options->mtu_bytes,
		.if_mru = options->mtu_bytes,
	};

	if (!stack || !reserve_fds(stack, FDS_MAX_FIRST))
		abort();
	inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &config.vhost);
	inet_pton(AF_INET, "10.0.2.15", &config.vdhcp_start);
	inet_pton(AF_INET, "10.0.2.3", &config.vnameserver);
	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	stack->link = *link;
	stack->now_ns = (int64_t)loop_now_ns();
	stack->slirp = slirp_new(&config, &callbacks, stack);
	if (!stack->slirp) {
		free(stack->fds);
		free(stack);
		return NULL;
	}
	return stack;
}

int stack_forward(struct stack *stack, const struct net_forward *forward)
{
	int flags = forward->udp ? SLIRP_HOSTFWD_UDP : 0;

	if (forward->host.any.sa_family == AF_INET6)
		flags |= SLIRP_HOSTFWD_V6ONLY;
	if (!slirp_add_hostxfwd(stack->slirp, &forward->host.any, net_endpoint_len(&forward->host),
				&forward->guest.any, net_endpoint_len(&forward->guest), flags))
		return 0;
	return errno ? -errno : -EIO;
}

static int add_fd(int fd, int events, void *opaque)
{
	struct stack *stack = opaque;
	short wanted = 0;

	if (stack->fd_count == stack->fd_room && !reserve_fds(stack, 2 * stack->fd_room))
		return -1;
	if (events & SLIRP_POLL_IN)
		wanted |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		wanted |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		wanted |= POLLPRI;
	stack->fds[stack->fd_count] = (struct pollfd){.fd = fd, .events = wanted};
	return (int)stack->fd_count++;
}

/* Of the socket at @index, that libslirp will read from next. */
static int get_events(int index, void *opaque)
{
	struct stack *stack = opaque;
	const struct pollfd *fd = &stack->fds[MAX(index, 0)];
	short got = index >= LINK_FDS ? fd->revents : 0;

	datagrams_ready(fd->fd, got);
	if (datagrams_wait(fd->fd))
		got |= POLLIN;
	return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void receive_frames(struct stack *stack)
{
	struct net_ring *ring = &stack->link.from_guest;
	const uint8_t *frame;
	size_t len;
	int i;

	datagrams_gather();
	for (i = 0; i < ROUND && (frame = net_ring_peek(ring, &len)); i++) {
		slirp_input(stack->slirp, frame, (int)len);
		net_ring_take(ring);
	}
	/* With an answer to ARP goes what libslirp held back for it: only a look, here at no
	 * socket, has it sent. */
	if (i)
		slirp_pollfds_poll(stack->slirp, true, get_events, stack);
	datagrams_send();
	stack->ended |= ring->broken;
}

/* Has libslirp take what poll(2) has found. It reads one datagram from each socket. */
static void serve_sockets(struct stack *stack, bool failed)
{
	size_t i;
	int more;

	slirp_pollfds_poll(stack->slirp, failed, get_events, stack);
	for (i = LINK_FDS; i < stack->fd_count; i++)
		stack->fds[i].revents = 0;
	for (more = 1; more < DATAGRAMS_MAX && datagrams_wait_anywhere(); more++)
		slirp_pollfds_poll(stack->slirp, false, get_events, stack);
	tell_of_frames(stack);
}

static int next_timeout(const struct stack *stack, uint32_t slirp_ms)
{
	int64_t now_ms = stack->now_ns / NS_PER_MS;
	int64_t wait_ms = slirp_ms == UINT32_MAX ? -1 : (int64_t)slirp_ms;
	size_t i;

	for (i = 0; i < TIMERS_MAX; i++)
		if (stack->timers[i].used && stack->timers[i].at_ms >= 0) {
			int64_t left_ms = MAX(stack->timers[i].at_ms - now_ms, (int64_t)0);

			wait_ms = wait_ms < 0 ? left_ms : MIN(wait_ms, left_ms);
		}
	return (int)MIN(wait_ms, (int64_t)60000);
}

static void run_timers(struct stack *stack)
{
	int64_t now_ms = stack->now_ns / NS_PER_MS;
	size_t i;

	for (i = 0; i < TIMERS_MAX; i++) {
		struct stack_timer *timer = &stack->timers[i];

		if (timer->used && timer->at_ms >= 0 && timer->at_ms <= now_ms) {
			timer->at_ms = -1;
			slirp_handle_timer(stack->slirp, timer->id, timer->opaque);
		}
	}
}

/* Waits for what comes next, unless that is there already. Returns as poll(2). */
static int wait_for_work(struct stack *stack)
{
	struct net_ring *ring = &stack->link.from_guest;
	uint32_t slirp_ms = UINT32_MAX;
	int timeout_ms, ret;

	stack->fds[SOCKET_FD] = (struct pollfd){.fd = stack->link.socket, .events = POLLIN};
	stack->fds[EVENT_FD] = (struct pollfd){.fd = stack->link.event, .events = POLLIN};
	stack->fd_count = LINK_FDS;
	slirp_pollfds_fill(stack->slirp, &slirp_ms, add_fd, stack);
	timeout_ms = net_ring_sleep(ring) ? next_timeout(stack, slirp_ms) : 0;
	ret = poll(stack->fds, stack->fd_count, timeout_ms);
	stack->now_ns = (int64_t)loop_now_ns();
	net_ring_wake(ring);
	if (stack->fds[EVENT_FD].revents)
		fd_event_clear(stack->link.event);
	return ret;
}

void stack_run(struct stack *stack)
{
	int ret;

	while (!stack->ended) {
		ret = wait_for_work(stack);
		/* First: libslirp takes its time from there, also for what comes with the frames.
		 */
		serve_sockets(stack, ret < 0);
		receive_frames(stack);
		run_timers(stack);
		/* Those with which libslirp answers itself. */
		tell_of_frames(stack);
		stack->ended |= ret > 0 && stack->fds[SOCKET_FD].revents;
	}
}
