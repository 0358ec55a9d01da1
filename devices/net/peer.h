/*
 * The program at the other end of a network, which may end at any time: its successor's hour, and
 * the cable of the card, which is out meanwhile. For back-ends (net/net.h), on the card's loop.
 */
#ifndef SARANG_NET_PEER_H
#define SARANG_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

struct net;

struct net_peer {
	struct net *net;
	struct loop_timer again; /* starts the next one */
	uint64_t delay_ns, born_ns;
	bool link_down; /* the guest was told */
};

/* @again is called when it is time to start the next one. */
void net_peer_init(struct net_peer *peer, struct net *net, void (*again)(void *opaque),
		   void *opaque);

/* It begins its life. */
void net_peer_begins(struct net_peer *peer);

/* It is there, in good order: the cable is in. */
void net_peer_serves(struct net_peer *peer);

/* It is gone: plans the next one and pulls the cable out. */
void net_peer_lost(struct net_peer *peer);

/* Plans the next one: soon, or after twice the time of the last when that one died young. */
void net_peer_plan(struct net_peer *peer);

/* No other is started. */
void net_peer_stop(struct net_peer *peer);

#endif
