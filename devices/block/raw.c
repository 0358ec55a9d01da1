/*
 * The raw format: see raw.h.
 *
 * A request becomes one request to the file layer wherever it can. Two cases take several, one
 * after the other, through a buffer that bounds the memory: direct I/O whose buffers the host would
 * refuse (a bounce buffer), and write-zeroes where the host offers neither hole punching nor
 * zeroing (plain writes of zeroes). Both are steps of the same small state machine: start_piece,
 * then raw_done.
 *
 * What the host turns out not to do is remembered, so that it is asked once. A failed fdatasync is
 * remembered too: Linux may have dropped the dirty pages and report success the next time, so that
 * no later flush of this disk may claim that all is stored.
 *
 * Runs on the disk's loop thread. All state of a request lives in blk_req.priv: nothing is
 * allocated.
 */
#include "block/raw.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/util.h"

#define SECTOR       512u
#define PIECE_BYTES  KIB(256)
#define BOUNCE_ALIGN 4096u

struct raw {
	struct blk blk;
	struct file *file;
	void *zeroes;    /* PIECE_BYTES of the kernel's zero page; made when first needed */
	int flush_error; /* of the first flush that failed */
	bool no_discard; /* what the host has said it does not do */
	bool no_punch;
	bool no_zero;
	struct log_limit complaints;
};

struct raw_req {
	struct file_req file;
	struct raw *raw;
	struct iovec piece; /* what one step of several moves */
	void *bounce;
};

static_assert(sizeof(struct raw_req) <= sizeof(((struct blk_req *)0)->priv), "priv too small");
static_assert(_Alignof(struct raw_req) <= _Alignof(uint64_t), "priv not aligned for raw_req");

static struct raw_req *raw_req_of(struct blk_req *req)
{
	return (struct raw_req *)(void *)req->priv;
}

static struct blk_req *blk_req_of(struct raw_req *r)
{
	return container_of(r, struct blk_req, priv);
}

/* Whether the host takes these buffers past its page cache as they are. */
static bool buffers_fit(const struct blk_req *req, const struct file_desc *desc)
{
	uintptr_t mem_mask = desc->mem_align - 1, len_mask = desc->offset_align - 1;
	int i;

	if (!desc->direct)
		return true;
	for (i = 0; i < req->iov_count; i++)
		if (((uintptr_t)req->iov[i].iov_base & mem_mask) ||
		    (req->iov[i].iov_len & len_mask))
			return false;
	return true;
}

/* Copies between the iovecs of @req, from @skip bytes into them on, and @len bytes of @flat. */
static void copy_iov(const struct blk_req *req, uint64_t skip, char *flat, uint64_t len)
{
	const struct iovec *iov = req->iov;

	while (skip && skip >= iov->iov_len)
		skip -= iov++->iov_len;
	for (; len; iov++, skip = 0) {
		uint64_t n = MIN(iov->iov_len - skip, len);

		if (req->op == BLK_READ)
			memcpy((char *)iov->iov_base + skip, flat, n);
		else
			memcpy(flat, (char *)iov->iov_base + skip, n);
		flat += n;
		len -= n;
	}
}

/* Submits the next step of a request that takes several, at file.offset_bytes. */
static void start_piece(struct raw_req *r)
{
	struct blk_req *req = blk_req_of(r);
	uint64_t moved = r->file.offset_bytes - req->offset_bytes;
	uint64_t len = MIN(req->len_bytes - moved, PIECE_BYTES);

	r->piece.iov_base = r->bounce ? r->bounce : r->raw->zeroes;
	r->piece.iov_len = len;
	r->file.len_bytes = len;
	r->file.iov = &r->piece;
	r->file.iov_count = 1;
	r->file.op = req->op == BLK_READ ? FILE_READ : FILE_WRITE;
	if (r->bounce && req->op == BLK_WRITE)
		copy_iov(req, moved, r->bounce, len);
	file_submit(r->raw->file, &r->file);
}

static int make_zeroes(struct raw *raw)
{
	void *p;

	if (raw->zeroes)
		return 0;
	/* Never written to, so that every page of it stays the kernel's one page of zeroes. */
	p = mmap(NULL, PIECE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	raw->zeroes = p;
	return 0;
}

/* Starts write-zeroes in the best way that is left. 0, or -errno with nothing started. */
static int start_zeroes(struct raw_req *r)
{
	struct blk_req *req = blk_req_of(r);
	struct raw *raw = r->raw;
	int ret;

	if ((req->flags & BLK_REQ_UNMAP) && !raw->no_punch) {
		r->file.op = FILE_PUNCH;
	} else if (!raw->no_zero) {
		r->file.op = FILE_ZERO;
	} else {
		ret = make_zeroes(raw);
		if (!ret)
			start_piece(r);
		return ret;
	}
	file_submit(raw->file, &r->file);
	return 0;
}

static bool not_supported(int result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY;
}

/* The host has answered @result to a way of zeroing: true when another was started. */
static bool zeroes_go_on(struct raw_req *r, int *result)
{
	struct raw *raw = r->raw;
	bool punched = r->file.op == FILE_PUNCH;

	if (!not_supported(*result))
		return false;
	raw->no_punch = raw->no_punch || punched;
	raw->no_zero = raw->no_zero || !punched;
	*result = start_zeroes(r);
	return *result == 0;
}

/* One step of several has ended well: true when the next was started. */
static bool pieces_go_on(struct raw_req *r)
{
	struct blk_req *req = blk_req_of(r);

	if (r->bounce && req->op == BLK_READ)
		copy_iov(req, r->file.offset_bytes - req->offset_bytes, r->bounce,
			 r->file.len_bytes);
	r->file.offset_bytes += r->file.len_bytes;
	if (r->file.offset_bytes == req->offset_bytes + req->len_bytes)
		return false;
	start_piece(r);
	return true;
}

static int settle(struct raw *raw, const struct blk_req *req, int result)
{
	if (req->op == BLK_FLUSH && result < 0 && !raw->flush_error)
		raw->flush_error = result;
	raw->blk.unstable = raw->flush_error;
	if (req->op == BLK_DISCARD && (not_supported(result) || result == -EINVAL)) {
		/* -EINVAL: this range is too fine for the device. A hint may always be ignored. */
		raw->no_discard = raw->no_discard || result != -EINVAL;
		return 0;
	}
	if (result < 0)
		log_limited(&raw->complaints, LOG_ERROR, "disk %s: I/O error at offset %llu: %s",
			    raw->file->desc->path, (unsigned long long)req->offset_bytes,
			    result == -ENODATA ? "the file has become shorter" : strerror(-result));
	return result == -ENODATA ? -EIO : result;
}

static void raw_done(struct file_req *file_req, int result)
{
	struct raw_req *r = container_of(file_req, struct raw_req, file);
	struct blk_req *req = blk_req_of(r);
	struct raw *raw = r->raw;

	if (r->file.iov == &r->piece) {
		if (!result && pieces_go_on(r))
			return;
		free(r->bounce);
	} else if (req->op == BLK_WRITE_ZEROES && zeroes_go_on(r, &result)) {
		return;
	}
	blk_complete(&raw->blk, req, settle(raw, req, result));
}

static void start_bounced(struct raw_req *r)
{
	struct blk_req *req = blk_req_of(r);

	if (posix_memalign(&r->bounce, BOUNCE_ALIGN, MIN(req->len_bytes, PIECE_BYTES)))
		blk_complete_later(&r->raw->blk, req, -ENOMEM);
	else
		start_piece(r);
}

static void start_transfer(struct raw_req *r)
{
	struct blk_req *req = blk_req_of(r);

	if (!buffers_fit(req, r->raw->file->desc)) {
		start_bounced(r);
		return;
	}
	r->file.op = req->op == BLK_READ ? FILE_READ : FILE_WRITE;
	r->file.iov = req->iov;
	r->file.iov_count = req->iov_count;
	file_submit(r->raw->file, &r->file);
}

static void raw_submit(struct blk *blk, struct blk_req *req)
{
	struct raw *raw = container_of(blk, struct raw, blk);
	struct raw_req *r = raw_req_of(req);
	int ret = 0;

	r->file.done = raw_done;
	r->file.offset_bytes = req->offset_bytes;
	r->file.len_bytes = req->len_bytes;
	r->file.iov = NULL;
	r->file.point = NULL;
	r->raw = raw;
	r->bounce = NULL;
	switch (req->op) {
	case BLK_READ:
	case BLK_WRITE:
		start_transfer(r);
		return;
	case BLK_WRITE_ZEROES:
		ret = start_zeroes(r);
		if (!ret)
			return;
		break;
	case BLK_DISCARD:
		if (raw->no_discard)
			break;
		r->file.op = FILE_DISCARD;
		file_submit(raw->file, &r->file);
		return;
	case BLK_FLUSH:
		ret = raw->flush_error;
		if (ret || blk->info.read_only)
			break;
		r->file.op = FILE_SYNC;
		file_submit(raw->file, &r->file);
		return;
	}
	blk_complete_later(blk, req, ret);
}

static void raw_kick(struct blk *blk)
{
	file_kick(container_of(blk, struct raw, blk)->file);
}

static int raw_extent(struct blk *blk, uint64_t offset_bytes, uint64_t *len_bytes,
		      enum blk_extent_kind *kind)
{
	struct file *file = container_of(blk, struct raw, blk)->file;
	bool data = true;
	int ret = file->ops->extent(file, offset_bytes, len_bytes, &data);

	*kind = data ? BLK_EXTENT_DATA : BLK_EXTENT_ZERO;
	return ret;
}

static int raw_resize(struct blk *blk, uint64_t capacity_bytes, struct err *e)
{
	struct file *file = container_of(blk, struct raw, blk)->file;
	const char *path = file->desc->path;
	int ret;

	if (!capacity_bytes || capacity_bytes % blk->info.block_bytes)
		return err_set(e, EINVAL, "disk %s: %llu bytes are not a multiple of %u", path,
			       (unsigned long long)capacity_bytes, blk->info.block_bytes);
	if (blk->info.read_only)
		return err_set(e, EROFS, "disk %s is open read-only: it cannot be resized", path);
	ret = file->ops->resize(file, capacity_bytes);
	if (ret == -ENOTSUP)
		return err_set(e, ENOTSUP, "disk %s is a block device: its size is fixed", path);
	if (ret < 0)
		return err_errno(e, -ret, "cannot resize disk %s to %llu bytes", path,
				 (unsigned long long)capacity_bytes);
	blk->info.capacity_bytes = capacity_bytes;
	return 0;
}

static void raw_close(struct blk *blk)
{
	struct raw *raw = container_of(blk, struct raw, blk);

	if (raw->zeroes)
		munmap(raw->zeroes, PIECE_BYTES);
	file_close(raw->file);
	free(raw);
}

static const struct blk_ops raw_ops = {
	.submit = raw_submit,
	.kick = raw_kick,
	.extent = raw_extent,
	.resize = raw_resize,
	.close = raw_close,
};

int raw_describe(const struct file_desc *desc, struct blk_info *info, struct err *e)
{
	uint32_t block = MAX(desc->offset_align, SECTOR);
	uint32_t physical = MAX(desc->physical_bytes, block);
	unsigned long long size = desc->size_bytes;

	if (!size)
		return err_set(e, EINVAL,
			       "disk %s is empty: give it a size, as truncate -s 1G does",
			       desc->path);
	if (size % block)
		return err_set(
			e, EINVAL,
			"disk %s is %llu bytes long, which is not a multiple of %u: it is not "
			"a raw disk image, or was cut short",
			desc->path, size, block);
	*info = (struct blk_info){
		.capacity_bytes = size,
		.block_bytes = block,
		.physical_bytes = physical,
		.optimal_bytes = desc->optimal_bytes,
		.align_bytes = desc->mem_align,
		.discard_bytes = desc->read_only ? 0 : desc->discard_bytes,
		.read_only = desc->read_only,
		.format = "raw",
	};
	return 0;
}

int raw_open(struct file *file, const struct blk_options *options, struct blk **out, struct err *e)
{
	struct blk_info info;
	struct raw *raw;
	int ret;

	(void)options;
	ret = raw_describe(file->desc, &info, e);
	if (ret < 0)
		return ret;
	raw = calloc(1, sizeof(*raw));
	if (!raw)
		return err_set(e, ENOMEM, "out of memory");
	blk_init(&raw->blk, &raw_ops, file->loop);
	raw->blk.info = info;
	raw->file = file;
	*out = &raw->blk;
	return 0;
}
