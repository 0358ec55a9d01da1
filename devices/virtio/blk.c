/*
 * virtio-blk, the front-end of a disk: virtio 1.2, section 5.2. Behind it is a struct blk.
 *
 * One thread serves all queues of a disk. A doorbell only marks its queue as awake; the work is
 * done once a round, before the loop waits:
 *
 *     completions of this round -> used rings     } under the device's lock, then at most one
 * interrupt awake queues -> requests to the back-end    } one blk_kick for all that was submitted
 *     poll a little, or ask for notifications again and sleep
 *
 * A queue that is awake sends no notifications. Polling keeps it awake for a moment after a request
 * has ended, but only while the guest has lately asked for the next one that soon: a doorbell costs
 * more than a small request on many hosts, and an idle disk must cost nothing. While the guest
 * waits for the host's storage nobody polls.
 */
#include "virtio/blk.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/util.h"
#include "virtio/blk_request.h"
#include "virtio/mmio.h"

/* Shorter windows would miss a guest that takes an interrupt in between. */
#define POLL_MIN_NS 5000ull

static struct vblk *from_vd(struct virtio_device *vd)
{
	return container_of(vd, struct vblk, vd);
}

/* Pops what @queue offers, at most its size a round so that others get their turn. */
static bool serve_queue(struct vblk *disk, unsigned queue)
{
	struct virtq_chain *chain;
	unsigned count = 0;

	virtq_notify_disable(&disk->vd.queues[queue].live);
	while (count < VIRTIO_BLK_QUEUE_SIZE && virtio_pop(&disk->vd, queue, &chain)) {
		vblk_request_start(disk, queue, chain);
		count++;
	}
	return count;
}

/*
 * Learns how long the guest takes from the end of a request to its next one. Twice that is how long
 * it is worth to look. Where that was more than poll_max_ns, a doorbell and a wake-up may have been
 * part of it: the shortest look is always taken, or nobody would ever find out.
 */
static void learn(struct vblk *disk, bool completed, bool popped)
{
	uint64_t now_ns = loop_now_ns(), pause_ns = now_ns - disk->last_done_ns;

	if (popped && pause_ns <= disk->poll_max_ns)
		disk->poll_window_ns = MIN(MAX(2 * pause_ns, POLL_MIN_NS), disk->poll_max_ns);
	else if (popped)
		disk->poll_window_ns = POLL_MIN_NS;
	if (completed)
		disk->last_done_ns = now_ns;
}

/* One round. */
static void serve_round(struct vblk *disk)
{
	bool completed = disk->done_head, popped = false, serving;
	unsigned i;

	if (!completed && !disk->awake)
		return;
	serving = virtio_serve_begin(&disk->vd);
	/* A guest that is about to be polled must know before it sees that its request has ended.
	 */
	for (i = 0; i < disk->vd.queue_count && serving && completed && disk->poll_window_ns; i++) {
		virtq_notify_disable(&disk->vd.queues[i].live);
		disk->awake |= 1u << i;
	}
	while (disk->done_head) {
		struct vblk_request *r = disk->done_head;

		disk->done_head = r->next_done;
		if (!disk->done_head)
			disk->done_tail = &disk->done_head;
		vblk_request_advance(r);
	}
	for (i = 0; i < disk->vd.queue_count && serving; i++)
		if (disk->awake & (1u << i))
			popped |= serve_queue(disk, i);
	virtio_serve_end(&disk->vd);
	if (disk->submitted) {
		disk->submitted = false;
		blk_kick(disk->blk);
	}
	if (disk->poll_max_ns && (completed || popped))
		learn(disk, completed, popped);
}

/* Whether the guest is about to ask for more, so that looking is cheaper than being woken. */
static bool poll_on(const struct vblk *disk)
{
	return disk->poll_window_ns && loop_now_ns() - disk->last_done_ns < disk->poll_window_ns;
}

/* Asks for notifications again; returns whether a queue was offered something meanwhile. */
static bool fall_asleep(struct vblk *disk)
{
	unsigned i, awake = 0;

	if (!disk->awake)
		return false;
	if (virtio_serve_begin(&disk->vd))
		for (i = 0; i < disk->vd.queue_count; i++)
			if ((disk->awake & (1u << i)) &&
			    virtq_notify_enable(&disk->vd.queues[i].live))
				awake |= 1u << i;
	virtio_serve_end(&disk->vd);
	disk->awake = awake;
	return awake;
}

static bool before_wait(void *opaque)
{
	struct vblk *disk = opaque;

	serve_round(disk);
	/* A back-end may have completed something in its kick. */
	if (disk->done_head)
		return true;
	if (poll_on(disk)) {
		disk->awake = (1u << disk->vd.queue_count) - 1;
		return true;
	}
	return fall_asleep(disk);
}

static void vblk_notify(struct virtio_device *vd, unsigned queue)
{
	from_vd(vd)->awake |= 1u << queue;
}

static void drain_on_loop(void *opaque)
{
	struct vblk *disk = opaque;

	/* A request may have several parts for the back-end: one goes on where another ended. */
	disk->ending = true;
	while (disk->in_flight) {
		vblk_requests_give_up(disk);
		blk_drain(disk->blk);
		serve_round(disk);
	}
	disk->ending = false;
}

static void retry_on_loop(void *opaque)
{
	vblk_requests_retry(opaque);
}

static void vblk_retry(struct virtio_device *vd)
{
	loop_call(vd->loop, retry_on_loop, from_vd(vd));
}

static void vblk_quiesce(struct virtio_device *vd)
{
	loop_call(vd->loop, drain_on_loop, from_vd(vd));
}

static void hook_on_loop(void *opaque)
{
	struct vblk *disk = opaque;

	loop_add_hook(disk->vd.loop, &disk->hook);
}

static void unhook_on_loop(void *opaque)
{
	struct vblk *disk = opaque;

	loop_del_hook(disk->vd.loop, &disk->hook);
	disk->awake = 0;
}

static int vblk_start(struct virtio_device *vd, struct err *e)
{
	(void)e;
	loop_call(vd->loop, hook_on_loop, from_vd(vd));
	return 0;
}

static void vblk_stop(struct virtio_device *vd)
{
	loop_call(vd->loop, unhook_on_loop, from_vd(vd));
}

static void close_on_loop(void *opaque)
{
	struct vblk *disk = opaque;

	blk_close(disk->blk);
	disk->blk = NULL;
}

/* Frees what is there; the virtio part is not. A disk that was lent and not taken over stays open.
 */
static void free_disk(struct vblk *disk)
{
	unsigned i;

	if (disk->thread && disk->blk)
		loop_call(loop_thread_loop(disk->thread), close_on_loop, disk);
	loop_thread_free(disk->thread);
	for (i = 0; i < VIRTIO_BLK_QUEUES_MAX; i++)
		free(disk->requests[i]);
	free(disk);
}

static void vblk_destroy(struct virtio_device *vd)
{
	struct vblk *disk = from_vd(vd);

	loop_call(vd->loop, close_on_loop, disk);
	virtio_fini(vd);
	free_disk(disk);
}

static const struct virtio_ops vblk_ops = {
	.device_id = VIRTIO_ID_BLOCK,
	.queue_size = VIRTIO_BLK_QUEUE_SIZE,
	.doorbells = true,
	.start = vblk_start,
	.stop = vblk_stop,
	.notify = vblk_notify,
	.quiesce = vblk_quiesce,
	.retry = vblk_retry,
	.destroy = vblk_destroy,
};

static uint8_t log2_of(uint32_t power_of_two)
{
	return (uint8_t)__builtin_ctz(power_of_two);
}

/* The configuration space and the features, from what the back-end says of itself. */
static void describe_disk(struct vblk *disk, unsigned queues)
{
	const struct blk_info *info = &disk->blk->info;
	struct virtio_blk_config *c = &disk->config;
	uint32_t physical = MAX(info->physical_bytes, info->block_bytes);

	c->capacity = htole64(info->capacity_bytes / VBLK_SECTOR_BYTES);
	/* Header and status need a descriptor each. */
	c->seg_max = htole32(VIRTIO_BLK_QUEUE_SIZE - 2);
	c->blk_size = htole32(info->block_bytes);
	c->physical_block_exp = log2_of(physical / info->block_bytes);
	c->min_io_size = htole16((uint16_t)MIN(physical / info->block_bytes, 0xffffu));
	c->opt_io_size = htole32(info->optimal_bytes / info->block_bytes);
	c->num_queues = htole16((uint16_t)queues);
	c->max_discard_sectors = htole32(VBLK_RANGE_SECTORS);
	c->max_discard_seg = htole32(VBLK_SEGMENTS_MAX);
	c->discard_sector_alignment =
		htole32(MAX(info->discard_bytes, info->block_bytes) / VBLK_SECTOR_BYTES);
	c->max_write_zeroes_sectors = htole32(VBLK_RANGE_SECTORS);
	c->max_write_zeroes_seg = htole32(VBLK_SEGMENTS_MAX);
	c->write_zeroes_may_unmap = info->discard_bytes != 0;

	virtio_offer(&disk->vd, VIRTIO_BLK_F_SEG_MAX);
	virtio_offer(&disk->vd, VIRTIO_BLK_F_BLK_SIZE);
	virtio_offer(&disk->vd, VIRTIO_BLK_F_TOPOLOGY);
	virtio_offer(&disk->vd, VIRTIO_BLK_F_FLUSH);
	virtio_offer(&disk->vd, VIRTIO_BLK_F_MQ);
	if (info->read_only) {
		virtio_offer(&disk->vd, VIRTIO_BLK_F_RO);
		return;
	}
	if (info->discard_bytes)
		virtio_offer(&disk->vd, VIRTIO_BLK_F_DISCARD);
	virtio_offer(&disk->vd, VIRTIO_BLK_F_WRITE_ZEROES);
}

struct opening {
	const struct blk_options *options;
	struct vblk *disk;
	struct err *e;
	int ret;
};

static void open_on_loop(void *opaque)
{
	struct opening *o = opaque;

	o->ret = blk_open(o->options, loop_thread_loop(o->disk->thread), &o->disk->blk, o->e);
}

/* Gives @disk its back-end: opened on a thread of its own, or the one that was passed in. */
static int attach(struct vblk *disk, const struct virtio_blk_settings *settings, struct err *e)
{
	struct opening opening = {.options = settings->options, .disk = disk, .e = e};
	int ret;

	if (!settings->options) {
		disk->blk = settings->blk;
		return 0;
	}
	ret = loop_thread_new(&disk->thread, settings->id, e);
	if (ret < 0)
		return ret;
	loop_call(loop_thread_loop(disk->thread), open_on_loop, &opening);
	return opening.ret;
}

static int make_requests(struct vblk *disk, unsigned queues, struct err *e)
{
	unsigned i;

	for (i = 0; i < queues; i++) {
		disk->requests[i] = calloc(VIRTIO_BLK_QUEUE_SIZE, sizeof(*disk->requests[i]));
		if (!disk->requests[i])
			return err_set(e, ENOMEM, "out of memory");
	}
	return 0;
}

static void detail_text(const struct vblk *disk, char *buf, size_t len)
{
	const struct blk_info *info = &disk->blk->info;
	char size[SIZE_TEXT_MAX];

	snprintf(buf, len, "virtio-blk, %s, %s%s%s", size_format(info->capacity_bytes, size),
		 info->format ? info->format : "raw", info->read_only ? ", read-only" : "",
		 info->ephemeral ? ", ephemeral" : "");
}

int virtio_blk_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_blk_settings *settings, struct device **out, struct err *e)
{
	unsigned queues = MIN(MAX(settings->queues, 1u), (unsigned)VIRTIO_BLK_QUEUES_MAX);
	struct vblk *disk = calloc(1, sizeof(*disk));
	struct virtio_setup setup;
	char detail[96];
	int ret;

	if (!disk)
		return err_set(e, ENOMEM, "out of memory");
	ret = attach(disk, settings, e);
	if (ret < 0)
		goto out_free;
	ret = make_requests(disk, queues, e);
	if (ret < 0)
		goto out_free;
	disk->done_tail = &disk->done_head;
	disk->kept_tail = &disk->kept_head;
	disk->pause_on_error = settings->pause_on_error;
	snprintf(disk->where, sizeof(disk->where), "%s (%s)", settings->id,
		 settings->options ? settings->options->path : "");
	disk->hook = (struct loop_hook){.before_wait = before_wait, .opaque = disk};
	disk->poll_max_ns = settings->poll_max_ns;
	if (settings->serial)
		memcpy(disk->serial, settings->serial,
		       strnlen(settings->serial, sizeof(disk->serial)));

	setup = (struct virtio_setup){
		.ops = &vblk_ops,
		.env = env,
		.loop = disk->blk->loop,
		.id = settings->id,
		.queue_count = queues,
		.config = &disk->config,
		.config_bytes = VBLK_CONFIG_BYTES,
	};
	ret = virtio_init(&disk->vd, &setup, e);
	if (ret < 0)
		goto out_free;
	describe_disk(disk, queues);
	detail_text(disk, detail, sizeof(detail));
	ret = virtio_mmio_new(place, &disk->vd, detail, out, e);
	if (ret < 0) {
		virtio_fini(&disk->vd);
		goto out_free;
	}
	return 0;

out_free:
	free_disk(disk);
	return ret;
}
