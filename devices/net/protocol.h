/*
 * What sarang and its network process say to each other, over a SOCK_SEQPACKET socket that the
 * process finds as descriptor 3.
 *
 * A message of NET_ETHERNET_BYTES or more is a frame, as it is on a wire. A shorter one is a struct
 * net_report, from the process only:
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

#include "net/spawn.h"

#define NET_PROCESS_NAME   "sarang-slirp"
#define NET_PROCESS_SOCKET NET_SPAWN_SOCKET

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
