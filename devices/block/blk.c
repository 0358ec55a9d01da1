/*
 * The generic part of a block back-end: checks, bookkeeping, deferred completion, opening.
 *
 * Every request passes blk_submit, which refuses what lies outside the disk before a back-end sees
 * it, and every one leaves through blk_complete. A request that can be answered at once is put on a
 * list and completed from the loop: a caller never finds its done() running inside its own submit.
 *
 * Runs on the thread of the loop that the disk is attached to.
 */
#include "block/blk.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "block/desc.h"
#include "block/file.h"
#include "block/format.h"
#include "block/overlay.h"
#include "block/qcow2.h"
#include "block/raw.h"
#include "block/throttle.h"

static const struct blk_format formats[] = {
	{.name = "raw", .open = raw_open, .describe = raw_describe},
	{.name = "qcow2", .open = qcow2_open, .describe = qcow2_describe},
};

/* Where a request that waits for its completion keeps its result: its back-end is done with it. */
#define DEFERRED_RESULT 0

static void run_deferred(void *opaque)
{
	struct blk *blk = opaque;
	struct blk_req *req = blk->deferred_head;

	/* Taken whole: what a done() defers in its turn waits for the next round of the loop. */
	blk->deferred_head = NULL;
	blk->deferred_tail = &blk->deferred_head;
	while (req) {
		struct blk_req *next = req->next;

		blk_complete(blk, req, (int)(int64_t)req->priv[DEFERRED_RESULT]);
		req = next;
	}
}

void blk_init(struct blk *blk, const struct blk_ops *ops, struct loop *loop)
{
	blk->ops = ops;
	blk->loop = loop;
	blk->in_flight = 0;
	blk->deferred_head = NULL;
	blk->deferred_tail = &blk->deferred_head;
	blk->deferred_work = (struct loop_work){.run = run_deferred, .opaque = blk};
}

void blk_complete(struct blk *blk, struct blk_req *req, int result)
{
	blk->in_flight--;
	req->done(req, result);
}

void blk_complete_later(struct blk *blk, struct blk_req *req, int result)
{
	req->priv[DEFERRED_RESULT] = (uint64_t)(int64_t)result;
	req->next = NULL;
	*blk->deferred_tail = req;
	blk->deferred_tail = &req->next;
	loop_post(blk->loop, &blk->deferred_work);
}

static bool iov_matches(const struct blk_req *req)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < req->iov_count; i++)
		if (!add_u64(sum, req->iov[i].iov_len, &sum))
			return false;
	return sum == req->len_bytes;
}

/* Whether @req may reach the back-end: 0, or what to complete it with. */
static int check(const struct blk *blk, const struct blk_req *req)
{
	uint64_t mask = blk->info.block_bytes - 1;

	if (req->op == BLK_FLUSH)
		return 0;
	if ((req->offset_bytes | req->len_bytes) & mask)
		return -EINVAL;
	if (!range_inside(req->offset_bytes, req->len_bytes, blk->info.capacity_bytes))
		return -EINVAL;
	if (req->op == BLK_READ)
		return iov_matches(req) ? 0 : -EINVAL;
	if (blk->info.read_only)
		return -EROFS;
	if (req->op == BLK_WRITE)
		return iov_matches(req) ? 0 : -EINVAL;
	return 0;
}

void blk_submit(struct blk *blk, struct blk_req *req)
{
	int ret = check(blk, req);

	blk->in_flight++;
	if (ret < 0 || (req->op != BLK_FLUSH && !req->len_bytes))
		blk_complete_later(blk, req, ret);
	else
		blk->ops->submit(blk, req);
}

void blk_kick(struct blk *blk)
{
	if (blk->ops->kick)
		blk->ops->kick(blk);
}

int blk_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
	       enum blk_extent_kind *kind)
{
	uint64_t capacity = blk->info.capacity_bytes;

	if (offset_bytes >= capacity)
		return -EINVAL;
	*len_bytes = MIN(*len_bytes, capacity - offset_bytes);
	if (!blk->ops->extent) {
		*kind = BLK_EXTENT_DATA;
		return 0;
	}
	return blk->ops->extent(blk, offset_bytes, len_bytes, kind);
}

int blk_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e)
{
	if (!blk->ops->resize)
		return err_set(e, ENOTSUP, "this kind of disk cannot be resized");
	return blk->ops->resize(blk, capacity_bytes, e);
}

void blk_drain(struct blk *blk)
{
	while (blk->in_flight) {
		if (blk->ops->hurry)
			blk->ops->hurry(blk);
		blk_kick(blk);
		loop_run_once(blk->loop, -1);
	}
}

void blk_close(struct blk *blk)
{
	if (!blk)
		return;
	blk_drain(blk);
	blk->ops->close(blk);
}

/* A request that its submitter waits for. */
struct sync_req {
	struct blk_req req;
	bool ended;
	int result;
};

static void sync_done(struct blk_req *req, int result)
{
	struct sync_req *sync = container_of(req, struct sync_req, req);

	sync->ended = true;
	sync->result = result;
}

static int run_sync(struct blk *blk, enum blk_op op, uint64_t offset_bytes, struct iovec *iov)
{
	struct sync_req sync = {
		.req =
			{
				.op = op,
				.offset_bytes = offset_bytes,
				.len_bytes = iov ? iov->iov_len : 0,
				.iov = iov,
				.iov_count = iov ? 1 : 0,
				.done = sync_done,
			},
	};

	blk_submit(blk, &sync.req);
	blk_kick(blk);
	while (!sync.ended)
		loop_run_once(blk->loop, -1);
	return sync.result;
}

int blk_pread(struct blk *blk, uint64_t offset_bytes, void *buf, uint64_t len_bytes)
{
	return run_sync(blk, BLK_READ, offset_bytes, &(struct iovec){buf, len_bytes});
}

int blk_pwrite(struct blk *blk, uint64_t offset_bytes, const void *buf, uint64_t len_bytes)
{
	return run_sync(blk, BLK_WRITE, offset_bytes, &(struct iovec){(void *)buf, len_bytes});
}

int blk_flush(struct blk *blk)
{
	return run_sync(blk, BLK_FLUSH, 0, NULL);
}

static const struct blk_format *find_format(const char *name, struct err *e)
{
	size_t i;

	/* Never guessed: what a guest writes into its raw disk must not choose how it is read next.
	 */
	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i].name, name ? name : "raw") == 0)
			return &formats[i];
	err_set(e, EINVAL, "unknown disk format %s: there are raw and qcow2", name);
	return NULL;
}

static void file_options_from(struct file_options *to, const struct blk_options *options)
{
	*to = (struct file_options){
		.path = options->path,
		.read_only = options->read_only || options->ephemeral,
		.direct = options->direct,
	};
}

static int open_ephemeral(const struct blk_options *options, struct loop *loop, struct blk **out,
			  struct err *e)
{
	struct blk_options below = *options;
	struct blk *base;
	int ret;

	below.ephemeral = false;
	below.read_only = true;
	below.limits = (struct blk_limits){0};
	ret = blk_open(&below, loop, &base, e);
	if (ret < 0)
		return ret;
	ret = overlay_open(base, options->path, out, e);
	if (ret < 0)
		blk_close(base);
	return ret;
}

static int open_unlimited(const struct blk_options *options, struct loop *loop, struct blk **out,
			  struct err *e)
{
	const struct blk_format *format = find_format(options->format, e);
	struct file_options file_options;
	struct file *file;
	int ret;

	if (!format)
		return -EINVAL;
	if (options->ephemeral)
		return open_ephemeral(options, loop, out, e);
	file_options_from(&file_options, options);
	ret = file_open(&file_options, loop, &file, e);
	if (ret < 0)
		return ret;
	ret = format->open(file, options, out, e);
	if (ret < 0)
		file_close(file);
	return ret;
}

int blk_open(const struct blk_options *options, struct loop *loop, struct blk **out, struct err *e)
{
	struct blk *below;
	int ret = open_unlimited(options, loop, out, e);

	if (ret < 0 || !throttle_wanted(&options->limits))
		return ret;
	below = *out;
	ret = throttle_open(below, &options->limits, out, e);
	if (ret < 0)
		blk_close(below);
	return ret;
}

int blk_probe(const struct blk_options *options, struct blk_info *info, struct err *e)
{
	const struct blk_format *format = find_format(options->format, e);
	struct file_options file_options;
	struct file_desc desc;
	int ret;

	if (!format)
		return -EINVAL;
	file_options_from(&file_options, options);
	ret = file_desc_open(&desc, &file_options, e);
	if (ret < 0)
		return ret;
	ret = format->describe(&desc, info, e);
	file_desc_close(&desc);
	info->read_only = options->read_only;
	info->ephemeral = options->ephemeral;
	return ret;
}
