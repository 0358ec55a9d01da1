/*
 * Opening an image: see desc.h.
 *
 * What O_DIRECT demands is asked of statx (STATX_DIOALIGN, Linux 6.1); where that says nothing, it
 * is the device's logical block size, or found out by reading one sector.
 */
#include "block/desc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "block/lock.h"

#define SECTOR    512u
#define PAGE_SIZE 4096u

static int refuse_kind(const char *path, mode_t mode, struct err *e)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return err_set(e, EISDIR, "disk %s is a directory, not an image file", path);
	return err_set(e, EINVAL, "disk %s is a %s, not an image file or a block device", path,
		       S_ISFIFO(mode)   ? "pipe"
		       : S_ISCHR(mode)  ? "character device"
		       : S_ISSOCK(mode) ? "socket"
					: "special file");
}

static int refuse_open(const struct file_options *options, int errnum, struct err *e)
{
	const char *path = options->path;

	if (errnum == EINVAL && options->direct)
		return err_set(e, ENOTSUP,
			       "disk %s: its file system does not do direct I/O: leave out direct",
			       path);
	if (errnum == ENOENT)
		return err_set(e, ENOENT, "disk %s does not exist", path);
	/* Reading may be possible where writing is not: then say how. */
	if (!options->read_only && (errnum == EACCES || errnum == EPERM || errnum == EROFS) &&
	    access(path, R_OK) == 0)
		return err_set(
			e, errnum,
			"disk %s can be read, not written: a guest can have it as such with ,ro",
			path);
	return err_errno(e, errnum, "cannot open disk %s", path);
}

static int open_checked(const struct file_options *options, struct stat *st, struct err *e)
{
	int flags = (options->read_only ? O_RDONLY : O_RDWR) | (options->direct ? O_DIRECT : 0);
	int ret, fd;

	/* Looked at before it is opened, since opening a device can have effects of its own. */
	if (stat(options->path, st) < 0)
		return refuse_open(options, errno, e);
	ret = refuse_kind(options->path, st->st_mode, e);
	if (ret < 0)
		return ret;
	/* And again after: the name may lead elsewhere by then. O_NONBLOCK is for a pipe there. */
	fd = open(options->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return refuse_open(options, errno, e);
	if (fstat(fd, st) < 0)
		ret = err_errno(e, errno, "cannot examine disk %s", options->path);
	else
		ret = refuse_kind(options->path, st->st_mode, e);
	if (!ret && fd_set_nonblock(fd, false) < 0)
		ret = err_errno(e, errno, "cannot set up disk %s", options->path);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

/* The number in queue/@name of a block device, of the whole one for a partition; 0 unknown. */
static uint32_t queue_limit(dev_t device, const char *name)
{
	static const char *const places[] = {"queue", "../queue"};
	unsigned long value = 0;
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places) && !value; i++) {
		FILE *limit;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), places[i], name);
		limit = fopen(path, "re");
		if (!limit)
			continue;
		if (fscanf(limit, "%lu", &value) != 1)
			value = 0;
		fclose(limit);
	}
	return value <= UINT32_MAX ? (uint32_t)value : 0;
}

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static int examine_device(struct file_desc *desc, const struct stat *st, struct err *e)
{
	unsigned int physical = 0;
	int logical = 0, locked = 0;

	/* Some can be opened for writing all the same, and fail later. */
	if (!desc->read_only && ioctl(desc->fd, BLKROGET, &locked) == 0 && locked)
		return err_set(
			e, EROFS,
			"disk %s is a read-only device: a guest can have it as such with ,ro",
			desc->path);
	if (ioctl(desc->fd, BLKGETSIZE64, &desc->size_bytes) < 0)
		return err_errno(e, errno, "disk %s: cannot ask the device for its size",
				 desc->path);
	if (ioctl(desc->fd, BLKSSZGET, &logical) == 0 && logical > 0 &&
	    power_of_two((uint64_t)logical))
		desc->offset_align = (uint32_t)logical;
	if (ioctl(desc->fd, BLKPBSZGET, &physical) == 0 && power_of_two(physical))
		desc->physical_bytes = MAX(physical, SECTOR);
	desc->optimal_bytes = queue_limit(st->st_rdev, "optimal_io_size");
	desc->discard_bytes = queue_limit(st->st_rdev, "discard_granularity");
	desc->mem_align = desc->offset_align;
	return 0;
}

static void examine_file(struct file_desc *desc, const struct stat *st)
{
	uint64_t unit = (uint64_t)st->st_blksize;

	desc->size_bytes = (uint64_t)st->st_size;
	if (!power_of_two(unit) || unit < SECTOR || unit > UINT32_MAX)
		unit = PAGE_SIZE;
	/* Some report their preferred I/O size (128K, 1M) here: no unit that storage writes whole.
	 */
	desc->physical_bytes = (uint32_t)MIN(unit, PAGE_SIZE);
	desc->optimal_bytes = unit > PAGE_SIZE ? (uint32_t)unit : 0;
	desc->discard_bytes = desc->physical_bytes;
}

/* Whether one sector can be read by itself past the page cache. */
static bool sector_readable(int fd)
{
	void *buf = NULL;
	bool readable;

	if (posix_memalign(&buf, PAGE_SIZE, PAGE_SIZE))
		return false;
	readable = pread(fd, buf, SECTOR, 0) >= 0;
	free(buf);
	return readable;
}

static int examine_direct(struct file_desc *desc, struct err *e)
{
	struct statx stx = {0};

	if (statx(desc->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    (stx.stx_mask & STATX_DIOALIGN)) {
		desc->mem_align = stx.stx_dio_mem_align;
		desc->offset_align = stx.stx_dio_offset_align;
		if (!desc->mem_align || !desc->offset_align)
			return refuse_open(&(struct file_options){.path = desc->path,
								  .direct = true},
					   EINVAL, e);
	} else if (!desc->block_device) {
		desc->offset_align = sector_readable(desc->fd) ? SECTOR : PAGE_SIZE;
		desc->mem_align = desc->offset_align;
	}
	if (!power_of_two(desc->mem_align) || !power_of_two(desc->offset_align) ||
	    desc->mem_align > PAGE_SIZE || desc->offset_align > PAGE_SIZE)
		return err_set(
			e, ENOTSUP,
			"disk %s: direct I/O in units of %u bytes is too coarse for a guest: "
			"leave out direct",
			desc->path, desc->offset_align);
	return 0;
}

int file_desc_open(struct file_desc *desc, const struct file_options *options, struct err *e)
{
	struct stat st;
	int ret;

	*desc = (struct file_desc){
		.read_only = options->read_only,
		.direct = options->direct,
		.mem_align = 1,
		.offset_align = 1,
		.physical_bytes = SECTOR,
	};
	desc->fd = open_checked(options, &st, e);
	if (desc->fd < 0)
		return desc->fd;
	desc->path = strdup(options->path);
	desc->block_device = S_ISBLK(st.st_mode);
	ret = desc->path ? 0 : err_set(e, ENOMEM, "out of memory");
	if (!ret)
		ret = lock_image(desc->fd, desc->path, !desc->read_only, e);
	if (!ret && desc->block_device)
		ret = examine_device(desc, &st, e);
	else if (!ret)
		examine_file(desc, &st);
	if (!ret && desc->direct)
		ret = examine_direct(desc, e);
	if (!desc->direct)
		desc->mem_align = desc->offset_align = 1;
	if (ret < 0)
		file_desc_close(desc);
	return ret;
}

/* Where the host's file system has no O_TMPFILE, the name is there for a moment. */
static int open_unnamed(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	struct strbuf path = {0};
	char *name;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd < 0 ? -errno : fd;
	strbuf_addf(&path, "%s/sarang-XXXXXX", dir);
	name = strbuf_take(&path);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else
		unlink(name);
	free(name);
	return fd;
}

int file_desc_temporary(struct file_desc *desc, const char *base, struct err *e)
{
	const char *dir = getenv("TMPDIR");
	struct strbuf path = {0};
	struct stat st;
	int ret = 0;

	if (!dir || !*dir)
		dir = "/var/tmp";
	*desc = (struct file_desc){
		.temporary = true,
		.mem_align = 1,
		.offset_align = 1,
		.physical_bytes = SECTOR,
	};
	desc->fd = open_unnamed(dir);
	if (desc->fd < 0)
		return err_errno(e, -desc->fd,
				 "disk %s: cannot make a temporary file in %s (TMPDIR names "
				 "another folder)",
				 base, dir);
	strbuf_addf(&path, "%s, ephemeral in %s", base, dir);
	desc->path = strbuf_take(&path);
	if (fstat(desc->fd, &st) < 0)
		ret = err_errno(e, errno, "disk %s: cannot examine its temporary file", base);
	else
		examine_file(desc, &st);
	if (ret < 0)
		file_desc_close(desc);
	return ret;
}

void file_desc_close(struct file_desc *desc)
{
	if (desc->fd >= 0)
		lock_release(desc->fd);
	fd_close(&desc->fd);
	free(desc->path);
	desc->path = NULL;
}
