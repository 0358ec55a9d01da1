/*
 * Sockets of the loopback's that send each other datagrams, and note what has still to be read: for
 * the tests of datagrams.
 */
#ifndef SARANG_TESTS_NET_ENDS_H
#define SARANG_TESTS_NET_ENDS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define END_LEN_MAX 65507
#define END_QUEUED  128

/* One, and what it has still to read. */
struct end {
	int fd;
	int hops; /* as set last */
	struct sockaddr_in6 at;
	struct {
		uint32_t seed; /* of its bytes */
		size_t len;
		int hops;
		in_port_t from;
	} queue[END_QUEUED];
	unsigned head, tail;
};

extern uint64_t end_seed;
extern uint8_t end_got[65536]; /* what was read last */

void end_open(struct end *end);
/* As libslirp does it. */
void end_close(struct end *end);
unsigned end_queued(const struct end *end);

/* Whether the kernel takes a datagram of @len bytes more for it, wherever its limits are not below
 * the usual ones. */
bool end_has_room(const struct end *end, size_t len);

/* Sends one datagram from @from to @to, and notes it there. */
void end_send(struct end *from, struct end *to, size_t len);

/* Reads all that was sent to @peer, as a program of the host's does. */
void end_read_as_host(struct end *peer);

/* Reads the next datagram for @end, as libslirp does. */
void end_read_as_libslirp(struct end *end);

#endif
