/*
 * Compressed clusters: "Compressed Clusters Descriptor" of the qcow2 specification. Raw deflate
 * (RFC 1951) without a zlib header, or a zstd frame; decompression ends when a cluster is full.
 *
 * Unpacking takes a processor long, so workers do it, several clusters at once. Reads of a cluster
 * that is on its way wait for it, and the one that was unpacked last is kept: small reads in a row
 * find it. All but unpacking itself is on the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/util.h"
#include "block/qcow2_op.h"
#include "loop/workers.h"

#define PACKED_ALIGN 4096u
#define WORKERS_MAX  4L

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

/* A compressed cluster on its way, and the pieces of requests that want something of it. */
struct qcow2_unpacking {
	struct worker_job job;
	struct file_req req;
	struct iovec iov;
	struct qcow2 *q;
	uint64_t entry;
	unsigned char *packed, *out;
	uint64_t within; /* where in @packed it begins */
	int result;
	struct qcow2_io *first; /* by qcow2_io.next */
	struct qcow2_unpacking *next;
};

/* Hands out the part of the unpacked cluster that the piece wants. */
static void give(struct qcow2_io *io, unsigned char *unpacked)
{
	struct qcow2 *q = io->op->q;
	struct blk_req *req = qcow2_req_of(io->op);
	uint64_t within = (req->offset_bytes + io->skip) & (q->cluster_bytes - 1);

	qcow2_iov_copy(req->iov, io->skip, unpacked + within, io->len_bytes, true);
}

static void unpacking_free(struct qcow2_unpacking *u)
{
	free(u->packed);
	free(u->out);
	free(u);
}

static void unpacking_end(struct qcow2_unpacking *u, int result)
{
	struct qcow2_unpacking **link = &u->q->unpackings;
	struct qcow2_io *io = u->first, *next;
	struct qcow2 *q = u->q;

	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	for (; io; io = next) {
		next = io->next;
		if (!result)
			give(io, u->out);
		qcow2_io_end(io, result);
	}
	/* While clusters are given back, this one may be about to become something else. */
	if (!result && !q->frees.busy) {
		unsigned char *old = q->unpacked;

		q->unpacked = u->out;
		q->unpacked_entry = u->entry;
		u->out = old;
	}
	unpacking_free(u);
	qcow2_kick(q);
}

/* On a worker. */
static void unpack_run(struct worker_job *job)
{
	struct qcow2_unpacking *u = container_of(job, struct qcow2_unpacking, job);

	u->result = qcow2_unpack(u->q, u->packed + u->within, u->req.len_bytes - u->within, u->out);
}

static void unpack_done(struct worker_job *job)
{
	struct qcow2_unpacking *u = container_of(job, struct qcow2_unpacking, job);

	if (u->result == -EIO)
		qcow2_complain(u->q, "a compressed cluster cannot be unpacked", u->entry);
	unpacking_end(u, u->result);
}

static void packed_read(struct file_req *req, int result)
{
	struct qcow2_unpacking *u = container_of(req, struct qcow2_unpacking, req);

	/* The file may end within the last sector. */
	if (result < 0 && result != -ENODATA)
		unpacking_end(u, result);
	else
		workers_submit(u->q->workers, &u->job);
}

/* Starts reading [@start, @end) of the file, in which the cluster of @entry is. NULL: no memory. */
static struct qcow2_unpacking *unpacking_new(struct qcow2 *q, uint64_t entry, uint64_t start,
					     uint64_t end)
{
	struct qcow2_unpacking *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->packed = aligned_alloc(PACKED_ALIGN, align_up(end - start, PACKED_ALIGN));
	u->out = malloc(q->cluster_bytes);
	if (!u->packed || !u->out) {
		unpacking_free(u);
		return NULL;
	}
	memset(u->packed, 0, end - start);
	u->q = q;
	u->entry = entry;
	u->job = (struct worker_job){.run = unpack_run, .done = unpack_done};
	u->iov = (struct iovec){u->packed, end - start};
	u->req = (struct file_req){
		.op = FILE_READ,
		.offset_bytes = start,
		.len_bytes = end - start,
		.iov = &u->iov,
		.iov_count = 1,
		.point = "compressed_read",
		.done = packed_read,
	};
	u->next = q->unpackings;
	q->unpackings = u;
	return u;
}

static struct qcow2_unpacking *find(struct qcow2 *q, uint64_t entry)
{
	struct qcow2_unpacking *u = q->unpackings;

	while (u && u->entry != entry)
		u = u->next;
	return u;
}

static int make_workers(struct qcow2 *q)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (q->workers)
		return 0;
	return workers_new(q->blk.loop, "unpack", (unsigned)MIN(MAX(cpus, 1L), WORKERS_MAX),
			   &q->workers);
}

int qcow2_unpack_piece(struct qcow2_op *op, const struct qcow2_extent *extent)
{
	struct qcow2_unpacking *u;
	struct qcow2 *q = op->q;
	uint64_t offset, len, align = q->file->desc->offset_align;
	struct qcow2_io *io;
	int ret = make_workers(q);

	qcow2_compressed_place(extent->entry, q->cluster_bits, &offset, &len);
	if (offset >= q->file_bytes)
		return qcow2_complain(q, "a compressed cluster is beyond the file", offset);
	io = ret ? NULL : qcow2_io_new(op, extent->len_bytes);
	if (!io)
		return ret ? ret : -ENOMEM;
	if (q->unpacked_entry == extent->entry) {
		give(io, q->unpacked);
		qcow2_io_end(io, 0);
		return 0;
	}
	u = find(q, extent->entry);
	if (u) {
		io->next = u->first;
		u->first = io;
		return 0;
	}
	u = unpacking_new(q, extent->entry, align_down(offset, align),
			  align_up(offset + len, align));
	if (!u) {
		qcow2_io_end(io, -ENOMEM);
		return 0;
	}
	u->within = offset - u->req.offset_bytes;
	io->next = NULL;
	u->first = io;
	file_submit(q->file, &u->req);
	return 0;
}
