/* The program at the other end of a network: see peer.h. */
#include "net/peer.h"

#include "base/util.h"
#include "net/net.h"

#define NS_PER_MS    UINT64_C(1000000)
#define DELAY_MIN_NS (50 * NS_PER_MS)
#define DELAY_MAX_NS (5000 * NS_PER_MS)
/* Who has lived that long did not die young. */
#define OLD_NS (10000 * NS_PER_MS)

void net_peer_init(struct net_peer *peer, struct net *net, void (*again)(void *opaque),
		   void *opaque)
{
	*peer = (struct net_peer){
		.net = net,
		.again = {.fired = again, .opaque = opaque},
		.delay_ns = DELAY_MIN_NS,
	};
}

void net_peer_begins(struct net_peer *peer)
{
	peer->born_ns = loop_now_ns();
}

static void set_link(struct net_peer *peer, bool down)
{
	if (peer->link_down != down)
		net_link_changed(peer->net, !down);
	peer->link_down = down;
}

void net_peer_serves(struct net_peer *peer)
{
	set_link(peer, false);
}

void net_peer_lost(struct net_peer *peer)
{
	net_peer_plan(peer);
	set_link(peer, true);
}

void net_peer_plan(struct net_peer *peer)
{
	if (loop_now_ns() - peer->born_ns > OLD_NS)
		peer->delay_ns = DELAY_MIN_NS;
	loop_timer_arm(peer->net->loop, &peer->again, peer->delay_ns);
	peer->delay_ns = MIN(2 * peer->delay_ns, DELAY_MAX_NS);
}

void net_peer_stop(struct net_peer *peer)
{
	loop_timer_cancel(peer->net->loop, &peer->again);
}
