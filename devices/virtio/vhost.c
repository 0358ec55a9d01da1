/*
 * vhost-net: see vhost.h.
 *
 * The kernel's thread reads and writes the rings and buffers itself, by the addresses that the
 * guest wrote, through the table of guest memory that it is given: what is not RAM of the guest it
 * does not touch. It is told of notifications by the same eventfds that KVM signals, and signals
 * the interrupt line's.
 *
 * On a vCPU's thread or the main one, under vd->change.
 */
#include "virtio/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/util.h"

#define VHOST_PATH "/dev/vhost-net"

/* What decides how rings and headers look; everything else is between the driver and the tap
 * device. */
#define RING_FEATURES                                              \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_EVENT_IDX | \
	 1ull << VIRTIO_F_INDIRECT_DESC | 1ull << VIRTIO_NET_F_MRG_RXBUF)

int vhost_open(struct vhost *vhost, const char *id, struct err *e)
{
	uint64_t features;
	int ret = 0;

	vhost->fd = open(VHOST_PATH, O_RDWR | O_CLOEXEC);
	if (vhost->fd < 0)
		return err_errno(e, errno, "%s: vhost=on: cannot open %s", id, VHOST_PATH);
	if (ioctl(vhost->fd, VHOST_SET_OWNER, NULL) < 0 ||
	    ioctl(vhost->fd, VHOST_GET_FEATURES, &features) < 0)
		ret = err_errno(e, errno, "%s: vhost=on: cannot use %s", id, VHOST_PATH);
	else if (RING_FEATURES & ~features)
		ret = err_set(e, ENOTSUP, "%s: vhost=on: %s of this host's kernel is too old", id,
			      VHOST_PATH);
	if (ret < 0)
		vhost_close(vhost);
	return ret;
}

void vhost_close(struct vhost *vhost)
{
	fd_close(&vhost->fd);
}

static int set_memory(const struct vhost *vhost, const struct gmem *mem)
{
	size_t count = gmem_range_count(mem), i;
	struct vhost_memory *table = calloc(1, sizeof(*table) + count * sizeof(table->regions[0]));
	int ret;

	if (!table)
		return -ENOMEM;
	table->nregions = (uint32_t)count;
	for (i = 0; i < count; i++) {
		const struct gmem_range *range = gmem_range_at(mem, i);

		table->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = range->gpa,
			.memory_size = range->size_bytes,
			.userspace_addr = (uintptr_t)range->host,
		};
	}
	ret = ioctl(vhost->fd, VHOST_SET_MEM_TABLE, table) < 0 ? -errno : 0;
	free(table);
	return ret;
}

static int set_ring(const struct vhost *vhost, const struct vhost_job *job, unsigned index)
{
	const struct virtio_queue *queue = &job->vd->queues[job->first + index];
	struct virtq_rings rings = virtq_rings(&queue->live);
	struct vhost_vring_state num = {.index = index, .num = rings.size};
	struct vhost_vring_state base = {.index = index, .num = rings.next};
	struct vhost_vring_file kick = {.index = index, .fd = queue->bell.fd};
	struct vhost_vring_file call = {.index = index, .fd = job->call_fd};
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)rings.desc,
		.avail_user_addr = (uintptr_t)rings.avail,
		.used_user_addr = (uintptr_t)rings.used,
	};

	if (ioctl(vhost->fd, VHOST_SET_VRING_NUM, &num) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_BASE, &base) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_ADDR, &addr) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_KICK, &kick) < 0 ||
	    ioctl(vhost->fd, VHOST_SET_VRING_CALL, &call) < 0)
		return -errno;
	return 0;
}

static int set_backend(const struct vhost *vhost, unsigned index, int fd)
{
	struct vhost_vring_file backend = {.index = index, .fd = fd};

	return ioctl(vhost->fd, VHOST_NET_SET_BACKEND, &backend) < 0 ? -errno : 0;
}

int vhost_begin(const struct vhost *vhost, const struct vhost_job *job)
{
	uint64_t features = job->vd->accepted & RING_FEATURES;
	unsigned i;
	int ret = ioctl(vhost->fd, VHOST_SET_FEATURES, &features) < 0 ? -errno : 0;

	if (!ret)
		ret = set_memory(vhost, job->vd->env->mem);
	for (i = 0; i < 2 && !ret; i++)
		ret = set_ring(vhost, job, i);
	for (i = 0; i < 2 && !ret; i++)
		ret = set_backend(vhost, i, job->tap_fd);
	if (ret < 0)
		vhost_end(vhost, job);
	return ret;
}

void vhost_end(const struct vhost *vhost, const struct vhost_job *job)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct vhost_vring_state base = {.index = i};

		/* Returns when nothing is under way; fails where it never began. */
		(void)set_backend(vhost, i, -1);
		if (!ioctl(vhost->fd, VHOST_GET_VRING_BASE, &base))
			virtq_go_on_at(&job->vd->queues[job->first + i].live, (uint16_t)base.num);
	}
}
