/*
 * vhost-net: the host's kernel moves a card's frames between its queues and a tap device, without
 * this process. <linux/vhost.h>, Documentation of the ioctls there.
 */
#ifndef SARANG_VIRTIO_VHOST_H
#define SARANG_VIRTIO_VHOST_H

#include "base/err.h"
#include "virtio/virtio.h"

/* One for each pair of queues. */
struct vhost {
	int fd; /* -1: none */
};

/* Opens /dev/vhost-net and sees whether it can do what the card needs. 0, or -errno with a
 * sentence. Closed with vhost_close, which is repeatable. */
int vhost_open(struct vhost *vhost, const char *id, struct err *e);
void vhost_close(struct vhost *vhost);

/* What it serves: the queues @first (receive) and @first + 1 of @vd, which are open, and @tap_fd.
 * Notifications come by the queues' bells; interrupts go to @call_fd, an eventfd. */
struct vhost_job {
	struct virtio_device *vd;
	unsigned first;
	int tap_fd;
	int call_fd;
};

/* Begins; the queues are the kernel's until vhost_end. 0 or -errno, after which they are ours. */
int vhost_begin(const struct vhost *vhost, const struct vhost_job *job);

/* Ends it; returns when the kernel does not touch the queues any more. They go on where it left
 * off. */
void vhost_end(const struct vhost *vhost, const struct vhost_job *job);

#endif
