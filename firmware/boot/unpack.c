/*
 * gzip (RFC 1952) and zstd (RFC 8878) compressed kernels, decompressed as a stream into a memfd.
 *
 * The output is bounded, whatever the file promises, and zstd's window by the
 * library's default of 128 MiB. Bytes after the end of the compressed data are ignored, as gzip's
 * own tool does; gzip members and zstd frames that follow each other are joined. Used by one
 * thread.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "boot/load.h"

#define IN_BYTES  ((size_t)64 << 10)
#define OUT_BYTES ((size_t)256 << 10)

#define GZIP_MAGIC  0x8b1f     /* RFC 1952, 2.3.1: ID1, ID2 */
#define ZSTD_MAGIC  0xfd2fb528 /* RFC 8878, 3.1.1 */
#define GZIP_WINDOW (15 + 16)  /* zlib: the largest window; a gzip header */

struct unpacker {
	const char *path;
	int in;
	uint64_t in_offset;
	size_t in_len; /* bytes in in_buf, of which in_pos are used */
	size_t in_pos;
	bool open; /* inside a member or frame */
	bool full; /* the last step filled out_buf: there may be more without more input */
	int out;
	uint64_t out_bytes;
	uint64_t out_max;
	union {
		z_stream gzip;
		ZSTD_DStream *zstd;
	};
	uint8_t in_buf[IN_BYTES];
	uint8_t out_buf[OUT_BYTES];
};

enum pack_format pack_sniff(const struct kernel_head *head)
{
	if (head->len >= 2 && get_le16(head->bytes) == GZIP_MAGIC)
		return PACK_GZIP;
	if (head->len >= 4 && get_le32(head->bytes) == ZSTD_MAGIC)
		return PACK_ZSTD;
	return PACK_NONE;
}

/* Reads the next piece of the file; in_len is 0 at its end. */
static int refill(struct unpacker *u, struct err *e)
{
	ssize_t n = fd_pread_full(u->in, u->in_buf, sizeof(u->in_buf), u->in_offset);

	if (n < 0)
		return err_errno(e, (int)-n, "cannot read the kernel %s", u->path);
	u->in_len = (size_t)n;
	u->in_pos = 0;
	u->in_offset += (uint64_t)n;
	return 0;
}

static int flush(struct unpacker *u, size_t len, struct err *e)
{
	int ret;

	if (len > u->out_max - u->out_bytes)
		return err_set(e, EFBIG, "the kernel %s decompresses to more than %llu MiB",
			       u->path, (unsigned long long)u->out_max >> 20);
	ret = fd_write_full(u->out, u->out_buf, len);
	if (ret < 0)
		return err_errno(e, -ret, "cannot keep the decompressed kernel %s", u->path);
	u->out_bytes += len;
	return 0;
}

/* Turns some of the input into some output; says through open and full how it stands. */
static int step_gzip(struct unpacker *u, struct err *e)
{
	z_stream *z = &u->gzip;
	int ret;

	z->next_in = u->in_buf + u->in_pos;
	z->avail_in = (uInt)(u->in_len - u->in_pos);
	z->next_out = u->out_buf;
	z->avail_out = OUT_BYTES;
	ret = inflate(z, Z_NO_FLUSH);
	if (ret == Z_STREAM_END && inflateReset(z) != Z_OK)
		ret = Z_STREAM_ERROR;
	/* Z_BUF_ERROR only asks for more input. */
	if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR)
		return err_set(e, EINVAL, "cannot decompress the kernel %s: %s", u->path,
			       z->msg ? z->msg : zError(ret));
	u->in_pos = u->in_len - z->avail_in;
	u->open = ret != Z_STREAM_END;
	u->full = u->open && !z->avail_out;
	return flush(u, OUT_BYTES - z->avail_out, e);
}

static int step_zstd(struct unpacker *u, struct err *e)
{
	ZSTD_inBuffer in = {.src = u->in_buf, .size = u->in_len, .pos = u->in_pos};
	ZSTD_outBuffer out = {.dst = u->out_buf, .size = OUT_BYTES};
	size_t left = ZSTD_decompressStream(u->zstd, &out, &in);

	if (ZSTD_isError(left))
		return err_set(e, EINVAL, "cannot decompress the kernel %s: %s", u->path,
			       ZSTD_getErrorName(left));
	u->in_pos = in.pos;
	u->open = left != 0;
	u->full = u->open && out.pos == out.size;
	return flush(u, out.pos, e);
}

/* @first: the byte every member or frame begins with; another one ends the data. */
static int unpack_all(struct unpacker *u, int (*step)(struct unpacker *, struct err *),
		      uint8_t first, struct err *e)
{
	int ret;

	for (;;) {
		if (u->in_pos == u->in_len && !u->full) {
			ret = refill(u, e);
			if (ret < 0)
				return ret;
			if (!u->in_len && u->open)
				return err_set(e, EINVAL,
					       "the kernel %s is truncated: its compressed data "
					       "ends early",
					       u->path);
			if (!u->in_len)
				return 0;
		}
		if (!u->open && u->in_buf[u->in_pos] != first)
			return 0;
		ret = step(u, e);
		if (ret < 0)
			return ret;
	}
}

static int unpack_gzip(struct unpacker *u, struct err *e)
{
	int ret;

	if (inflateInit2(&u->gzip, GZIP_WINDOW) != Z_OK)
		return err_set(e, ENOMEM, "out of memory");
	ret = unpack_all(u, step_gzip, GZIP_MAGIC & 0xff, e);
	inflateEnd(&u->gzip);
	return ret;
}

static int unpack_zstd(struct unpacker *u, struct err *e)
{
	int ret;

	u->zstd = ZSTD_createDStream();
	if (!u->zstd)
		return err_set(e, ENOMEM, "out of memory");
	ret = unpack_all(u, step_zstd, ZSTD_MAGIC & 0xff, e);
	ZSTD_freeDStream(u->zstd);
	return ret;
}

int kernel_unpack(const char *path, enum pack_format format, uint64_t max, int *fd,
		  uint64_t *size_bytes, struct err *e)
{
	struct unpacker *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return err_set(e, ENOMEM, "out of memory");
	u->path = path;
	u->out_max = max;
	u->in = *fd;
	u->out = memfd_create("sarang-kernel", MFD_CLOEXEC);
	if (u->out < 0) {
		ret = err_errno(e, errno, "cannot create a memory file for the kernel %s", path);
		goto out;
	}
	ret = format == PACK_GZIP ? unpack_gzip(u, e) : unpack_zstd(u, e);
	if (ret < 0)
		goto out;
	fd_close(fd);
	*fd = u->out;
	*size_bytes = u->out_bytes;
	u->out = -1;
out:
	fd_close(&u->out);
	free(u);
	return ret;
}
