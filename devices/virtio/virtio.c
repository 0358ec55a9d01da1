/*
 * What all virtio devices share: see virtio.h. Virtio 1.2, chapters 2 and 3.
 *
 * Queues live between DRIVER_OK and the next reset (or QueueReady = 0): only then are rings mapped,
 * from the configuration as it is at that moment. A reset takes these steps, each of which later
 * ones rely on:
 *   1. the doorbells are taken back: no notification arrives any more;
 *   2. `serving` is cleared under the lock: nothing is popped any more, by any thread;
 *   3. ops->quiesce: what the device has under way ends, completions go to the rings that are still
 * there;
 *   4. the queues are closed under the lock: no completion can find them.
 * Then the guest's write of 0 returns.
 */
#include "virtio/virtio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"

#define DRIVER_BITS \
	(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK | VIRTIO_FAILED)

static uint64_t feature_mask(enum virtio_feature feature)
{
	return 1ull << feature;
}

void virtio_offer(struct virtio_device *vd, enum virtio_feature feature)
{
	vd->offered |= feature_mask(feature);
}

bool virtio_has_feature(const struct virtio_device *vd, enum virtio_feature feature)
{
	return vd->accepted & feature_mask(feature);
}

static void bell_rung(void *opaque, uint32_t events)
{
	struct virtio_queue *queue = opaque;

	(void)events;
	fd_event_clear(queue->bell.fd);
	queue->vd->ops->notify(queue->vd, (unsigned)(queue - queue->vd->queues));
}

static void reset_queue_config(struct virtio_device *vd, struct virtio_queue *queue)
{
	queue->config = (struct virtq_config){.size = vd->ops->queue_size};
}

static int init_queue(struct virtio_device *vd, struct virtio_queue *queue, struct err *e)
{
	int ret = virtq_init(&queue->live, vd->ops->queue_size, e);

	if (ret < 0)
		return ret;
	queue->vd = vd;
	queue->bell = (struct loop_fd){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = bell_rung,
		.opaque = queue,
	};
	if (queue->bell.fd < 0)
		return err_errno(e, errno, "%s: cannot make an eventfd for its queue", vd->id);
	reset_queue_config(vd, queue);
	return 0;
}

int virtio_init(struct virtio_device *vd, const struct virtio_setup *setup, struct err *e)
{
	unsigned i;
	int ret;

	vd->ops = setup->ops;
	vd->env = setup->env;
	vd->loop = setup->loop;
	vd->queue_count = setup->queue_count;
	vd->config = setup->config;
	vd->config_bytes = setup->config_bytes;
	snprintf(vd->id, sizeof(vd->id), "%s", setup->id);
	pthread_mutex_init(&vd->change, NULL);
	pthread_mutex_init(&vd->lock, NULL);
	for (i = 0; i < VIRTIO_QUEUES_MAX; i++)
		vd->queues[i].bell.fd = -1;
	virtio_offer(vd, VIRTIO_F_VERSION_1);
	virtio_offer(vd, VIRTIO_F_EVENT_IDX);
	virtio_offer(vd, VIRTIO_F_INDIRECT_DESC);
	for (i = 0; i < vd->queue_count; i++) {
		ret = init_queue(vd, &vd->queues[i], e);
		if (ret < 0) {
			virtio_fini(vd);
			return ret;
		}
	}
	return 0;
}

void virtio_fini(struct virtio_device *vd)
{
	unsigned i;

	for (i = 0; i < vd->queue_count; i++) {
		virtq_fini(&vd->queues[i].live);
		fd_close(&vd->queues[i].bell.fd);
	}
	pthread_mutex_destroy(&vd->lock);
	pthread_mutex_destroy(&vd->change);
}

/* ---- serving ---- */

bool virtio_serve_begin(struct virtio_device *vd)
{
	pthread_mutex_lock(&vd->lock);
	return vd->serving && !atomic_load(&vd->broken);
}

/* Gives `lock` back and interrupts for what was gathered under it. */
static void unlock_and_interrupt(struct virtio_device *vd)
{
	unsigned due = vd->due;

	vd->due = 0;
	/* Under the lock, so that a reset that comes next also clears it. */
	if (due)
		atomic_fetch_or(&vd->isr, due);
	pthread_mutex_unlock(&vd->lock);
	if (due)
		vd->transport->pulse(vd);
}

void virtio_serve_end(struct virtio_device *vd)
{
	unsigned i;

	for (i = 0; i < vd->queue_count; i++)
		if (virtq_publish(&vd->queues[i].live))
			vd->due |= VIRTIO_CAUSE_USED;
	unlock_and_interrupt(vd);
}

int virtio_pop(struct virtio_device *vd, unsigned queue, struct virtq_chain **chain)
{
	struct virtq *q = &vd->queues[queue].live;
	int ret;

	if (!vd->serving || atomic_load(&vd->broken))
		return 0;
	ret = virtq_pop(q, chain);
	if (ret < 0) {
		virtio_break(vd, queue, q->fault);
		ret = 0;
	}
	return ret;
}

void virtio_push(struct virtio_device *vd, unsigned queue, struct virtq_chain *chain, uint32_t len)
{
	virtq_push(&vd->queues[queue].live, chain, len);
}

void virtio_break(struct virtio_device *vd, unsigned queue, enum chain_fault fault)
{
	virtq_set_fault(&vd->queues[queue].live, fault);
	if (atomic_exchange(&vd->broken, true))
		return;
	log_limited(
		&vd->limit, LOG_WARN,
		"%s: the guest's driver misuses queue %u: %s; the device stops until it is reset",
		vd->id, queue, chain_fault_text(fault));
	/* 2.1.2: the driver is told once it runs. */
	virtio_config_changed(vd);
}

void virtio_give_up(struct virtio_device *vd, const char *why)
{
	if (atomic_exchange(&vd->broken, true))
		return;
	log_limited(&vd->limit, LOG_WARN, "%s: %s; the device stops until it is reset", vd->id,
		    why);
	virtio_config_changed(vd);
}

void virtio_config_changed(struct virtio_device *vd)
{
	atomic_fetch_add(&vd->generation, 1);
	if (vd->status & VIRTIO_DRIVER_OK)
		vd->due |= VIRTIO_CAUSE_CONFIG;
}

void virtio_ring(struct virtio_device *vd, unsigned queue)
{
	if (queue < vd->queue_count)
		fd_event_signal(vd->queues[queue].bell.fd);
}

/* ---- changes of state; `change` is held ---- */

/* Begins to serve the queues that are open. What was offered before has had its notification. */
static void resume(struct virtio_device *vd)
{
	unsigned i, open = 0;

	if (!vd->started)
		return;
	pthread_mutex_lock(&vd->lock);
	if (vd->status & VIRTIO_DRIVER_OK) {
		vd->serving = true;
		for (i = 0; i < vd->queue_count; i++)
			if (virtq_is_open(&vd->queues[i].live))
				open |= 1u << i;
	}
	pthread_mutex_unlock(&vd->lock);
	if (!open)
		return;
	if (vd->ops->hand_over)
		vd->ops->hand_over(vd);
	vd->transport->doorbells(vd, true);
	for (i = 0; i < vd->queue_count; i++)
		if (open & (1u << i))
			virtio_ring(vd, i);
}

/* Goes quiet: see the head of the file, steps 1 to 3. */
static void pause_serving(struct virtio_device *vd)
{
	vd->transport->doorbells(vd, false);
	pthread_mutex_lock(&vd->lock);
	vd->serving = false;
	pthread_mutex_unlock(&vd->lock);
	if (vd->ops->quiesce)
		vd->ops->quiesce(vd);
}

static void close_queue(struct virtio_device *vd, unsigned queue)
{
	if (virtq_is_open(&vd->queues[queue].live) && vd->ops->queue_closed)
		vd->ops->queue_closed(vd, queue);
	virtq_close(&vd->queues[queue].live);
	reset_queue_config(vd, &vd->queues[queue]);
}

static void do_reset(struct virtio_device *vd)
{
	unsigned i;

	pause_serving(vd);
	pthread_mutex_lock(&vd->lock);
	for (i = 0; i < vd->queue_count; i++)
		close_queue(vd, i);
	vd->status = 0;
	vd->accepted = 0;
	vd->accepted_unknown = false;
	vd->due = 0;
	atomic_store(&vd->broken, false);
	atomic_store(&vd->isr, 0);
	pthread_mutex_unlock(&vd->lock);
}

static void open_queues(struct virtio_device *vd)
{
	unsigned flags = 0, i;

	if (virtio_has_feature(vd, VIRTIO_F_EVENT_IDX))
		flags |= VIRTQ_EVENT_IDX;
	if (virtio_has_feature(vd, VIRTIO_F_INDIRECT_DESC))
		flags |= VIRTQ_INDIRECT;
	/* Each was checked when it was made ready, and has not been changeable since. */
	for (i = 0; i < vd->queue_count; i++)
		if (vd->queues[i].config.ready)
			(void)virtq_open(&vd->queues[i].live, vd->env->mem, &vd->queues[i].config,
					 flags);
}

static bool features_acceptable(const struct virtio_device *vd)
{
	return !vd->accepted_unknown && !(vd->accepted & ~vd->offered) &&
	       virtio_has_feature(vd, VIRTIO_F_VERSION_1);
}

/* The steps of 3.1.1 that @wanted asks for and that are possible, in their order. */
static uint8_t possible_status(const struct virtio_device *vd, uint8_t wanted)
{
	const uint8_t known = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
	uint8_t status = vd->status;

	status |= wanted & (known | VIRTIO_FAILED);
	if ((wanted & VIRTIO_FEATURES_OK) && (status & known) == known && features_acceptable(vd))
		status |= VIRTIO_FEATURES_OK;
	if ((wanted & VIRTIO_DRIVER_OK) && (status & VIRTIO_FEATURES_OK))
		status |= VIRTIO_DRIVER_OK;
	return status;
}

static void raise_status(struct virtio_device *vd, uint8_t value)
{
	bool activated = false;
	uint8_t status;

	pthread_mutex_lock(&vd->lock);
	if (vd->status & ~value & DRIVER_BITS) {
		/* 2.1.1: a driver must not take a bit back but by a reset. */
		log_limited(&vd->limit, LOG_INFO, "%s: status 0x%x after 0x%x is ignored", vd->id,
			    value, vd->status);
	} else {
		status = possible_status(vd, value);
		activated = (status & ~vd->status) & VIRTIO_DRIVER_OK;
		vd->status = status;
		if (activated)
			open_queues(vd);
	}
	pthread_mutex_unlock(&vd->lock);
	if (activated)
		resume(vd);
}

void virtio_set_status(struct virtio_device *vd, uint8_t value)
{
	pthread_mutex_lock(&vd->change);
	if (value)
		raise_status(vd, value);
	else
		do_reset(vd);
	pthread_mutex_unlock(&vd->change);
}

uint8_t virtio_status(struct virtio_device *vd)
{
	uint8_t status;

	pthread_mutex_lock(&vd->lock);
	status = vd->status;
	if (status && atomic_load(&vd->broken))
		status |= VIRTIO_NEEDS_RESET;
	pthread_mutex_unlock(&vd->lock);
	return status;
}

void virtio_queue_close(struct virtio_device *vd, unsigned queue)
{
	bool open;

	pthread_mutex_lock(&vd->change);
	pthread_mutex_lock(&vd->lock);
	open = virtq_is_open(&vd->queues[queue].live);
	vd->queues[queue].config.ready = false;
	pthread_mutex_unlock(&vd->lock);
	if (open) {
		pause_serving(vd);
		pthread_mutex_lock(&vd->lock);
		close_queue(vd, queue);
		pthread_mutex_unlock(&vd->lock);
		resume(vd);
	}
	pthread_mutex_unlock(&vd->change);
}

void virtio_reset(struct virtio_device *vd)
{
	virtio_set_status(vd, 0);
}

/* ---- the machine's start and stop ---- */

static void unwatch_bells(void *opaque)
{
	struct virtio_device *vd = opaque;
	unsigned i;

	for (i = 0; i < vd->queue_count; i++)
		loop_del_fd(vd->loop, &vd->queues[i].bell);
}

struct watch {
	struct virtio_device *vd;
	int ret;
};

static void watch_bells(void *opaque)
{
	struct watch *watch = opaque;
	struct virtio_device *vd = watch->vd;
	unsigned i;

	for (i = 0; i < vd->queue_count && !watch->ret; i++)
		watch->ret = loop_add_fd(vd->loop, &vd->queues[i].bell);
}

int virtio_start(struct virtio_device *vd, struct err *e)
{
	struct watch watch = {.vd = vd};
	int ret = 0;

	pthread_mutex_lock(&vd->change);
	if (vd->started)
		goto out;
	loop_call(vd->loop, watch_bells, &watch);
	if (watch.ret < 0)
		ret = err_errno(e, -watch.ret, "%s: cannot watch its queues", vd->id);
	else if (vd->ops->start)
		ret = vd->ops->start(vd, e);
	if (ret < 0) {
		loop_call(vd->loop, unwatch_bells, vd);
		goto out;
	}
	vd->started = true;
	resume(vd);
out:
	pthread_mutex_unlock(&vd->change);
	return ret;
}

void virtio_stop(struct virtio_device *vd)
{
	pthread_mutex_lock(&vd->change);
	if (vd->started) {
		pause_serving(vd);
		vd->started = false;
		if (vd->ops->stop)
			vd->ops->stop(vd);
		loop_call(vd->loop, unwatch_bells, vd);
	}
	pthread_mutex_unlock(&vd->change);
}
