/*
 * Injected faults: see file_faults.h.
 *
 * What is to fail is answered from a timer of the loop, as completions never run inside a submit. A
 * torn write is a request of its own to the file below: it needs iovecs that end earlier.
 */
#include "fault/file_faults.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fault/layer.h"

struct faulty {
	struct file_layer layer;
	struct file_faults *plan;
};

/* A request that a fault was found for. */
struct hit {
	struct faulty *faulty;
	struct file_req *req;
	struct fault fault;
	struct loop_timer timer;
	struct file_req torn;
	void *torn_bytes;
	struct iovec torn_iov;
};

static struct faulty *faulty_of(struct file *file)
{
	return container_of(file, struct faulty, layer.file);
}

static struct fault *find_fault(struct file_faults *plan, const struct file_req *req)
{
	struct fault *found = NULL;
	unsigned i;

	for (i = 0; i < plan->count; i++) {
		struct fault *f = &plan->faults[i];

		if (f->op != req->op)
			continue;
		if (f->point && (!req->point || strcmp(f->point, req->point) != 0))
			continue;
		f->seen++;
		if (f->seen >= f->nth && f->seen - f->nth < f->times)
			found = f;
	}
	return found;
}

static void fail(struct hit *hit)
{
	struct file_req *req = hit->req;
	int error = hit->fault.error;

	free(hit->torn_bytes);
	free(hit);
	req->done(req, error);
}

static void torn_done(struct file_req *req, int result)
{
	(void)result;
	fail(container_of(req, struct hit, torn));
}

static void tear(struct hit *hit)
{
	const struct file_req *req = hit->req;
	uint64_t len = MIN(hit->fault.amount, req->len_bytes), copied = 0;
	const struct iovec *iov;

	/* Aligned, so that direct I/O takes it. */
	hit->torn_bytes = aligned_alloc(4096, align_up(len, 4096));
	for (iov = req->iov; copied < len; iov++) {
		uint64_t n = MIN(iov->iov_len, len - copied);

		memcpy((char *)hit->torn_bytes + copied, iov->iov_base, n);
		copied += n;
	}
	hit->torn_iov = (struct iovec){hit->torn_bytes, len};
	hit->torn = *req;
	hit->torn.iov = &hit->torn_iov;
	hit->torn.iov_count = 1;
	hit->torn.len_bytes = len;
	hit->torn.done = torn_done;
	file_submit(hit->faulty->layer.below, &hit->torn);
	file_kick(hit->faulty->layer.below);
}

static void hit_fired(void *opaque)
{
	struct hit *hit = opaque;
	struct file *below = hit->faulty->layer.below;
	struct file_req *req = hit->req;
	bool torn = hit->fault.kind == FAULT_TORN && hit->fault.amount;

	if (torn) {
		tear(hit);
	} else if (hit->fault.kind != FAULT_DELAY) {
		fail(hit);
	} else {
		free(hit);
		file_submit(below, req);
		file_kick(below);
	}
}

static void faulty_submit(struct file *file, struct file_req *req)
{
	struct faulty *faulty = faulty_of(file);
	struct fault *fault = find_fault(faulty->plan, req);
	struct hit *hit;

	if (!fault) {
		file_submit(faulty->layer.below, req);
		return;
	}
	hit = calloc(1, sizeof(*hit));
	if (!hit)
		abort();
	hit->faulty = faulty;
	hit->req = req;
	hit->fault = *fault;
	hit->timer = (struct loop_timer){.fired = hit_fired, .opaque = hit};
	loop_timer_arm(file->loop, &hit->timer, fault->kind == FAULT_DELAY ? fault->amount : 0);
}

static const struct file_ops faulty_ops = {
	.submit = faulty_submit,
	.kick = layer_kick,
	.extent = layer_extent,
	.size = layer_size,
	.resize = layer_resize,
	.close = layer_close,
};

struct file *file_faults_new(struct file *below, struct file_faults *plan)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));

	if (!faulty)
		return NULL;
	layer_init(&faulty->layer, &faulty_ops, below);
	faulty->plan = plan;
	return &faulty->layer.file;
}
