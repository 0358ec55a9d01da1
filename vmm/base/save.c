/*
 * Files that are written as a whole or not at all: see save.h.
 *
 * The bytes go to a new file beside the old one, which takes its place when it is complete: a full
 * disk leaves the old one as it was, or none. Of several that belong together all can be begun
 * before the first is put in place. On any thread.
 */
#include "base/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int refuse(const struct save *save, int errnum, struct err *e)
{
	return err_errno(e, errnum, "cannot write %s to %s", save->what, save->path);
}

/* 0, or -errno: of close(2) too, which is where a file of the network tells that it is full. */
static int write_and_close(int fd, const void *data, size_t len)
{
	int ret = fd_write_full(fd, data, len);

	if (close(fd) < 0 && !ret)
		ret = -errno;
	return ret;
}

/*
 * What is there under that name. Whoever may not write to a file may not replace it. 1: a file, or
 * nothing, to be replaced; 0: something else, which has been written to.
 */
static int examine_old(const struct save *save, struct stat *old, bool *replaces, struct err *e)
{
	int fd = open(save->path, O_WRONLY | O_CLOEXEC | O_NOCTTY), ret;

	*replaces = fd >= 0;
	if (fd < 0 && errno != ENOENT)
		return refuse(save, errno, e);
	if (fd < 0)
		return lstat(save->path, old) < 0
			       ? 1
			       : err_set(e, ENOENT, "%s is a symbolic link that leads nowhere",
					 save->path);
	if (fstat(fd, old) < 0)
		ret = refuse(save, errno, e);
	else if (fd_locked_elsewhere(fd))
		ret = err_set(e, EBUSY,
			      "cannot write %s to %s: it is in use as a disk image, and would be "
			      "lost",
			      save->what, save->path);
	else
		ret = S_ISREG(old->st_mode);
	if (!ret) {
		ret = write_and_close(fd, save->data, save->len);
		return ret < 0 ? refuse(save, -ret, e) : 0;
	}
	fd_close(&fd);
	return ret;
}

/* Another's file stays his where that is possible; the mode must not give away more. */
static int keep_owner(int fd, const struct stat *old)
{
	if (fchown(fd, old->st_uid, old->st_gid) < 0 && errno != EPERM)
		return -errno;
	return fchmod(fd, old->st_mode & 07777) < 0 ? -errno : 0;
}

static int write_temporary(struct save *save, const struct stat *old, bool replaces)
{
	int ret = 0;
	int fd = open(save->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		      replaces ? 0600 : 0644);

	if (fd < 0) {
		ret = -errno;
		/* If it is there, it is not ours to remove. */
		free(save->temporary);
		save->temporary = NULL;
		return ret;
	}
	if (replaces)
		ret = keep_owner(fd, old);
	if (!ret)
		return write_and_close(fd, save->data, save->len);
	fd_close(&fd);
	return ret;
}

int save_begin(struct save *save, struct err *e)
{
	struct stat old;
	bool replaces;
	int ret = examine_old(save, &old, &replaces, e);

	save->real = save->temporary = NULL;
	if (ret <= 0)
		return ret;
	/* A symbolic link stays, and leads to the new file. */
	save->real = replaces ? realpath(save->path, NULL) : strdup(save->path);
	if (!save->real)
		return refuse(save, errno, e);
	if (asprintf(&save->temporary, "%s.%d.part", save->real, (int)getpid()) < 0) {
		save->temporary = NULL;
		ret = -ENOMEM;
	} else {
		ret = write_temporary(save, &old, replaces);
	}
	if (ret < 0) {
		save_abandon(save);
		return refuse(save, -ret, e);
	}
	return 0;
}

int save_commit(struct save *save, struct err *e)
{
	int ret = 0;

	if (save->temporary && rename(save->temporary, save->real) < 0)
		ret = refuse(save, errno, e);
	if (!ret) {
		free(save->temporary);
		save->temporary = NULL;
	}
	save_abandon(save);
	return ret;
}

void save_abandon(struct save *save)
{
	if (save->temporary)
		unlink(save->temporary);
	free(save->temporary);
	free(save->real);
	save->temporary = save->real = NULL;
}
