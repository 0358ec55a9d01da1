/* A queue of a tap device: a descriptor that frames are read from and written to. */
#ifndef SARANG_NET_TAP_DEVICE_H
#define SARANG_NET_TAP_DEVICE_H

#include <linux/if_tun.h>
#include <stdbool.h>

#include "base/err.h"

/* How each of ours is set up: Ethernet frames behind struct net_header. */
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

/*
 * Opens a queue of the interface @ifname. A descriptor, or -errno with a sentence: there is none,
 * it is none of tap's, in use, or another user's.
 */
int tap_attach(const char *ifname, struct err *e);

/* Whether the interface of that queue was made for several. */
bool tap_is_multi_queue(int fd);

#endif
