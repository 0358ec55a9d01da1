/* A network back-end in memory for tests: records what it is sent, is busy or delivers when told.
 */
#ifndef SARANG_TESTS_VIRTIO_FAKE_NET_H
#define SARANG_TESTS_VIRTIO_FAKE_NET_H

#include "net/net.h"

struct fake_net {
	struct net net;
	_Atomic bool busy; /* refuses frames */
	bool at_work;      /* with what it was sent, and will wake the loop up when it is done */
	bool stalled;      /* the front-end had no buffers */
	unsigned sent;     /* frames taken */
	unsigned tries;    /* frames offered, the refused ones too */
	unsigned resumed, started, stopped;
	struct net_header header; /* of the last frame offered */
	size_t len;
	bool out_of_order; /* a frame's first word was not its number, from 0 */
	uint8_t frame[NET_FRAME_MAX];
};

/* On @loop; the device frees it. */
struct fake_net *fake_net_new(struct loop *loop, const struct net_info *info);

/*
 * A frame arrives from the host, with what the back-end's header says of it (NULL: nothing). False:
 * the front-end cannot take one now, and it is as if it had not arrived.
 */
bool fake_net_receive(struct fake_net *fake, const void *frame, size_t len,
		      const struct net_header *header);

#endif
