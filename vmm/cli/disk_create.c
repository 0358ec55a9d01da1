/* sarang disk create. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"

static bool is(const char *text, const char *value)
{
	return text && !strcmp(text, value);
}

/* Writes zeroes to all of the disk: space that is surely there. */
static int fill(struct blk *blk, struct err *e)
{
	uint64_t size = blk->info.capacity_bytes, at, len;
	void *zeroes = aligned_alloc(4096, MIB(1));
	int ret = zeroes ? 0 : -ENOMEM;

	if (zeroes)
		memset(zeroes, 0, MIB(1));
	for (at = 0; !ret && at < size && !disk_interrupted(); at += len) {
		len = MIN(size - at, MIB(1));
		ret = blk_pwrite(blk, at, zeroes, len);
	}
	free(zeroes);
	if (!ret && disk_interrupted())
		return err_set(e, EINTR, "interrupted");
	return ret < 0 ? err_errno(e, -ret, "cannot fill the new disk") : 0;
}

/* The length and the space of a new file; a device has what it has. */
static int reserve(const struct file_desc *desc, const struct disk_recipe *recipe, struct err *e)
{
	off_t size = (off_t)recipe->size_bytes;
	int ret;

	if (desc->block_device && desc->size_bytes < recipe->size_bytes)
		return err_set(e, ENOSPC, "device %s has no more than %llu bytes", desc->path,
			       (unsigned long long)desc->size_bytes);
	if (desc->block_device)
		return 0;
	if (ftruncate(desc->fd, size) < 0)
		return err_errno(e, errno, "cannot make %s %llu bytes long", desc->path,
				 (unsigned long long)recipe->size_bytes);
	ret = is(recipe->settings->prealloc, "falloc") ? posix_fallocate(desc->fd, 0, size) : 0;
	return ret ? err_errno(e, ret, "cannot reserve space for %s", desc->path) : 0;
}

static int make_raw(const char *path, const struct disk_recipe *recipe, struct err *e)
{
	struct blk_options options = {.path = path, .format = "raw"};
	struct file_options file_options = {.path = path};
	struct file_desc desc;
	struct disk disk;
	int ret = file_desc_open(&desc, &file_options, e);

	if (ret < 0)
		return ret;
	ret = reserve(&desc, recipe, e);
	file_desc_close(&desc);
	if (ret < 0 || !is(recipe->settings->prealloc, "full"))
		return ret;
	ret = disk_open(&disk, &options, e);
	if (ret < 0)
		return ret;
	ret = fill(disk.blk, e);
	disk_close(&disk);
	return ret;
}

static int preallocate(const char *path, const struct disk_recipe *recipe, struct err *e)
{
	const char *mode = recipe->settings->prealloc;
	struct blk_options options = {.path = path, .format = "qcow2", .backing_ok = true};
	struct disk disk;
	int ret;

	/* A data file that is a raw disk too has all its clusters from the start. */
	if (recipe->data_file)
		mode = "metadata";
	if (!mode || is(mode, "off"))
		return 0;
	ret = disk_open(&disk, &options, e);
	if (ret < 0)
		return ret;
	ret = qcow2_preallocate(qcow2_of(disk.blk), !is(mode, "metadata"), disk_interrupted, e);
	if (!ret && is(mode, "full"))
		ret = fill(disk.blk, e);
	disk_close(&disk);
	return ret;
}

static int make_qcow2(const char *path, const struct disk_recipe *recipe, struct err *e)
{
	const struct disk_settings *settings = recipe->settings;
	struct qcow2_create_options options = {
		.size_bytes = recipe->size_bytes,
		.compression = is(settings->compression, "zstd") ? QCOW2_ZSTD : QCOW2_DEFLATE,
		.backing_name = recipe->backing,
		.backing_format = recipe->backing_format,
		.data_name = recipe->data_file,
	};
	struct file_options file_options = {.path = path};
	struct loop *loop;
	struct file *file;
	int ret;

	if (settings->cluster_bytes & (settings->cluster_bytes - 1))
		return err_set(e, EINVAL, "--cluster is a power of two, from 512 to 2M");
	if (settings->cluster_bytes)
		options.cluster_bits = (unsigned)__builtin_ctzll(settings->cluster_bytes);
	ret = loop_new(&loop, e);
	if (ret < 0)
		return ret;
	ret = file_open(&file_options, loop, &file, e);
	if (!ret) {
		ret = qcow2_create(file, &options, e);
		file_close(file);
	}
	loop_free(loop);
	return ret < 0 ? ret : preallocate(path, recipe, e);
}

int disk_make(const char *path, const struct disk_recipe *recipe, struct err *e)
{
	if (is(recipe->format, "qcow2"))
		return make_qcow2(path, recipe, e);
	if (recipe->backing || recipe->data_file || recipe->settings->cluster_bytes ||
	    recipe->settings->compression)
		return err_set(e, EINVAL,
			       "a raw image has no backing file, data file, clusters or "
			       "compression: use -f qcow2");
	if (is(recipe->settings->prealloc, "metadata"))
		return err_set(e, EINVAL, "a raw image has no metadata to preallocate");
	return make_raw(path, recipe, e);
}

/*
 * Opens the backing file, which has to be there, and takes its size. It stays open, and locked with
 * all that is below it, until the new image is there: that must not come in the place of one of
 * them.
 */
static int open_backing(const char *image, const struct disk_settings *settings, struct disk *base,
			uint64_t *size, struct err *e)
{
	struct blk_options options = {
		.format = settings->backing_format,
		.read_only = true,
		.backing_ok = true,
	};
	char *path = disk_beside(image, settings->backing);
	int ret;

	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	options.path = path;
	ret = disk_open(base, &options, e);
	if (!ret)
		*size = base->blk->info.capacity_bytes;
	free(path);
	return ret;
}

/* Fills in the size, and refuses what contradicts itself. */
static int check(struct disk_recipe *recipe, char *const *operands, size_t count, struct disk *base,
		 struct err *e)
{
	const struct disk_settings *settings = recipe->settings;
	int ret = 0;

	if (!settings->backing != !settings->backing_format)
		return err_set(e, EINVAL,
			       "-b BASE and -F FORMAT go together: a backing file's "
			       "format is never guessed");
	if (settings->data_file && settings->backing)
		return err_set(e, EINVAL,
			       "--data-file and -b contradict each other: the data file is all of "
			       "the disk");
	if (settings->data_file &&
	    (is(settings->prealloc, "falloc") || is(settings->prealloc, "full")))
		return err_set(e, EINVAL,
			       "--data-file and --prealloc %s contradict each other: make the data "
			       "file so beforehand, or later",
			       settings->prealloc);
	if (settings->backing)
		ret = open_backing(operands[0], settings, base, &recipe->size_bytes, e);
	if (ret < 0)
		return ret;
	if (count > 1) {
		if (size_parse(operands[1], 1, &recipe->size_bytes) < 0)
			return err_set(e, EINVAL, "%s is not a size such as 20G", operands[1]);
	} else if (!settings->backing) {
		return err_set(e, EINVAL, "how large? sarang disk create FILE SIZE");
	}
	if (recipe->size_bytes % 512 || !recipe->size_bytes)
		return err_set(e, EINVAL, "a disk's size is a multiple of 512 bytes");
	if (recipe->size_bytes > INT64_MAX - MIB(4))
		return err_set(e, EFBIG, "a disk of %llu bytes is not possible",
			       (unsigned long long)recipe->size_bytes);
	return 0;
}

/* Makes the data file, a hole, in *@path, to be freed. One that is there is somebody's disk. */
static int make_data(const char *image, const struct disk_recipe *recipe, char **path,
		     struct err *e)
{
	struct stat data, old;
	int fd, ret = 0;

	*path = disk_beside(image, recipe->data_file);
	if (!*path)
		return err_set(e, ENOMEM, "out of memory");
	fd = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		ret = err_errno(e, errno, "cannot create the data file %s", *path);
	else if (fstat(fd, &data) == 0 && stat(image, &old) == 0 && fd_same_file(&data, &old))
		ret = err_set(e, EINVAL, "disk %s cannot be its own data file", image);
	else if (ftruncate(fd, (off_t)recipe->size_bytes) < 0)
		ret = err_errno(e, errno, "cannot make %s %llu bytes long", *path,
				(unsigned long long)recipe->size_bytes);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && !ret)
		return 0;
	if (fd >= 0)
		unlink(*path);
	free(*path);
	*path = NULL;
	return ret;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct disk_recipe recipe = {
		.format = settings->format ? settings->format : "raw",
		.settings = settings,
		.backing = settings->backing,
		.backing_format = settings->backing_format,
		.data_file = settings->data_file,
	};
	struct disk_new file = {0};
	struct disk base = {0};
	char *data = NULL;
	int ret = check(&recipe, operands, count, &base, e);

	disk_catch_signals();
	if (!ret)
		ret = disk_new_begin(&file, operands[0], e);
	if (!ret && settings->data_file)
		ret = make_data(operands[0], &recipe, &data, e);
	if (!ret)
		ret = disk_make(file.temporary, &recipe, e);
	if (!ret)
		ret = disk_new_commit(&file, e);
	if (ret < 0 && data)
		unlink(data);
	free(data);
	disk_new_abandon(&file);
	disk_close(&base);
	return ret;
}

const struct disk_verb disk_create = {
	.name = "create",
	.usage = "[-f raw|qcow2] [--prealloc MODE] [-b BASE -F FORMAT] [--data-file FILE] "
		 "[--cluster "
		 "SIZE] [--compression zlib|zstd] FILE [SIZE]",
	.options = " format prealloc backing backing-format data-file cluster compression ",
	.operands_min = 1,
	.operands_max = 2,
	.run = run,
};
