/*
 * What sarang and its network process say to each other.
 *
 * Frames, as they are on a wire, go through two rings (ring.h) in memory that both have mapped: a
 * memfd, sealed against changes of its size, that the process finds as descriptor 4. Who wakes the
 * other signals an eventfd: 5 is signalled by sarang, 6 by the process.
 *
 * Over a SOCK_SEQPACKET socket, descriptor 3, the process sends one struct net_report. After that
 * the socket only serves to see the other's end.
 *
 *     READY   with the descriptor of its seccomp filter's notifications, if it has one
 *     FAILED  to listen on the forwarded port number @index, for the reason @errnum; it then ends
 *
 * The process's configuration is its command line (struct net_user_options as words): there is
 * nothing secret in it, and who lists processes sees what it does.
 */
#ifndef SARANG_NET_PROTOCOL_H
#define SARANG_NET_PROTOCOL_H

#include <stdint.h>

#include "net/ring.h"
#include "net/spawn.h"

#define NET_PROCESS_NAME   "sarang-slirp"
#define NET_PROCESS_SOCKET NET_SPAWN_SOCKET
#define NET_PROCESS_RINGS  (NET_SPAWN_SOCKET + 1)
#define NET_PROCESS_EVENT  (NET_SPAWN_SOCKET + 2) /* it is woken */
#define NET_PROCESS_SIGNAL (NET_SPAWN_SOCKET + 3) /* it wakes sarang */

struct net_rings {
	struct net_ring_shared from_guest, to_guest;
};

enum net_report_kind {
	NET_REPORT_READY = 1,
	NET_REPORT_FAILED = 2,
};

struct net_report {
	uint8_t kind;
	uint8_t index;
	uint16_t unused;
	int32_t errnum; /* of this host: both ends run on it */
};

_Static_assert(sizeof(struct net_report) == 8, "shorter than any frame");

#endif
