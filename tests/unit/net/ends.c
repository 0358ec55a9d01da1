/* Sockets that send each other datagrams: see ends.h. */
#include "ends.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/slirp/datagrams.h"
#include "unit.h"

uint64_t end_seed;
uint8_t end_got[65536];
static uint8_t bytes[END_LEN_MAX];

void end_open(struct end *end)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	socklen_t len = sizeof(end->at);
	int size = 1 << 20, on = 1;

	*end = (struct end){.fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
	ck_assert_int_ge(end->fd, 0);
	ck_assert(!bind(end->fd, (struct sockaddr *)&any, sizeof(any)));
	ck_assert(!getsockname(end->fd, (struct sockaddr *)&end->at, &len));
	ck_assert(!setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	ck_assert(!setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	ck_assert(!setsockopt(end->fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof(on)));
}

void end_close(struct end *end)
{
	datagrams_forget(end->fd);
	close(end->fd);
}

static void make_bytes(uint32_t from, size_t len)
{
	uint64_t state = from + 1ull;
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = i % 64 ? (uint8_t)(bytes[i - 1] + 1) : (uint8_t)unit_random(&state);
}

unsigned end_queued(const struct end *end)
{
	return end->head - end->tail;
}

void end_send(struct end *from, struct end *to, size_t len)
{
	uint32_t made_of = (uint32_t)unit_random(&end_seed);

	make_bytes(made_of, len);
	ck_assert_int_eq(sendto(from->fd, bytes, len, 0, (struct sockaddr *)&to->at,
				sizeof(to->at)),
			 (ssize_t)len);
	to->queue[to->head % END_QUEUED].seed = made_of;
	to->queue[to->head % END_QUEUED].len = len;
	to->queue[to->head % END_QUEUED].hops = from->hops;
	to->queue[to->head++ % END_QUEUED].from = from->at.sin6_port;
}

/* What was read is what is noted as next; its number there. */
static unsigned take_next(struct end *end, ssize_t len, const struct sockaddr_in6 *from)
{
	unsigned at = end->tail++ % END_QUEUED;

	ck_assert_int_eq(len, (ssize_t)end->queue[at].len);
	make_bytes(end->queue[at].seed, (size_t)len);
	ck_assert_int_eq(memcmp(end_got, bytes, (size_t)len), 0);
	ck_assert_int_eq(from->sin6_port, end->queue[at].from);
	return at;
}

bool end_has_room(const struct end *end, size_t len)
{
	unsigned i;

	for (i = end->tail; i != end->head; i++)
		len += end->queue[i % END_QUEUED].len;
	return end_queued(end) < END_QUEUED && len <= 100000;
}

/* The first datagram noted in @end that came from @port: one socket's keep their order, those of
 * two need not. It is put first. */
static void find_from(struct end *end, in_port_t port)
{
	unsigned i;

	for (i = end->tail; i != end->head; i++)
		if (end->queue[i % END_QUEUED].from == port)
			break;
	ck_assert_uint_ne(i, end->head);
	for (; i != end->tail; i--) {
		__typeof__(end->queue[0]) was = end->queue[i % END_QUEUED];

		end->queue[i % END_QUEUED] = end->queue[(i - 1) % END_QUEUED];
		end->queue[(i - 1) % END_QUEUED] = was;
	}
}

void end_read_as_host(struct end *peer)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct sockaddr_in6 from;
	struct iovec iov = {end_got, sizeof(end_got)};
	struct msghdr message = {.msg_name = &from, .msg_iov = &iov, .msg_iovlen = 1};
	unsigned at;
	ssize_t len;
	int hops;

	while (end_queued(peer)) {
		message.msg_namelen = sizeof(from);
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		len = recvmsg(peer->fd, &message, 0);
		ck_assert_msg(len >= 0, "%u datagrams did not arrive", end_queued(peer));
		find_from(peer, from.sin6_port);
		at = take_next(peer, len, &from);
		memcpy(&hops, CMSG_DATA(&control.header), sizeof(hops));
		ck_assert(!peer->queue[at].hops || peer->queue[at].hops == hops);
	}
	ck_assert_int_lt(recvmsg(peer->fd, &message, 0), 0);
}

void end_read_as_libslirp(struct end *end)
{
	struct sockaddr_in6 from;
	socklen_t from_len = sizeof(from);
	struct msghdr none = {0};
	int there = -1;
	ssize_t len;

	datagrams_ready(end->fd, POLLIN);
	ck_assert_int_lt(recvmsg(end->fd, &none, MSG_ERRQUEUE), 0);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert(!ioctl(end->fd, FIONREAD, &there));
	len = recvfrom(end->fd, end_got, sizeof(end_got), 0, (struct sockaddr *)&from, &from_len);
	if (!end_queued(end)) {
		ck_assert(len < 0 && errno == EAGAIN && !there);
		return;
	}
	ck_assert_int_eq(len, there);
	(void)take_next(end, len, &from);
	if (!end_queued(end))
		ck_assert(!datagrams_wait(end->fd));
}
