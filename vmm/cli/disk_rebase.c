/*
 * sarang disk rebase: another backing file under an image, or none.
 *
 * In place. What the two backing files have in different ways, and the image does not hold itself,
 * is written into the image first; that changes nothing of what it reads as. When all of it is on
 * disk, the header is changed. An interruption before that leaves an image over its old backing
 * file that holds more than it did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

struct rebase {
	struct blk *blk;
	struct blk *old, *new; /* backing files; NULL: none */
	uint64_t unit;         /* what is written whole */
	unsigned char *before, *after;
	struct disk_progress progress;
};

/* Whether what @base has from @at on reads as zeroes, and how far, in *@len. */
static bool base_is_zero(struct blk *base, uint64_t at, uint64_t *len)
{
	enum blk_extent_kind kind;
	uint64_t part = *len;

	if (!base || at >= base->info.capacity_bytes)
		return true;
	if (disk_extent(base, at, &part, false, &kind) < 0)
		kind = BLK_EXTENT_DATA;
	/* Behind its end are zeroes too. */
	if (at + part < base->info.capacity_bytes)
		*len = MIN(*len, part);
	return kind != BLK_EXTENT_DATA;
}

static int read_base(struct blk *base, uint64_t at, unsigned char *bytes, uint64_t len)
{
	uint64_t capacity = base ? base->info.capacity_bytes : 0;

	memset(bytes, 0, len);
	return at < capacity ? blk_pread(base, at, bytes, MIN(len, capacity - at)) : 0;
}

/* Writes those units of [@at, @at + @len) into the image in which the two differ. */
static int keep_different(struct rebase *r, uint64_t at, uint64_t len)
{
	uint64_t from, end;
	int ret = read_base(r->old, at, r->before, len);

	if (!ret)
		ret = read_base(r->new, at, r->after, len);
	for (from = 0; !ret && from < len; from = end) {
		end = MIN(align_down(at + from, r->unit) + r->unit - at, len);
		if (memcmp(r->before + from, r->after + from, end - from))
			ret = blk_pwrite(r->blk, at + from, r->before + from, end - from);
	}
	return ret;
}

static int keep_all(struct rebase *r)
{
	uint64_t size = r->blk->info.capacity_bytes, at, len, end;
	enum blk_extent_kind kind;
	int ret = 0;

	for (at = 0; !ret && at < size; at += len) {
		disk_progress_at(&r->progress, at);
		if (disk_interrupted())
			return -EINTR;
		len = size - at;
		ret = disk_extent(r->blk, at, &len, true, &kind);
		if (ret || kind != BLK_EXTENT_HOLE)
			continue;
		end = at + len;
		if (base_is_zero(r->old, at, &len) && base_is_zero(r->new, at, &len)) {
			/* In whole units, so that none is looked at in two parts. */
			if (at + len < end)
				len = align_down(len, r->unit);
			if (len)
				continue;
		}
		len = end - at;
		len = MIN(len, DISK_PIECE_BYTES - at % DISK_PIECE_BYTES);
		ret = keep_different(r, at, len);
	}
	return ret;
}

static int copy_old(struct disk *disk, struct blk *base, struct err *e)
{
	struct qcow2 *q = qcow2_of(disk->blk);
	struct rebase r = {
		.blk = disk->blk,
		.old = q->backing,
		.new = base,
		.unit = q->extended ? q->cluster_bytes / QCOW2_SUBCLUSTERS : q->cluster_bytes,
	};
	int ret;

	r.before = aligned_alloc(4096, DISK_PIECE_BYTES);
	r.after = aligned_alloc(4096, DISK_PIECE_BYTES);
	disk_progress_start(&r.progress, r.blk->info.capacity_bytes);
	ret = r.before && r.after ? keep_all(&r) : -ENOMEM;
	disk_progress_end(&r.progress);
	if (!ret)
		ret = blk_flush(r.blk);
	free(r.before);
	free(r.after);
	if (ret == -EINTR)
		return err_set(e, EINTR,
			       "interrupted: disk %s reads as it did, over its old backing file",
			       q->file->desc->path);
	return ret < 0 ? err_errno(e, -ret, "cannot rebase disk %s", q->file->desc->path) : 0;
}

/* Opens the new backing file. The user has named it: it may be anywhere. */
static int open_base(const struct disk_settings *settings, const char *image, struct loop *loop,
		     struct blk **base, struct err *e)
{
	struct blk_options options = {.format = settings->backing_format,
				      .read_only = true,
				      .backing_ok = settings->backing_ok,
				      .depth = 1};
	char *path = disk_beside(image, settings->backing);
	struct stat a, b;
	int ret;

	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	if (!stat(path, &a) && !stat(image, &b) && fd_same_file(&a, &b)) {
		free(path);
		return err_set(e, EINVAL, "disk %s cannot be its own backing file", image);
	}
	options.path = path;
	ret = blk_open(&options, loop, base, e);
	free(path);
	return ret;
}

static int check(const struct disk_settings *s, struct err *e)
{
	if (!s->backing)
		return err_set(e, EINVAL,
			       "disk rebase needs the new backing file: -b BASE -F FORMAT, or -b "
			       "\"\" for none");
	if (*s->backing && !s->backing_format)
		return err_set(e, EINVAL,
			       "-b BASE and -F FORMAT go together: a backing file's format is "
			       "never guessed");
	if (!*s->backing && s->backing_format)
		return err_set(e, EINVAL, "-F %s without a backing file means nothing",
			       s->backing_format);
	return 0;
}

static int check_image(const struct disk_settings *s, struct qcow2 *q, struct err *e)
{
	if (*s->backing && (q->h.autoclear & QCOW2_RAW_DATA))
		return err_set(e, EINVAL,
			       "disk %s has a raw external data file, which cannot be over a "
			       "backing file",
			       q->file->desc->path);
	if (!s->unsafe && q->h.snapshot_count && (q->backing || *s->backing))
		return err_set(e, ENOTSUP,
			       "disk %s has snapshots, which another backing file would change: "
			       "delete them, or say with -u that it holds the same",
			       q->file->desc->path);
	return 0;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .format = "qcow2",
				      .backing_ok = settings->backing_ok,
				      .no_backing = settings->unsafe};
	struct blk *base = NULL;
	struct disk disk;
	int ret = check(settings, e);

	(void)count;
	if (!ret)
		ret = disk_open(&disk, &options, e);
	if (ret < 0)
		return ret;
	ret = check_image(settings, qcow2_of(disk.blk), e);
	if (!ret && !settings->unsafe && *settings->backing)
		ret = open_base(settings, operands[0], disk.loop, &base, e);
	disk_catch_signals();
	if (!ret && !settings->unsafe)
		ret = copy_old(&disk, base, e);
	if (!ret)
		ret = qcow2_set_backing(qcow2_of(disk.blk),
					*settings->backing ? settings->backing : NULL,
					settings->backing_format, e);
	blk_close(base);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_rebase = {
	.name = "rebase",
	.usage = "[-u] -b BASE [-F FORMAT] FILE",
	.options = " unsafe backing backing-format backing-ok ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run,
};
