/*
 * Datagrams by the dozen: see datagrams.h.
 *
 * libslirp asks the kernel for one datagram at a time, and for each it makes four or five system
 * calls, some of which nearly always say "nothing". Those it makes for UDP are answered here
 * instead: a function of the program comes before the C library's of the same name, for shared
 * libraries, too (ELF gABI, "Shared Object Dependencies").
 *
 *	sendto      while frames of the guest are read one after the other, datagrams of one size to
 *	            one address are kept and sent at once, cut by the kernel: UDP_SEGMENT, udp(7).
 *	            The first of them goes at once: libslirp hears of an address that nobody
 *	            reaches. None is waited for: libslirp's sockets block, and one that is full, as
 *	            behind a slow link, would hold up all others. What does not fit is lost, as on
 *	            any card
 *	setsockopt  of the hop limit, before each datagram: only where it differs from the last
 *	recvfrom    reads up to DATAGRAMS_MAX at once, recvmmsg(2), and hands them out one by one
 *	ioctl       FIONREAD, before recvfrom: the length of the next of them
 *	recvmsg     of errors, before that: only where poll(2) has seen some
 *
 * What is known of sockets is kept for those used last. There are boxes for some of them at a time;
 * without one, and where the kernel does not cut, all is as the C library does it.
 *
 * These functions have no argument of ours: that is why this module has state of its own.
 */
#include "datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#define SOCKETS 64
#define BOXES   8
#define LEN_MAX 65536
/* The kernel's limits: UDP_MAX_SEGMENTS (64 before Linux 6.10), and one datagram's length. */
#define OUTBOX_MAX       64
#define OUTBOX_BYTES_MAX 65000

/* What was read and not handed out. */
struct inbox {
	bool taken;
	unsigned next, count;
	struct mmsghdr headers[DATAGRAMS_MAX];
	struct iovec iov[DATAGRAMS_MAX];
	struct sockaddr_storage from[DATAGRAMS_MAX];
	uint8_t bytes[DATAGRAMS_MAX][LEN_MAX];
};

/* What is to be sent to one address. All but the last have the same length. */
struct outbox {
	bool taken;
	struct sockaddr_storage to;
	socklen_t to_len;
	unsigned count;
	size_t each, len;
	uint8_t bytes[LEN_MAX];
};

struct udp_socket {
	int fd;             /* -1: none */
	int hops;           /* as set last; -1: unknown */
	unsigned used_in;   /* self.round */
	struct inbox *in;   /* not empty; NULL: nothing waits */
	struct outbox *out; /* since the first was sent; NULL: none was, in this round */
};

static struct {
	struct udp_socket sockets[SOCKETS];
	unsigned socket_count;
	struct inbox in[BOXES];
	struct outbox out[BOXES];
	unsigned waiting; /* inboxes that are taken */
	unsigned round;   /* of frames of the guest's */
	bool gathering;
	int ready_fd;
	bool errors; /* of ready_fd */
} self = {.ready_fd = -1};

/* ---- sockets ---- */

static struct udp_socket *find_socket(int fd)
{
	unsigned i;

	for (i = 0; i < self.socket_count; i++)
		if (self.sockets[i].fd == fd)
			return &self.sockets[i];
	return NULL;
}

/* A place for one more: a new one, or that of the one used longest ago; NULL: all are in use. */
static struct udp_socket *find_place(void)
{
	struct udp_socket *place = find_socket(-1), *other;
	unsigned i;

	if (place)
		return place;
	if (self.socket_count < SOCKETS)
		return &self.sockets[self.socket_count++];
	for (i = 0; i < SOCKETS; i++) {
		other = &self.sockets[i];
		if (!other->in && other->used_in != self.round &&
		    (!place || self.round - other->used_in > self.round - place->used_in))
			place = other;
	}
	return place;
}

/* Whether @fd is of UDP, and the kernel knows how to cut: one before Linux 4.18 would send all that
 * was kept as one datagram. */
static bool is_udp(int fd)
{
	int each;
	socklen_t len = sizeof(each);

	return getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &each, &len) == 0;
}

/* NULL: nothing is known of it, nor will be. */
static struct udp_socket *get_socket(int fd)
{
	struct udp_socket *socket = find_socket(fd);

	if (!socket && is_udp(fd)) {
		socket = find_place();
		if (socket)
			*socket = (struct udp_socket){.fd = fd, .hops = -1};
	}
	if (socket)
		socket->used_in = self.round;
	return socket;
}

/* ---- to the host ---- */

/* Sends @len bytes; the kernel cuts them into datagrams of @each, unless that is 0. */
static ssize_t send_bytes(const struct udp_socket *socket, size_t at, size_t len, uint16_t each)
{
	struct outbox *out = socket->out;
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(each))];
	} control = {.header = {
			     .cmsg_level = IPPROTO_UDP,
			     .cmsg_type = UDP_SEGMENT,
			     .cmsg_len = CMSG_LEN(sizeof(each)),
		     }};
	struct iovec iov = {out->bytes + at, len};
	struct msghdr message = {
		.msg_name = &out->to,
		.msg_namelen = out->to_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	if (each) {
		memcpy(CMSG_DATA(&control.header), &each, sizeof(each));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(socket->fd, &message, MSG_DONTWAIT);
}

static void send_kept(const struct udp_socket *socket)
{
	struct outbox *out = socket->out;
	size_t at;

	/* Each for itself where the kernel does not cut: longer than the network's MTU, say. */
	if (out->count < 2 ||
	    (send_bytes(socket, 0, out->len, (uint16_t)out->each) < 0 && errno != EAGAIN))
		for (at = 0; at < out->len; at += out->each)
			(void)send_bytes(socket, at, MIN(out->each, out->len - at), 0);
	out->count = 0;
	out->len = 0;
}

static void close_outbox(struct udp_socket *socket)
{
	if (!socket->out)
		return;
	send_kept(socket);
	socket->out->taken = false;
	socket->out = NULL;
}

/* For what comes after a first datagram to @to. */
static void open_outbox(struct udp_socket *socket, const struct sockaddr *to, socklen_t to_len)
{
	unsigned i;

	for (i = 0; i < BOXES && self.out[i].taken; i++)
		;
	if (i == BOXES || !to || to_len > sizeof(self.out[i].to))
		return;
	socket->out = &self.out[i];
	socket->out->taken = true;
	socket->out->to_len = to_len;
	memcpy(&socket->out->to, to, to_len);
}

static bool is_for(const struct outbox *out, const struct sockaddr *to, socklen_t to_len)
{
	return out && to && to_len == out->to_len && !memcmp(to, &out->to, to_len);
}

static void keep(struct udp_socket *socket, const void *bytes, size_t len)
{
	struct outbox *out = socket->out;

	if (out->count && (len > out->each || out->len + len > OUTBOX_BYTES_MAX))
		send_kept(socket);
	if (!out->count)
		out->each = len;
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
	out->count++;
	if (len < out->each || out->count == OUTBOX_MAX)
		send_kept(socket);
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	struct udp_socket *socket = self.gathering ? get_socket(fd) : NULL;
	ssize_t ret;

	if (socket && is_for(socket->out, to, to_len) && !flags && len && len <= OUTBOX_BYTES_MAX) {
		keep(socket, bytes, len);
		return (ssize_t)len;
	}
	if (socket)
		close_outbox(socket);
	ret = syscall(SYS_sendto, fd, bytes, len, flags | MSG_DONTWAIT, to, to_len);
	if (ret < 0 && errno == EAGAIN)
		return (ssize_t)len;
	if (socket && ret >= 0)
		open_outbox(socket, to, to_len);
	return ret;
}

void datagrams_gather(void)
{
	self.gathering = true;
	self.round++;
}

void datagrams_send(void)
{
	unsigned i;

	self.gathering = false;
	for (i = 0; i < self.socket_count; i++)
		close_outbox(&self.sockets[i]);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	bool is_hops = ((level == IPPROTO_IP && name == IP_TTL) ||
			(level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS)) &&
		       len == sizeof(int);
	struct udp_socket *socket = find_socket(fd);
	int hops = -1, ret;

	if (is_hops)
		memcpy(&hops, value, sizeof(hops));
	if (socket && is_hops && hops == socket->hops)
		return 0;
	/* What was sent before goes as it was then. */
	if (socket)
		close_outbox(socket);
	ret = (int)syscall(SYS_setsockopt, fd, level, name, value, len);
	if (socket && is_hops)
		socket->hops = ret < 0 ? -1 : hops;
	return ret;
}

/* ---- from the host ---- */

static struct inbox *open_inbox(void)
{
	struct inbox *in;
	unsigned i;

	for (i = 0; i < BOXES && self.in[i].taken; i++)
		;
	if (i == BOXES)
		return NULL;
	in = &self.in[i];
	for (i = 0; i < DATAGRAMS_MAX; i++) {
		in->iov[i] = (struct iovec){in->bytes[i], LEN_MAX};
		in->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_namelen = sizeof(in->from[i]),
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
		};
	}
	return in;
}

/* Reads what @socket has. 0, or as recvmmsg(2); then there is no inbox. */
static int fill_inbox(struct udp_socket *socket)
{
	struct inbox *in = open_inbox();
	int count;

	if (!in) {
		errno = EAGAIN;
		return -1;
	}
	count = recvmmsg(socket->fd, in->headers, DATAGRAMS_MAX, MSG_DONTWAIT, NULL);
	if (count <= 0)
		return count;
	in->taken = true;
	in->next = 0;
	in->count = (unsigned)count;
	socket->in = in;
	self.waiting++;
	return 0;
}

static void close_inbox(struct udp_socket *socket)
{
	if (!socket->in)
		return;
	socket->in->taken = false;
	socket->in = NULL;
	self.waiting--;
}

static bool has_errors(int fd)
{
	return fd == self.ready_fd && self.errors;
}

/* The length of what is next at @fd, as FIONREAD. */
static int next_len(int fd, int *len)
{
	bool errors = has_errors(fd);
	struct udp_socket *socket = errors ? find_socket(fd) : get_socket(fd);

	/* To read where poll(2) has seen an error would swallow it. One that has come since then is
	 * told by the next. */
	if (!errors && socket && !socket->in && fill_inbox(socket) < 0 && errno != EAGAIN)
		return -1;
	if (!socket || !socket->in)
		return (int)syscall(SYS_ioctl, fd, FIONREAD, len);
	*len = (int)socket->in->headers[socket->in->next].msg_len;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == FIONREAD)
		return next_len(fd, argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

ssize_t recvfrom(int fd, void *bytes, size_t len, int flags, struct sockaddr *from,
		 socklen_t *from_len)
{
	struct udp_socket *socket = self.waiting ? find_socket(fd) : NULL;
	struct inbox *in = socket ? socket->in : NULL;
	const struct mmsghdr *header;

	if (!in)
		return syscall(SYS_recvfrom, fd, bytes, len, flags, from, from_len);
	header = &in->headers[in->next++];
	len = MIN(len, (size_t)header->msg_len);
	memcpy(bytes, header->msg_hdr.msg_iov->iov_base, len);
	if (from) {
		memcpy(from, header->msg_hdr.msg_name, MIN(*from_len, header->msg_hdr.msg_namelen));
		*from_len = header->msg_hdr.msg_namelen;
	}
	if (in->next == in->count)
		close_inbox(socket);
	return (ssize_t)len;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	if ((flags & MSG_ERRQUEUE) && fd == self.ready_fd && !self.errors) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_recvmsg, fd, message, flags);
}

void datagrams_ready(int fd, short revents)
{
	self.ready_fd = fd;
	self.errors = revents & POLLERR;
}

bool datagrams_wait(int fd)
{
	const struct udp_socket *socket = self.waiting ? find_socket(fd) : NULL;

	return socket && socket->in;
}

bool datagrams_wait_anywhere(void)
{
	return self.waiting;
}

void datagrams_forget(int fd)
{
	struct udp_socket *socket = find_socket(fd);

	if (socket) {
		close_outbox(socket);
		close_inbox(socket);
		socket->fd = -1;
	}
	if (self.ready_fd == fd)
		self.ready_fd = -1;
}
