/*
 * The file layer's common part: choosing an engine, and what needs none. See file.h and engine.h.
 */
#include "block/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "block/engine.h"

int file_attach(const struct file_desc *desc, struct loop *loop, enum file_engine engine,
		struct file **out, struct err *e)
{
	int ret = -ENOSYS;

	if (engine != FILE_ENGINE_THREADS) {
		ret = engine_uring_new(desc, loop, out);
		if (ret < 0)
			log_info("disk %s: no io_uring (%s), using threads", desc->path,
				 strerror(-ret));
	}
	if (ret < 0 && engine != FILE_ENGINE_URING)
		ret = engine_threads_new(desc, loop, out);
	if (ret < 0)
		return err_errno(e, -ret, "disk %s: cannot set up asynchronous I/O", desc->path);
	return 0;
}

int file_open(const struct file_options *options, struct loop *loop, struct file **out,
	      struct err *e)
{
	struct file_desc desc;
	int ret = file_desc_open(&desc, options, e);

	if (ret < 0)
		return ret;
	ret = file_attach(&desc, loop, FILE_ENGINE_AUTO, out, e);
	if (ret < 0)
		file_desc_close(&desc);
	return ret;
}

void file_close(struct file *file)
{
	if (file)
		file->ops->close(file);
}

int fd_file_extent(struct file *file, uint64_t offset_bytes, uint64_t *len_bytes, bool *data)
{
	int fd = file->desc->fd;
	off_t start = (off_t)offset_bytes;
	off_t next;

	/* What was data may be a hole by now, which still reads right. */
	if (offset_bytes >= file->data_start && offset_bytes < file->data_end) {
		*data = true;
		*len_bytes = MIN(*len_bytes, file->data_end - offset_bytes);
		return 0;
	}
	next = lseek(fd, start, SEEK_DATA);
	/* ENXIO: no data from here to the end. Anything else: the host cannot tell, so it is data.
	 */
	if (next < 0 && errno != ENXIO) {
		*data = true;
		return 0;
	}
	if (next < 0) {
		*data = false;
		return 0;
	}
	*data = next == start;
	if (*data)
		next = lseek(fd, start, SEEK_HOLE);
	if (*data && next > start) {
		file->data_start = offset_bytes;
		file->data_end = (uint64_t)next;
	}
	if (next > start)
		*len_bytes = MIN(*len_bytes, (uint64_t)(next - start));
	return 0;
}

int fd_file_size(struct file *file, uint64_t *size_bytes)
{
	struct stat st;

	if (file->desc->block_device)
		return ioctl(file->desc->fd, BLKGETSIZE64, size_bytes) < 0 ? -errno : 0;
	if (fstat(file->desc->fd, &st) < 0)
		return -errno;
	*size_bytes = (uint64_t)st.st_size;
	return 0;
}

int fd_file_resize(struct file *file, uint64_t size_bytes)
{
	if (file->desc->block_device)
		return -ENOTSUP;
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	return ftruncate(file->desc->fd, (off_t)size_bytes) < 0 ? -errno : 0;
}

void engine_span_left(const struct file_req *req, struct engine_span *span)
{
	uint64_t skip = req->moved_bytes;
	const struct iovec *iov = req->iov;

	while (skip && skip >= iov->iov_len)
		skip -= iov++->iov_len;
	span->iov = iov;
	span->count = MIN(req->iov_count - (int)(iov - req->iov), IOV_MAX);
	if (skip || (span->count == 1 && iov->iov_len > ENGINE_MOVE_MAX)) {
		span->part.iov_base = (char *)iov->iov_base + skip;
		span->part.iov_len = MIN(iov->iov_len - skip, ENGINE_MOVE_MAX);
		span->iov = &span->part;
		span->count = 1;
	}
}

int engine_fallocate_mode(enum file_op op)
{
	if (op == FILE_ZERO)
		return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	if (op == FILE_ALLOCATE)
		return FALLOC_FL_KEEP_SIZE;
	return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
}

bool engine_step(struct file_req *req, int64_t ret, int *result)
{
	if (ret == -EINTR || ret == -EAGAIN)
		return false;
	*result = (int)MIN(ret, 0);
	if (ret < 0 || (req->op != FILE_READ && req->op != FILE_WRITE))
		return true;
	if (ret == 0) {
		/* The end of the file for a read. Linux has no reason for it with a write. */
		*result = req->op == FILE_READ ? -ENODATA : -EIO;
		return true;
	}
	req->moved_bytes += (uint64_t)ret;
	return req->moved_bytes >= req->len_bytes;
}
