/* The file layer itself: spans of half-done transfers, named steps, allocation, the recorder. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "block/engine.h"
#include "image_case.h"
#include "wrapped_calls.h"

START_TEST(what_is_left_of_a_transfer)
{
	char a[10], b[20], d[30];
	struct iovec iov[] = {{a, 10}, {b, 20}, {d, 30}};
	struct file_req req = {.op = FILE_READ, .iov = iov, .iov_count = 3, .len_bytes = 60};
	struct engine_span span;
	int result;

	engine_span_left(&req, &span);
	ck_assert_ptr_eq(span.iov, iov);
	ck_assert_int_eq(span.count, 3);
	ck_assert(!engine_step(&req, 10, &result));
	engine_span_left(&req, &span);
	ck_assert_ptr_eq(span.iov, iov + 1);
	ck_assert_int_eq(span.count, 2);
	ck_assert(!engine_step(&req, 5, &result));
	engine_span_left(&req, &span);
	ck_assert_int_eq(span.count, 1);
	ck_assert_ptr_eq(span.iov->iov_base, b + 5);
	ck_assert_uint_eq(span.iov->iov_len, 15);
	ck_assert(!engine_step(&req, -EINTR, &result));
	ck_assert(!engine_step(&req, -EAGAIN, &result));
	ck_assert_uint_eq(req.moved_bytes, 15);
	ck_assert(engine_step(&req, 45, &result));
	ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(ends_and_errors_of_a_transfer)
{
	struct file_req req = {.op = FILE_READ, .len_bytes = 60};
	int result = 1;

	ck_assert(engine_step(&req, 0, &result));
	ck_assert_int_eq(result, -ENODATA);
	req.op = FILE_WRITE;
	ck_assert(engine_step(&req, 0, &result));
	ck_assert_int_eq(result, -EIO);
	ck_assert(engine_step(&req, -ENOSPC, &result));
	ck_assert_int_eq(result, -ENOSPC);
	req.op = FILE_SYNC;
	ck_assert(engine_step(&req, 0, &result));
	ck_assert_int_eq(result, 0);
}
END_TEST

START_TEST(one_system_call_is_not_asked_too_much)
{
	struct iovec *iov = calloc(IOV_MAX + 5, sizeof(*iov));
	struct file_req req = {.op = FILE_WRITE, .iov = iov, .iov_count = IOV_MAX + 5};
	struct engine_span span;
	int i;

	ck_assert_ptr_nonnull(iov);
	for (i = 0; i < IOV_MAX + 5; i++)
		iov[i] = (struct iovec){iov, 8};
	req.len_bytes = 8 * (IOV_MAX + 5);
	engine_span_left(&req, &span);
	ck_assert_int_eq(span.count, IOV_MAX);
	req.moved_bytes = 8 * IOV_MAX;
	engine_span_left(&req, &span);
	ck_assert_int_eq(span.count, 5);
	/* Never touched: only the arithmetic is looked at. */
	iov[0] = (struct iovec){iov, GIB(5)};
	req = (struct file_req){.op = FILE_READ, .iov = iov, .iov_count = 1, .len_bytes = GIB(5)};
	engine_span_left(&req, &span);
	ck_assert_int_eq(span.count, 1);
	ck_assert_uint_le(span.iov->iov_len, GIB(1));
	req.moved_bytes = GIB(4) + 1;
	engine_span_left(&req, &span);
	ck_assert_ptr_eq(span.iov->iov_base, (char *)iov + GIB(4) + 1);
	ck_assert_uint_le(span.iov->iov_len, GIB(1));
	free(iov);
}
END_TEST

struct step {
	struct file_req req;
	bool ended;
	int result;
};

static void step_done(struct file_req *req, int result)
{
	struct step *step = container_of(req, struct step, req);

	step->ended = true;
	step->result = result;
}

static int run_step(struct image_case *c, struct file_req req)
{
	struct step step = {.req = req};

	step.req.done = step_done;
	file_submit(c->file, &step.req);
	ck_assert(!step.ended);
	file_kick(c->file);
	while (!step.ended)
		loop_run_once(c->loop, -1);
	return step.result;
}

START_TEST(allocating_takes_space_and_changes_no_byte)
{
	struct image_case c;
	struct stat st;
	uint64_t size;
	int ret;

	image_make(&c, MIB(1));
	ck_assert(image_open(&c, (enum image_way)_i));
	ret = run_step(&c, (struct file_req){.op = FILE_ALLOCATE, .len_bytes = MIB(2)});
	if (ret == 0) {
		ck_assert_int_eq(stat(c.path, &st), 0);
		ck_assert_int_ge(st.st_blocks, (blkcnt_t)(MIB(2) / 512));
	} else {
		ck_assert_int_eq(ret, -EOPNOTSUPP);
	}
	ck_assert_int_eq(c.file->ops->size(c.file, &size), 0);
	ck_assert_uint_eq(size, MIB(1));
	image_free(&c);
}
END_TEST

START_TEST(a_named_step_fails_and_no_other)
{
	struct fault fault = {
		.op = FILE_WRITE, .point = "l2_update", .nth = 2, .times = 1, .error = -EIO};
	char buf[512] = {1};
	struct iovec iov = {buf, sizeof(buf)};
	struct file_req named = {.op = FILE_WRITE,
				 .iov = &iov,
				 .iov_count = 1,
				 .len_bytes = 512,
				 .point = "l2_update"};
	struct file_req other = named;
	struct image_case c;

	other.point = "refblock_alloc";
	image_make(&c, MIB(1));
	c.plan = (struct file_faults){&fault, 1};
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(run_step(&c, named), 0);
	ck_assert_int_eq(run_step(&c, other), 0);
	other.point = NULL;
	ck_assert_int_eq(run_step(&c, other), 0);
	ck_assert_int_eq(run_step(&c, named), -EIO);
	ck_assert_int_eq(run_step(&c, named), 0);
	ck_assert_str_eq(c.record.entries[0].point, "l2_update");
	image_free(&c);
}
END_TEST

START_TEST(a_write_past_the_end_makes_the_file_longer)
{
	char buf[512];
	struct iovec iov = {buf, sizeof(buf)};
	struct image_case c;
	uint64_t size;

	memset(buf, 2, sizeof(buf));
	image_make(&c, MIB(1));
	ck_assert(image_open(&c, (enum image_way)_i));
	ck_assert_int_eq(run_step(&c, (struct file_req){.op = FILE_WRITE,
							.iov = &iov,
							.iov_count = 1,
							.offset_bytes = MIB(3),
							.len_bytes = 512}),
			 0);
	ck_assert_int_eq(c.file->ops->size(c.file, &size), 0);
	ck_assert_uint_eq(size, MIB(3) + 512);
	image_free(&c);
}
END_TEST

/* The record, played back on an empty image, gives the file; flushes cover what came before them.
 */
START_TEST(the_record_gives_the_file_again)
{
	static unsigned char model[MIB(1)], file[MIB(1)];
	struct image_case c;
	unsigned char buf[3 * 512];
	size_t i, k;
	int fd;

	image_make(&c, sizeof(model));
	ck_assert(image_open(&c, (enum image_way)_i));
	for (i = 0; i < 20; i++) {
		memset(buf, (int)i + 1, sizeof(buf));
		ck_assert_int_eq(blk_pwrite(c.blk, 1024 * i, buf, sizeof(buf)), 0);
		if (i == 9)
			ck_assert_int_eq(blk_flush(c.blk), 0);
	}
	ck_assert_int_eq(image_do(&c, BLK_WRITE_ZEROES, 4096, 8192), 0);
	ck_assert_uint_eq(c.record.count, 22);
	for (k = 0; k < c.record.count; k++) {
		ck_assert(c.record.entries[k].completed);
		ck_assert_int_eq(c.record.entries[k].stable_at != SIZE_MAX, k < 10);
		file_record_apply(&c.record, k, model, sizeof(model));
	}
	ck_assert_int_eq(c.record.entries[10].op, FILE_SYNC);
	image_close(&c);
	fd = open(c.path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fd_pread_full(fd, file, sizeof(file), 0), sizeof(file));
	close(fd);
	ck_assert(memcmp(file, model, sizeof(model)) == 0);
	image_free(&c);
}
END_TEST

START_TEST(a_host_without_io_uring_gets_threads)
{
	static const int errors[] = {-EPERM, -ENOSYS, -ENOMEM, -EINVAL};
	unsigned char buf[512], back[512];
	struct image_case c;
	struct err e = {0};
	struct file *file;
	struct file_desc desc;

	image_make(&c, 4096);
	memset(buf, 0x5a, sizeof(buf));
	wrapped_refuse_rings(errors[_i]);
	ck_assert_int_eq(blk_open(&(struct blk_options){.path = c.path}, c.loop, &c.blk, &e), 0);
	ck_assert_int_eq(blk_pwrite(c.blk, 512, buf, 512), 0);
	ck_assert_int_eq(blk_flush(c.blk), 0);
	ck_assert_int_eq(blk_pread(c.blk, 512, back, 512), 0);
	ck_assert_mem_eq(buf, back, 512);
	image_close(&c);
	/* Who insists on io_uring hears why not, and keeps the descriptor. */
	ck_assert_int_eq(file_desc_open(&desc, &(struct file_options){.path = c.path}, &e), 0);
	ck_assert_int_eq(file_attach(&desc, c.loop, FILE_ENGINE_URING, &file, &e), errors[_i]);
	ck_assert_ptr_nonnull(strstr(e.text, "asynchronous I/O"));
	file_desc_close(&desc);
	image_free(&c);
}
END_TEST

TCase *file_case(void)
{
	TCase *tc = tcase_create("file");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_left_of_a_transfer);
	tcase_add_test(tc, ends_and_errors_of_a_transfer);
	tcase_add_test(tc, one_system_call_is_not_asked_too_much);
	tcase_add_loop_test(tc, allocating_takes_space_and_changes_no_byte, 0, 2);
	tcase_add_loop_test(tc, a_named_step_fails_and_no_other, 0, 2);
	tcase_add_loop_test(tc, a_write_past_the_end_makes_the_file_longer, 0, 2);
	tcase_add_loop_test(tc, the_record_gives_the_file_again, 0, 2);
	tcase_add_loop_test(tc, a_host_without_io_uring_gets_threads, 0, 4);
	return tc;
}
