/* What goes over a network card, in a file for Wireshark: see capture.c. */
#ifndef SARANG_NET_CAPTURE_H
#define SARANG_NET_CAPTURE_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/err.h"

struct net_capture;

/* Makes or empties the file and writes its head, for the cards "net0" to "netN-1". 0, or -errno
 * with a sentence: -EBUSY for a disk image in use, which stays as it is. */
int net_capture_begin(const char *path, unsigned cards, struct err *e);

/* Opens it for card number @card, each of which writes on a thread of its own. *@out is freed with
 * net_capture_close. 0 or -errno. */
int net_capture_open(const char *path, unsigned card, struct net_capture **out, struct err *e);
void net_capture_close(struct net_capture *capture); /* NULL is fine */

enum net_direction {
	NET_TO_GUEST = 1, /* the numbers are pcapng's */
	NET_FROM_GUEST = 2,
};

/* Adds the first @len bytes of @iov as one frame. A file that takes no more is left, with a word in
 * the log: the network goes on. NULL for @capture is fine. */
void net_capture_frame(struct net_capture *capture, enum net_direction direction,
		       const struct iovec *iov, int count, size_t len);

#endif
