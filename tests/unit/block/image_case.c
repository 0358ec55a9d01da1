#include "image_case.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "block/raw.h"

void image_make(struct image_case *c, uint64_t size)
{
	struct err e;
	int fd;

	*c = (struct image_case){0};
	ck_assert_int_eq(loop_new(&c->loop, &e), 0);
	snprintf(c->dir, sizeof(c->dir), "block-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(c->dir));
	snprintf(c->path, sizeof(c->path), "%s/image.raw", c->dir);
	fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

bool image_open(struct image_case *c, enum image_way way)
{
	bool threads = way == IMAGE_THREADS || way == IMAGE_THREADS_DIRECT;
	struct file_options options = {.path = c->device[0] ? c->device : c->path,
				       .direct = way >= IMAGE_URING_DIRECT};
	struct file_desc desc;
	struct err e = {0};
	int ret = file_desc_open(&desc, &options, &e);

	if (ret == -ENOTSUP && options.direct)
		return false;
	ck_assert_msg(ret == 0, "%s", e.text);
	ret = file_attach(&desc, c->loop, threads ? FILE_ENGINE_THREADS : FILE_ENGINE_URING,
			  &c->file, &e);
	ck_assert_msg(ret == 0, "%s", e.text);
	c->file = file_faults_new(c->file, &c->plan);
	ck_assert_ptr_nonnull(c->file);
	c->file = file_record_new(c->file, &c->record);
	ck_assert_ptr_nonnull(c->file);
	ret = raw_open(c->file, NULL, &c->blk, &e);
	ck_assert_msg(ret == 0, "%s", e.text);
	return true;
}

void image_close(struct image_case *c)
{
	blk_close(c->blk);
	c->blk = NULL;
	c->file = NULL;
}

void image_free(struct image_case *c)
{
	image_close(c);
	file_record_free(&c->record);
	loop_free(c->loop);
	unlink(c->path);
	ck_assert_int_eq(rmdir(c->dir), 0);
}

static void image_done(struct blk_req *req, int result)
{
	struct image_req *r = container_of(req, struct image_req, req);

	ck_assert(!r->owner->inside_submit);
	r->result = result;
	r->completions++;
	r->owner->completions++;
}

void image_submit(struct image_case *c, struct image_req *r)
{
	r->owner = c;
	r->completions = 0;
	r->req.done = image_done;
	c->inside_submit = true;
	blk_submit(c->blk, &r->req);
	c->inside_submit = false;
}

int image_do(struct image_case *c, enum blk_op op, uint64_t offset, uint64_t len)
{
	struct image_req r = {.req = {.op = op, .offset_bytes = offset, .len_bytes = len}};

	image_submit(c, &r);
	blk_drain(c->blk);
	ck_assert_uint_eq(r.completions, 1);
	return r.result;
}
