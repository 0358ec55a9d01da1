/* Requests to a file that the caller waits for: see file.h. Runs the file's loop meanwhile. */
#include <errno.h>

#include "base/util.h"
#include "block/file.h"

struct waited {
	struct file_req req;
	bool ended;
	int result;
};

static void ended(struct file_req *req, int result)
{
	struct waited *w = container_of(req, struct waited, req);

	w->ended = true;
	w->result = result;
}

int file_wait(struct file *file, struct file_req req)
{
	struct waited w = {.req = req};

	w.req.done = ended;
	file_submit(file, &w.req);
	file_kick(file);
	while (!w.ended)
		loop_run_once(file->loop, -1);
	return w.result;
}

int file_pread(struct file *file, uint64_t offset_bytes, void *buf, uint64_t len_bytes)
{
	struct iovec iov = {buf, len_bytes};

	return file_wait(file, (struct file_req){.op = FILE_READ,
						 .offset_bytes = offset_bytes,
						 .len_bytes = len_bytes,
						 .iov = &iov,
						 .iov_count = 1});
}

int file_pwrite(struct file *file, uint64_t offset_bytes, const void *buf, uint64_t len_bytes)
{
	struct iovec iov = {(void *)buf, len_bytes};

	return file_wait(file, (struct file_req){.op = FILE_WRITE,
						 .offset_bytes = offset_bytes,
						 .len_bytes = len_bytes,
						 .iov = &iov,
						 .iov_count = 1});
}
