/*
 * virtio-console: virtio 1.2, section 5.3, one port without MULTIPORT. Queue 0 takes input to the
 * guest, queue 1 its output.
 *
 * Both directions wait for each other's room and lose nothing: a chain of output stays with us,
 * partly written, until the back-end has room (writable); the back-end reads no input while the
 * driver has given no buffer (can_receive gives 0) and is told when it has (chr_accept).
 *
 * Runs on the main loop, as the back-end does. The back-end is never called with the lock held but
 * for chr_write, which only copies into a ring.
 */
#include "virtio/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "char/chr.h"
#include "virtio/mmio.h"

#define CONSOLE_QUEUE_SIZE 64
#define CONSOLE_ROUND      64 /* chains before others get their turn */

enum {
	QUEUE_INPUT,
	QUEUE_OUTPUT,
	QUEUES,
};

struct vconsole {
	struct virtio_device vd;
	struct chr *chr;
	bool chr_started; /* the main thread's */
	/* Chains that are kept, NULL for none; under vd.lock. */
	struct virtq_chain *input;
	struct virtq_chain *output;
	struct iovec *out_iov; /* what is left of @output */
	int out_count;
};

/* Writes what the back-end takes of @output; true when all is out. */
static bool write_output(struct vconsole *con)
{
	while (con->out_count) {
		size_t n = chr_write(con->chr, con->out_iov->iov_base, con->out_iov->iov_len);
		bool full = n < con->out_iov->iov_len;

		iov_take_front(&con->out_iov, &con->out_count, NULL, n);
		if (full)
			return false;
	}
	return true;
}

/* Output until there is no more, or no room for more: then writable() goes on. */
static void serve_output(struct vconsole *con)
{
	struct virtio_device *vd = &con->vd;
	unsigned count = 0;

	if (virtio_serve_begin(vd)) {
		while (count < CONSOLE_ROUND) {
			if (!con->output && virtio_pop(vd, QUEUE_OUTPUT, &con->output)) {
				con->out_iov = con->output->iov;
				con->out_count = con->output->out_count;
			}
			if (!con->output || !write_output(con))
				break;
			virtio_push(vd, QUEUE_OUTPUT, con->output, 0);
			con->output = NULL;
			count++;
		}
		if (!con->output &&
		    (count == CONSOLE_ROUND || virtq_notify_enable(&vd->queues[QUEUE_OUTPUT].live)))
			virtio_ring(vd, QUEUE_OUTPUT);
	}
	virtio_serve_end(vd);
}

static void vconsole_notify(struct virtio_device *vd, unsigned queue)
{
	struct vconsole *con = container_of(vd, struct vconsole, vd);

	if (queue == QUEUE_OUTPUT)
		serve_output(con);
	else
		chr_accept(con->chr);
}

/* A buffer of the driver's that has room, kept in con->input; false when there is none. */
static bool find_input(struct vconsole *con)
{
	struct virtio_device *vd = &con->vd;
	unsigned useless = 0;

	do {
		while (!con->input && virtio_pop(vd, QUEUE_INPUT, &con->input)) {
			if (con->input->in_bytes)
				break;
			virtio_push(vd, QUEUE_INPUT, con->input, 0);
			con->input = NULL;
			/* A guest that offers empty ones for ever has to let others have their
			 * turn. */
			if (++useless == CONSOLE_ROUND) {
				virtio_ring(vd, QUEUE_INPUT);
				return false;
			}
		}
	} while (!con->input && virtq_notify_enable(&vd->queues[QUEUE_INPUT].live));
	return con->input;
}

static size_t can_receive(void *opaque)
{
	struct vconsole *con = opaque;
	size_t room = 0;

	if (virtio_serve_begin(&con->vd) && find_input(con))
		room = con->input->in_bytes;
	virtio_serve_end(&con->vd);
	return room;
}

static void receive(void *opaque, const uint8_t *bytes, size_t len)
{
	struct vconsole *con = opaque;

	/* Where the guest has reset the console since can_receive, the bytes go where the console
	 * went. */
	if (virtio_serve_begin(&con->vd) && find_input(con)) {
		struct iovec *in = con->input->iov + con->input->out_count;
		size_t done = 0;

		len = MIN(len, (size_t)con->input->in_bytes);
		for (; done < len; in++) {
			size_t n = MIN(len - done, in->iov_len);

			memcpy(in->iov_base, bytes + done, n);
			done += n;
		}
		virtio_push(&con->vd, QUEUE_INPUT, con->input, (uint32_t)len);
		con->input = NULL;
	}
	virtio_serve_end(&con->vd);
}

static void writable(void *opaque)
{
	serve_output(opaque);
}

static int vconsole_start(struct virtio_device *vd, struct err *e)
{
	struct vconsole *con = container_of(vd, struct vconsole, vd);
	const struct chr_client client = {
		.can_receive = can_receive,
		.receive = receive,
		.writable = writable,
		.opaque = con,
	};
	int ret;

	if (con->chr_started)
		return 0;
	ret = chr_start(con->chr, &client, e);
	con->chr_started = ret == 0;
	return ret;
}

static void vconsole_queue_closed(struct virtio_device *vd, unsigned queue)
{
	struct vconsole *con = container_of(vd, struct vconsole, vd);

	if (queue == QUEUE_INPUT)
		con->input = NULL;
	else
		con->output = NULL;
}

static void vconsole_destroy(struct virtio_device *vd)
{
	virtio_fini(vd);
	free(container_of(vd, struct vconsole, vd));
}

static const struct virtio_ops vconsole_ops = {
	.device_id = VIRTIO_ID_CONSOLE,
	.queue_size = CONSOLE_QUEUE_SIZE,
	.start = vconsole_start,
	.notify = vconsole_notify,
	.queue_closed = vconsole_queue_closed,
	.destroy = vconsole_destroy,
};

int virtio_console_new(const struct device_env *env, const struct device_place *place,
		       const struct virtio_console_settings *settings, struct device **out,
		       struct err *e)
{
	const struct virtio_setup setup = {
		.ops = &vconsole_ops,
		.env = env,
		.loop = env->loop,
		.id = settings->id,
		.queue_count = QUEUES,
	};
	struct vconsole *con = calloc(1, sizeof(*con));
	int ret;

	if (!con)
		return err_set(e, ENOMEM, "out of memory");
	con->chr = settings->chr;
	ret = virtio_init(&con->vd, &setup, e);
	if (ret < 0) {
		free(con);
		return ret;
	}
	ret = virtio_mmio_new(place, &con->vd, "virtio-console, hvc0", out, e);
	if (ret < 0)
		vconsole_destroy(&con->vd);
	return ret;
}
