/* Opening and closing qcow2 images: see qcow2.h and qcow2_image.h. */
#include "block/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "block/qcow2_chain.h"
#include "block/qcow2_image.h"
#include "block/qcow2_tools.h"
#include "loop/workers.h"

#define HEADER_ALIGN 4096u
#define SECTOR       512u

/* --- the header --- */

static int check_use(const struct qcow2_header *h, const struct file_desc *desc, struct err *e)
{
	if (1u << h->cluster_bits < desc->offset_align)
		return err_set(e, ENOTSUP,
			       "disk %s: clusters of %u bytes are too small for direct I/O in "
			       "units of %u: leave out direct",
			       desc->path, 1u << h->cluster_bits, desc->offset_align);
	if ((h->incompatible & QCOW2_CORRUPT) && !desc->read_only)
		return err_set(e, EIO,
			       "disk %s is marked as corrupt: repair it with `sarang disk check "
			       "--repair all %s`, or open it read-only",
			       desc->path, desc->path);
	return 0;
}

static void fill_info(struct blk_info *info, const struct qcow2_header *h,
		      const struct file_desc *desc)
{
	uint32_t block = MAX(desc->offset_align, SECTOR);

	*info = (struct blk_info){
		.capacity_bytes = align_down(h->size_bytes, block),
		.block_bytes = block,
		.physical_bytes = MAX(desc->physical_bytes, block),
		.optimal_bytes = 1u << h->cluster_bits,
		.align_bytes = desc->mem_align,
		.discard_bytes = desc->read_only ? 0 : 1u << h->cluster_bits,
		.read_only = desc->read_only,
		.format = "qcow2",
	};
}

/* Reads the first cluster by @read. *@bytes is the caller's to free. Bytes read, or -errno. */
static ssize_t read_first(int fd, uint64_t len, unsigned char **bytes)
{
	ssize_t got;

	*bytes = aligned_alloc(HEADER_ALIGN, align_up(len, HEADER_ALIGN));
	if (!*bytes)
		return -ENOMEM;
	memset(*bytes, 0, align_up(len, HEADER_ALIGN));
	got = fd_pread_full(fd, *bytes, align_up(len, HEADER_ALIGN), 0);
	if (got < 0)
		free(*bytes);
	return got;
}

int qcow2_read_header(const struct file_desc *desc, struct qcow2_header *h, unsigned char **raw,
		      struct err *e)
{
	unsigned char *bytes;
	ssize_t got = read_first(desc->fd, HEADER_ALIGN, &bytes);
	uint64_t want;
	int ret;

	if (got >= 0) {
		want = qcow2_header_cluster_bytes(bytes, (size_t)got);
		if (want > HEADER_ALIGN) {
			free(bytes);
			got = read_first(desc->fd, want, &bytes);
		}
	}
	if (got < 0)
		return err_errno(e, (int)-got, "cannot read the header of disk %s", desc->path);
	ret = qcow2_header_parse(h, bytes, (size_t)got, desc->path, e);
	if (ret < 0 || !raw)
		free(bytes);
	else
		*raw = bytes;
	return ret;
}

int qcow2_describe(const struct file_desc *desc, struct blk_info *info, struct err *e)
{
	struct qcow2_header h;
	int ret = qcow2_read_header(desc, &h, NULL, e);

	if (ret < 0)
		return ret;
	ret = check_use(&h, desc, e);
	fill_info(info, &h, desc);
	qcow2_header_free(&h);
	return ret;
}

/* --- opening --- */

uint64_t *qcow2_read_numbers(struct qcow2 *q, uint64_t offset, uint64_t count, const char *what,
			     struct err *e)
{
	uint64_t len = align_up(MAX(count, UINT64_C(1)) * 8, HEADER_ALIGN), i;
	uint64_t *numbers = aligned_alloc(HEADER_ALIGN, len);
	int ret = 0;

	if (!numbers) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	memset(numbers, 0, len);
	if (!range_inside(offset, count * 8, q->file_bytes))
		ret = -ENODATA;
	else if (count)
		ret = file_pread(q->file, offset, numbers,
				 align_up(count * 8, q->blk.info.block_bytes));
	/* The file may end with the last number. */
	if (ret == -ENODATA && range_inside(offset, count * 8, q->file_bytes))
		ret = 0;
	if (ret < 0) {
		free(numbers);
		if (ret == -ENODATA)
			err_set(e, EINVAL, "disk %s: its %s is beyond the end of the file",
				q->file->desc->path, what);
		else
			err_errno(e, -ret, "disk %s: cannot read its %s", q->file->desc->path,
				  what);
		return NULL;
	}
	for (i = 0; i < count; i++)
		numbers[i] = be64toh(numbers[i]);
	return numbers;
}

static void set_geometry(struct qcow2 *q)
{
	const struct qcow2_header *h = &q->h;

	q->cluster_bits = h->cluster_bits;
	q->cluster_bytes = UINT64_C(1) << h->cluster_bits;
	q->extended = h->incompatible & QCOW2_EXTENDED_L2;
	q->external = h->incompatible & QCOW2_DATA_FILE;
	q->entry_bytes = q->extended ? 16 : 8;
	q->l2_bits = h->cluster_bits - (q->extended ? 4 : 3);
	q->refblock_bits = h->cluster_bits + 3 - h->refcount_order;
	q->reftable_entries = ((uint64_t)h->reftable_clusters << h->cluster_bits) / 8;
	q->zero_from =
		q->file->desc->block_device ? UINT64_MAX : qcow2_cluster_up(q, q->file_bytes);
}

static int load_tables(struct qcow2 *q, bool repairing, struct err *e)
{
	uint64_t l1_blocks = qcow2_blocks(q, q->h.l1_entries) + 1;

	q->l1 = qcow2_read_numbers(q, q->h.l1_offset, q->h.l1_entries, "L1 table", e);
	if (!q->l1)
		return -EINVAL;
	/* Readers need no refcounts. */
	if (!q->writable && !repairing)
		q->reftable_entries = 0;
	q->reftable = qcow2_read_numbers(q, q->h.reftable_offset, q->reftable_entries,
					 "refcount table", e);
	if (!q->reftable)
		return -EINVAL;
	q->l1_dirty = calloc(l1_blocks, sizeof(bool));
	q->flush.l1_dirty = calloc(l1_blocks, sizeof(bool));
	q->reftable_dirty = calloc(qcow2_blocks(q, q->reftable_entries) + 1, sizeof(bool));
	if (!q->l1_dirty || !q->flush.l1_dirty || !q->reftable_dirty || qcow2_cache_init(q) < 0)
		return err_set(e, ENOMEM, "out of memory");
	return 0;
}

int qcow2_reload(struct qcow2 *q)
{
	int ret;

	qcow2_cache_free(q);
	q->cache = (struct qcow2_cache){0};
	free(q->l1);
	free(q->l1_dirty);
	free(q->flush.l1_dirty);
	free(q->reftable);
	free(q->reftable_dirty);
	q->l1 = q->reftable = NULL;
	q->l1_dirty = q->flush.l1_dirty = q->reftable_dirty = NULL;
	q->reftable_moved = q->header_dirty = false;
	q->pool.hint = 0;
	q->unpacked_entry = 0;
	set_geometry(q);
	ret = load_tables(q, true, NULL);
	if (ret < 0) {
		/* Nothing can be found any more, and nothing may be written. */
		q->h.l1_entries = 0;
		q->reftable_entries = 0;
		q->flush_error = ret;
	}
	return ret;
}

static int open_others(struct qcow2 *q, const struct blk_options *options, struct err *e)
{
	const char *path = q->file->desc->path;
	int ret = 0;

	if (q->external)
		ret = qcow2_chain_data(path, &q->h, options, q->blk.loop, &q->data, e);
	if (!ret && q->h.backing_name && !options->no_backing)
		ret = qcow2_chain_open(path, &q->h, options, q->blk.loop, &q->backing, e);
	if (ret < 0)
		return ret;
	if (q->backing)
		q->blk.info.block_bytes =
			MAX(q->blk.info.block_bytes, q->backing->info.block_bytes);
	if (q->data->desc->offset_align > q->blk.info.block_bytes)
		return err_set(e, ENOTSUP, "disk %s: its data file needs I/O in units of %u bytes",
			       path, q->data->desc->offset_align);
	q->blk.info.capacity_bytes =
		align_down(q->blk.info.capacity_bytes, q->blk.info.block_bytes);
	return 0;
}

void qcow2_put_over(struct blk *blk, struct blk *base)
{
	struct qcow2 *q = qcow2_of(blk);

	q->backing = base;
	blk->info.block_bytes = MAX(blk->info.block_bytes, base->info.block_bytes);
	blk->info.align_bytes = MAX(blk->info.align_bytes, base->info.align_bytes);
	blk->info.format = base->info.format;
	blk->info.ephemeral = true;
}

/* What has to be so before the first write. */
static int prepare_writing(struct qcow2 *q, struct err *e)
{
	const char *path = q->file->desc->path;
	int ret = 0;

	/* Bitmaps are not kept up to date here: they must not look as if they were. */
	if (q->h.autoclear & ~(uint64_t)QCOW2_RAW_DATA) {
		q->h.autoclear &= QCOW2_RAW_DATA;
		q->header_dirty = true;
	}
	if (q->h.incompatible & QCOW2_DIRTY) {
		log_warn("disk %s was not closed properly: checking its refcounts", path);
		ret = qcow2_repair_dirty(q, e);
	}
	if (!ret && q->header_dirty) {
		ret = qcow2_flush_wait(q);
		if (ret < 0)
			return err_errno(e, -ret, "cannot write the header of disk %s", path);
	}
	return ret;
}

static void image_free(struct qcow2 *q)
{
	if (q->cache.buckets)
		qcow2_cache_free(q);
	while (q->free_ios) {
		struct qcow2_io *io = q->free_ios;

		q->free_ios = *qcow2_io_next(io);
		free(io);
	}
	qcow2_frees_free(q);
	blk_close(q->backing);
	if (q->data != q->file)
		file_close(q->data);
	if (q->zeroes)
		munmap(q->zeroes, QCOW2_ZEROES_BYTES);
	free(q->l1);
	free(q->l1_dirty);
	free(q->flush.l1_dirty);
	free(q->reftable);
	free(q->reftable_dirty);
	free(q->unpacked);
	workers_free(q->workers);
	free(q->raw_header);
	qcow2_header_free(&q->h);
	free(q);
}

/* --- waiting --- */

struct sync_wait {
	struct qcow2_waiter waiter;
	bool woken;
};

static void woken(struct qcow2_waiter *waiter)
{
	container_of(waiter, struct sync_wait, waiter)->woken = true;
}

static void run_until(struct qcow2 *q, const bool *flag)
{
	while (!*flag) {
		qcow2_kick(q);
		loop_run_once(q->blk.loop, -1);
	}
}

int qcow2_wait_for(struct qcow2 *q, int (*step)(struct qcow2 *q, void *arg, struct qcow2_waiter *w),
		   void *arg)
{
	for (;;) {
		struct sync_wait wait = {.waiter.run = woken};
		int ret = step(q, arg, &wait.waiter);

		if (ret != QCOW2_WAIT)
			return ret;
		run_until(q, &wait.woken);
	}
}

int qcow2_flush_wait(struct qcow2 *q)
{
	struct sync_wait wait = {.waiter.run = woken};

	qcow2_flush_start(q, &wait.waiter);
	run_until(q, &wait.woken);
	return q->flush.last_result;
}

void qcow2_quiesce(struct qcow2 *q)
{
	while (q->internal) {
		qcow2_kick(q);
		loop_run_once(q->blk.loop, -1);
	}
}

/* --- the interface --- */

static void image_kick(struct blk *blk)
{
	qcow2_kick(container_of(blk, struct qcow2, blk));
}

static int release_pool(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	(void)arg;
	return qcow2_pool_release(q, waiter);
}

int qcow2_settle(struct qcow2 *q)
{
	uint64_t used = q->pool.start, reserved = q->pool.end;
	int ret, rounds;

	if (!q->writable)
		return 0;
	qcow2_quiesce(q);
	used = q->pool.start;
	reserved = q->pool.end;
	ret = qcow2_wait_for(q, release_pool, NULL);
	/* What one flush frees, the next one notes as free. */
	for (rounds = 0; !ret && rounds < 3 && qcow2_has_dirty(q); rounds++) {
		ret = qcow2_flush_wait(q);
		qcow2_quiesce(q);
	}
	if (!ret && reserved == q->file_bytes && used < reserved &&
	    q->file->ops->resize(q->file, used) == 0) {
		q->file_bytes = used;
		q->zero_from = MIN(q->zero_from, used);
	}
	return ret;
}

static void image_close(struct blk *blk)
{
	struct qcow2 *q = container_of(blk, struct qcow2, blk);
	struct file *file = q->file;
	int ret = qcow2_settle(q);

	if (ret < 0)
		log_warn("disk %s: its last changes could not be written: %s", file->desc->path,
			 strerror(-ret));
	qcow2_quiesce(q);
	image_free(q);
	file_close(file);
}

static const struct blk_ops qcow2_ops = {
	.submit = qcow2_submit,
	.kick = image_kick,
	.extent = qcow2_extent,
	.resize = qcow2_resize,
	.close = image_close,
};

int qcow2_open(struct file *file, const struct blk_options *options, struct blk **out,
	       struct err *e)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return err_set(e, ENOMEM, "out of memory");
	blk_init(&q->blk, &qcow2_ops, file->loop);
	q->file = q->data = file;
	q->writable = !file->desc->read_only;
	ret = qcow2_read_header(file->desc, &q->h, &q->raw_header, e);
	if (ret < 0)
		goto fail;
	fill_info(&q->blk.info, &q->h, file->desc);
	ret = options->repairing ? 0 : check_use(&q->h, file->desc, e);
	if (!ret && file->ops->size(file, &q->file_bytes) < 0)
		ret = err_set(e, EIO, "cannot find out the size of disk %s", file->desc->path);
	if (ret < 0)
		goto fail;
	set_geometry(q);
	ret = open_others(q, options, e);
	if (!ret)
		ret = load_tables(q, options->repairing, e);
	if (!ret && q->writable && !options->repairing)
		ret = prepare_writing(q, e);
	if (ret < 0)
		goto fail;
	*out = &q->blk;
	return 0;
fail:
	if (q->data != file && q->data)
		file_close(q->data);
	q->data = q->file;
	image_free(q);
	return ret;
}
