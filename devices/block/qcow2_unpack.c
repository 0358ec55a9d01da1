/*
 * Compressed clusters: "Compressed Clusters Descriptor" of the qcow2 specification. Raw deflate
 * (RFC 1951) without a zlib header, or a zstd frame; decompression ends when a cluster is full.
 *
 * The cluster that was unpacked last is kept: small reads in a row find it. On the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/util.h"
#include "block/qcow2_op.h"

#define PACKED_ALIGN 4096u

static int inflate_all(const unsigned char *packed, uint64_t len, unsigned char *out,
		       uint64_t out_len)
{
	z_stream z = {
		.next_in = (unsigned char *)packed,
		.avail_in = (uInt)len,
		.next_out = out,
		.avail_out = (uInt)out_len,
	};
	int ret;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* Z_BUF_ERROR: the cluster is full, and the stream would go on. */
	return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
}

static int unzstd_all(const unsigned char *packed, uint64_t len, unsigned char *out,
		      uint64_t out_len)
{
	ZSTD_inBuffer in = {packed, len, 0};
	ZSTD_outBuffer to = {out, out_len, 0};
	ZSTD_DCtx *z = ZSTD_createDCtx();
	size_t ret = 1;

	if (!z)
		return -ENOMEM;
	while (to.pos < to.size && !ZSTD_isError(ret)) {
		size_t before = in.pos + to.pos;

		ret = ZSTD_decompressStream(z, &to, &in);
		if (in.pos + to.pos == before)
			break;
	}
	ZSTD_freeDCtx(z);
	return to.pos == to.size && !ZSTD_isError(ret) ? 0 : -EIO;
}

int qcow2_unpack(const struct qcow2 *q, const unsigned char *packed, uint64_t len,
		 unsigned char *out)
{
	if (q->h.compression == QCOW2_ZSTD)
		return unzstd_all(packed, len, out, q->cluster_bytes);
	return inflate_all(packed, len, out, q->cluster_bytes);
}

/* Hands out the part of the unpacked cluster that the piece wants. */
static void give(struct qcow2_io *io)
{
	struct qcow2 *q = io->op->q;
	struct blk_req *req = qcow2_req_of(io->op);
	uint64_t within = (req->offset_bytes + io->skip) & (q->cluster_bytes - 1);

	qcow2_iov_copy(req->iov, io->skip, q->unpacked + within, io->len_bytes, true);
}

static void packed_read(struct file_req *req, int result)
{
	struct qcow2_io *io = container_of(req, struct qcow2_io, req);
	struct qcow2 *q = io->op->q;

	/* The file may end within the last sector. */
	if (result == -ENODATA)
		result = 0;
	if (!result && q->unpacked_entry != io->entry) {
		q->unpacked_entry = 0;
		result = qcow2_unpack(q, io->bounce + io->within, req->len_bytes - io->within,
				      q->unpacked);
		if (!result)
			q->unpacked_entry = io->entry;
		else if (result == -EIO)
			qcow2_complain(q, "a compressed cluster cannot be unpacked", io->entry);
	}
	if (!result)
		give(io);
	qcow2_io_end(io, result);
}

int qcow2_unpack_piece(struct qcow2_op *op, const struct qcow2_extent *extent)
{
	struct qcow2 *q = op->q;
	uint64_t offset, len, start, end, align = q->file->desc->offset_align;
	struct qcow2_io *io;

	qcow2_compressed_place(extent->entry, q->cluster_bits, &offset, &len);
	if (offset >= q->file_bytes)
		return qcow2_complain(q, "a compressed cluster is beyond the file", offset);
	if (!q->unpacked)
		q->unpacked = malloc(q->cluster_bytes);
	io = q->unpacked ? qcow2_io_new(op, extent->len_bytes) : NULL;
	if (!io)
		return -ENOMEM;
	if (q->unpacked_entry == extent->entry) {
		give(io);
		qcow2_io_end(io, 0);
		return 0;
	}
	start = align_down(offset, align);
	end = align_up(offset + len, align);
	io->bounce = aligned_alloc(PACKED_ALIGN, align_up(end - start, PACKED_ALIGN));
	if (!io->bounce) {
		qcow2_io_end(io, -ENOMEM);
		return 0;
	}
	memset(io->bounce, 0, end - start);
	io->entry = extent->entry;
	io->within = offset - start;
	io->flat = (struct iovec){io->bounce, end - start};
	io->req = (struct file_req){
		.op = FILE_READ,
		.offset_bytes = start,
		.len_bytes = end - start,
		.iov = &io->flat,
		.iov_count = 1,
		.point = "compressed_read",
		.done = packed_read,
	};
	file_submit(q->file, &io->req);
	return 0;
}
