/*
 * User-mode networking, sarang's side: a process of its own (slirp/) is the guest's whole network,
 * and turns what the guest sends into ordinary sockets of an ordinary user. See user.c.
 */
#ifndef SARANG_NET_USER_H
#define SARANG_NET_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"
#include "net/address.h"

struct net;

#define NET_FORWARDS_MAX 64

/*
 * What libslirp can do. The larger, the faster, as a frame costs the same whatever its size; but
 * its TCP has no window scaling, and of 64 KiB two segments have to fit, or each waits for the
 * acknowledgement of the one before.
 */
#define NET_USER_MTU_MIN     1280 /* IPv6's least */
#define NET_USER_MTU_MAX     65521
#define NET_USER_MTU_DEFAULT 32768

/* Copied by net_user_open. */
struct net_user_options {
	uint16_t mtu_bytes;
	bool restricted;       /* the guest reaches nothing but what is forwarded to it */
	const char *hostname;  /* what the guest is told it is called; NULL: nothing */
	const char *program;   /* of the network process; NULL: where sarang is */
	unsigned begin_max_ms; /* the time it has to begin; 0: as much as a busy host needs */
	unsigned forward_count;
	struct net_forward forwards[NET_FORWARDS_MAX];
};

int net_user_open(const char *id, const struct net_user_options *options, struct loop *loop,
		  struct net **out, struct err *e);

#endif
