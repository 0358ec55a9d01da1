/* Networking through passt, over its stream socket: see stream.c. */
#ifndef SARANG_NET_STREAM_H
#define SARANG_NET_STREAM_H

#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct net;

/* passt scales its windows: the larger, the faster. */
#define NET_STREAM_MTU_DEFAULT 65520

/* Copied by net_stream_open. */
struct net_stream_options {
	const char *path;    /* of the Unix socket to connect to; NULL: passt is started */
	const char *program; /* what to start; NULL: passt, from the search path */
	uint16_t mtu_bytes;
};

/*
 * Connects, or starts the program. 0, or -errno with a sentence: nobody listens, the program is not
 * installed. Later the connection is made again whenever it is lost.
 */
int net_stream_open(const char *id, const struct net_stream_options *options, struct loop *loop,
		    struct net **out, struct err *e);

#endif
