/*
 * One virtio-blk request: virtio 1.2, section 5.2.6.
 *
 *     out:  header (type, sector), data to write or ranges     in:  data read, status byte
 *
 * The driver may cut this into descriptors as it likes, so the header is gathered from the front of
 * the out part, whatever its pieces, and the status is the last byte of the in part. What a request
 * asks for is checked against the disk here; the answer to a bad one is a status, and only a chain
 * without room for header and status breaks the device. A discard or write-zeroes is up to 16
 * ranges, done one by one.
 *
 * On the disk's loop thread. Nothing is allocated.
 */
#include "virtio/blk_request.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* An answer of this kind means that the back-end has the request now. */
#define UNDER_WAY (-1)

static void submit(struct vblk_request *r)
{
	r->disk->submitted = true;
	blk_submit(r->disk->blk, &r->req);
}

static void finish(struct vblk_request *r, int status)
{
	/* An error leaves the data part as it was, so only a lone status byte counts as written. */
	uint32_t len = status == VIRTIO_BLK_S_OK || r->in_bytes == 1 ? r->in_bytes : 0;

	*r->status = (uint8_t)status;
	r->disk->in_flight--;
	virtio_push(&r->disk->vd, r->queue, r->chain, len);
}

/* Whether [sector, sector + bytes) is on the disk and on its block boundaries. */
static bool range_fits(const struct vblk *disk, uint64_t sector, uint64_t bytes, uint64_t *offset)
{
	const struct blk_info *info = &disk->blk->info;

	return mul_u64(sector, VBLK_SECTOR_BYTES, offset) &&
	       !((*offset | bytes) & (info->block_bytes - 1)) &&
	       range_inside(*offset, bytes, info->capacity_bytes);
}

/* Read or write of @count pieces at @iov. */
static int start_transfer(struct vblk_request *r, uint64_t sector, const struct iovec *iov,
			  int count)
{
	struct blk_req *req = &r->req;
	int i;

	req->len_bytes = 0;
	for (i = 0; i < count; i++)
		req->len_bytes += iov[i].iov_len;
	if (!range_fits(r->disk, sector, req->len_bytes, &req->offset_bytes))
		return VIRTIO_BLK_S_IOERR;
	if (!req->len_bytes)
		return VIRTIO_BLK_S_OK;
	req->iov = iov;
	req->iov_count = count;
	submit(r);
	return UNDER_WAY;
}

static int start_flush(struct vblk_request *r)
{
	r->req.op = BLK_FLUSH;
	r->req.offset_bytes = r->req.len_bytes = 0;
	r->req.iov_count = 0;
	submit(r);
	return UNDER_WAY;
}

/* Submits the next range that is not empty; OK when there is none. */
static int next_range(struct vblk_request *r)
{
	while (r->range_next < r->range_count) {
		const struct virtio_blk_range *range = &r->ranges[r->range_next++];

		if (!range->num_sectors)
			continue;
		r->req.offset_bytes = range->sector * VBLK_SECTOR_BYTES;
		r->req.len_bytes = (uint64_t)range->num_sectors * VBLK_SECTOR_BYTES;
		r->req.flags = range->flags & 1 ? BLK_REQ_UNMAP : 0;
		submit(r);
		return UNDER_WAY;
	}
	return VIRTIO_BLK_S_OK;
}

/* 5.2.6.2: unknown flags are unsupported; a discard with `unmap` is, too. */
static int check_range(struct vblk_request *r, struct virtio_blk_range *range)
{
	uint32_t known = r->req.op == BLK_WRITE_ZEROES ? 1 : 0;
	uint64_t offset;

	range->sector = le64toh(range->sector);
	range->num_sectors = le32toh(range->num_sectors);
	range->flags = le32toh(range->flags);
	if (range->flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > VBLK_RANGE_SECTORS ||
	    !range_fits(r->disk, range->sector, (uint64_t)range->num_sectors * VBLK_SECTOR_BYTES,
			&offset))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* Discard or write-zeroes: all ranges are checked before the first is touched. */
static int start_ranges(struct vblk_request *r, struct iovec *iov, int count, uint32_t bytes)
{
	int status = VIRTIO_BLK_S_OK;
	unsigned i;

	if (!bytes || bytes % sizeof(r->ranges[0]) || bytes > sizeof(r->ranges))
		return VIRTIO_BLK_S_IOERR;
	iov_take_front(&iov, &count, r->ranges, bytes);
	r->range_next = 0;
	r->range_count = bytes / sizeof(r->ranges[0]);
	for (i = 0; i < r->range_count && status == VIRTIO_BLK_S_OK; i++)
		status = check_range(r, &r->ranges[i]);
	return status == VIRTIO_BLK_S_OK ? next_range(r) : status;
}

static int get_id(struct vblk_request *r, const struct iovec *iov, int count)
{
	size_t done = 0;
	int i;

	for (i = 0; i < count && done < sizeof(r->disk->serial); i++) {
		size_t n = MIN(iov[i].iov_len, sizeof(r->disk->serial) - done);

		memcpy(iov[i].iov_base, r->disk->serial + done, n);
		done += n;
	}
	/* The caller's rest is not ours to fill, and not claimed to be. */
	r->in_bytes = done < r->in_bytes - 1 ? (uint32_t)done : r->in_bytes;
	return VIRTIO_BLK_S_OK;
}

static bool is_read_only(const struct vblk_request *r)
{
	return r->disk->blk->info.read_only;
}

static int dispatch(struct vblk_request *r, const struct virtio_blk_req_header *header,
		    struct iovec *out, int out_count)
{
	const struct virtio_device *vd = &r->disk->vd;
	struct virtq_chain *c = r->chain;
	uint64_t sector = le64toh(header->sector);
	uint32_t out_bytes = c->out_bytes - (uint32_t)sizeof(*header);

	switch (le32toh(header->type)) {
	case VIRTIO_BLK_T_IN:
		r->req.op = BLK_READ;
		return start_transfer(r, sector, c->iov + c->out_count, c->in_count);
	case VIRTIO_BLK_T_OUT:
		r->req.op = BLK_WRITE;
		return is_read_only(r) ? VIRTIO_BLK_S_IOERR
				       : start_transfer(r, sector, out, out_count);
	case VIRTIO_BLK_T_FLUSH:
		r->flush_after = false;
		return start_flush(r);
	case VIRTIO_BLK_T_GET_ID:
		return get_id(r, c->iov + c->out_count, c->in_count);
	case VIRTIO_BLK_T_DISCARD:
		r->req.op = BLK_DISCARD;
		r->flush_after = false;
		if (is_read_only(r))
			return VIRTIO_BLK_S_IOERR;
		if (!virtio_has_feature(vd, VIRTIO_BLK_F_DISCARD))
			return VIRTIO_BLK_S_UNSUPP;
		return start_ranges(r, out, out_count, out_bytes);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		r->req.op = BLK_WRITE_ZEROES;
		if (is_read_only(r))
			return VIRTIO_BLK_S_IOERR;
		if (!virtio_has_feature(vd, VIRTIO_BLK_F_WRITE_ZEROES))
			return VIRTIO_BLK_S_UNSUPP;
		return start_ranges(r, out, out_count, out_bytes);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static void add_done(struct vblk *disk, struct vblk_request *r)
{
	r->next_done = NULL;
	*disk->done_tail = r;
	disk->done_tail = &r->next_done;
}

static void request_done(struct blk_req *req, int result)
{
	struct vblk_request *r = container_of(req, struct vblk_request, req);
	struct vblk *disk = r->disk;

	/* Settled with the others of this round, before the loop waits. */
	r->result = result;
	add_done(disk, r);
}

/*
 * Whether a failed request is kept for another try. Not a flush that failed for good: after a retry
 * that says all is well, what the host has dropped would be gone and nobody told.
 */
static bool keep(const struct vblk_request *r)
{
	const struct vblk *disk = r->disk;

	return disk->pause_on_error && !disk->ending && r->result != -EINVAL &&
	       r->result != -EROFS && !(r->req.op == BLK_FLUSH && disk->blk->unstable);
}

static void keep_failed(struct vblk_request *r)
{
	struct machine_events *events = r->disk->vd.env->events;
	struct vblk *disk = r->disk;
	bool first = !disk->kept_head;
	char detail[192], text[64];

	r->next_done = NULL;
	*disk->kept_tail = r;
	disk->kept_tail = &r->next_done;
	if (!first)
		return;
	snprintf(detail, sizeof(detail), "%s: %s", disk->where,
		 strerror_r(-r->result, text, sizeof(text)));
	events->raise(events, MACHINE_IO_FAILED, detail);
}

static struct vblk_request *take_kept(struct vblk *disk)
{
	struct vblk_request *first = disk->kept_head;

	disk->kept_head = NULL;
	disk->kept_tail = &disk->kept_head;
	return first;
}

void vblk_requests_retry(struct vblk *disk)
{
	struct vblk_request *r = take_kept(disk), *next;

	for (; r; r = next) {
		next = r->next_done;
		blk_submit(disk->blk, &r->req);
	}
	blk_kick(disk->blk);
}

void vblk_requests_give_up(struct vblk *disk)
{
	struct vblk_request *r = take_kept(disk), *next;

	for (; r; r = next) {
		next = r->next_done;
		add_done(disk, r);
	}
}

void vblk_request_start(struct vblk *disk, unsigned queue, struct virtq_chain *chain)
{
	struct vblk_request *r = &disk->requests[queue][chain->slot];
	struct virtio_blk_req_header header;
	struct iovec *out = chain->iov;
	int out_count = chain->out_count, status;

	if (chain->out_bytes < sizeof(header) || !chain->in_bytes) {
		virtio_break(&disk->vd, queue, CHAIN_SHORT);
		return;
	}
	r->disk = disk;
	r->queue = queue;
	r->chain = chain;
	r->in_bytes = chain->in_bytes;
	r->range_next = r->range_count = 0;
	r->flush_after = !virtio_has_feature(&disk->vd, VIRTIO_BLK_F_FLUSH);
	r->req.flags = 0;
	r->req.done = request_done;
	iov_take_front(&out, &out_count, &header, sizeof(header));
	r->status = iov_take_last_byte(chain->iov + chain->out_count, &chain->in_count);
	if (le32toh(header.type) == VIRTIO_BLK_T_IN)
		r->flush_after = false;

	disk->in_flight++;
	status = dispatch(r, &header, out, out_count);
	if (status != UNDER_WAY)
		finish(r, status);
}

void vblk_request_advance(struct vblk_request *r)
{
	int status;

	if (r->result < 0 && keep(r)) {
		keep_failed(r);
		return;
	}
	status = r->result < 0 ? VIRTIO_BLK_S_IOERR : next_range(r);
	if (status == VIRTIO_BLK_S_OK && r->flush_after) {
		r->flush_after = false;
		status = start_flush(r);
	}
	if (status != UNDER_WAY)
		finish(r, status);
}
