/* Networking over a tap device of the host: see tap.c. */
#ifndef SARANG_NET_TAP_H
#define SARANG_NET_TAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "loop/loop.h"

struct net;

#define NET_TAP_QUEUES_MAX 4

struct net_tap_options {
	const char *ifname; /* an interface that is there; NULL: @fd is used */
	int fd;             /* of a tap device that somebody has opened for us; taken over */
	unsigned queues;    /* of an interface, 1 to NET_TAP_QUEUES_MAX; 0 is 1 */
};

int net_tap_open(const char *id, const struct net_tap_options *options, struct loop *loop,
		 struct net **out, struct err *e);

/* For `sarang net tap`: what needs a privilege once. */
struct net_tap_create {
	const char *ifname;
	const char *bridge; /* NULL: none */
	uid_t user;         /* who may use it from then on */
	bool multi_queue;   /* for queues= of more than one */
};

/* Makes a lasting tap device, puts it on a bridge, and sets it up. 0, or -errno with a sentence;
 * then nothing is left of it. */
int net_tap_create(const struct net_tap_create *create, struct err *e);

/* Removes one. *@lasts: it goes when who has queues of it lets them go. 0, or -errno with a
 * sentence: also where the interface is none of tap's. */
int net_tap_delete(const char *ifname, bool *lasts, struct err *e);

#endif
