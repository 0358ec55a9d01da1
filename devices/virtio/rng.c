/*
 * virtio-rng: virtio 1.2, section 5.4. One queue of buffers to fill with random bytes.
 *
 * Runs on the main loop, so it takes little at a time: at most 4 KiB for a buffer (a driver asks
 * again for more) and 16 buffers before others get their turn. getrandom never blocks here: where
 * the host has no entropy yet, buffers wait for a timer.
 */
#include "virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/util.h"
#include "virtio/mmio.h"

#define RNG_QUEUE_SIZE  64
#define RNG_BYTES_MAX   4096
#define RNG_ROUND       16
#define RNG_RETRY_NS    100000000u
#define RNG_CHUNK_BYTES 256 /* getrandom gives this many whole, whatever signals come */

struct vrng {
	struct virtio_device vd;
	struct loop_timer retry; /* the main loop's only */
};

/* Fills what it can of @chain; returns the bytes, 0 when the host has none to give now. */
static uint32_t fill(const struct virtq_chain *chain)
{
	const struct iovec *in = chain->iov + chain->out_count;
	uint32_t total = 0;
	int i;

	for (i = 0; i < chain->in_count; i++) {
		size_t done = 0;

		while (done < in[i].iov_len && total < RNG_BYTES_MAX) {
			size_t want = MIN(in[i].iov_len - done, (size_t)RNG_CHUNK_BYTES);
			ssize_t n = getrandom((char *)in[i].iov_base + done,
					      MIN(want, (size_t)(RNG_BYTES_MAX - total)),
					      GRND_NONBLOCK);

			if (n <= 0)
				return total;
			done += (size_t)n;
			total += (uint32_t)n;
		}
	}
	return total;
}

static void serve(struct vrng *rng)
{
	struct virtio_device *vd = &rng->vd;
	struct virtq_chain *chain;
	unsigned count = 0;

	if (virtio_serve_begin(vd)) {
		while (count < RNG_ROUND && virtio_pop(vd, 0, &chain)) {
			if (chain->in_bytes)
				virtio_push(vd, 0, chain, fill(chain));
			else
				virtio_break(vd, 0, CHAIN_SHORT);
			count++;
		}
		if (count == RNG_ROUND || virtq_notify_enable(&vd->queues[0].live))
			virtio_ring(vd, 0);
	}
	virtio_serve_end(vd);
}

static void vrng_notify(struct virtio_device *vd, unsigned queue)
{
	struct vrng *rng = container_of(vd, struct vrng, vd);
	char probe;

	(void)queue;
	if (rng->retry.armed)
		return;
	if (getrandom(&probe, 1, GRND_NONBLOCK) == 1)
		serve(rng);
	else
		loop_timer_arm(vd->loop, &rng->retry, RNG_RETRY_NS);
}

static void retry_fired(void *opaque)
{
	struct vrng *rng = opaque;

	vrng_notify(&rng->vd, 0);
}

static void vrng_stop(struct virtio_device *vd)
{
	struct vrng *rng = container_of(vd, struct vrng, vd);

	loop_timer_cancel(vd->loop, &rng->retry);
}

static void vrng_destroy(struct virtio_device *vd)
{
	virtio_fini(vd);
	free(container_of(vd, struct vrng, vd));
}

static const struct virtio_ops vrng_ops = {
	.device_id = VIRTIO_ID_RNG,
	.queue_size = RNG_QUEUE_SIZE,
	.stop = vrng_stop,
	.notify = vrng_notify,
	.destroy = vrng_destroy,
};

int virtio_rng_new(const struct device_env *env, const struct device_place *place,
		   const struct virtio_rng_settings *settings, struct device **out, struct err *e)
{
	const struct virtio_setup setup = {
		.ops = &vrng_ops,
		.env = env,
		.loop = env->loop,
		.id = settings->id,
		.queue_count = 1,
	};
	struct vrng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return err_set(e, ENOMEM, "out of memory");
	rng->retry = (struct loop_timer){.fired = retry_fired, .opaque = rng};
	ret = virtio_init(&rng->vd, &setup, e);
	if (ret < 0) {
		free(rng);
		return ret;
	}
	ret = virtio_mmio_new(place, &rng->vd, "virtio-rng, host entropy", out, e);
	if (ret < 0)
		vrng_destroy(&rng->vd);
	return ret;
}
