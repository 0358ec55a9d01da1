/*
 * --console file=PATH: output goes to a file, input never comes. See backend.h.
 *
 * The file is opened when the front-end starts: by then everything else of the machine is there, so
 * that a run that comes to nothing leaves the log of the run before as it was. And all its disks
 * are locked by then. A file that anybody has locked is a disk image in use, under whatever name,
 * and is not emptied.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "char/backend.h"

static int empty_file(int fd, const char *path, struct err *e)
{
	if (fd_locked_elsewhere(fd))
		return err_set(e, EBUSY,
			       "cannot write the console to %s: it is in use as a disk image, and "
			       "would be emptied",
			       path);
	if (ftruncate(fd, 0) < 0)
		return err_errno(e, errno, "cannot empty %s for the console", path);
	return 0;
}

static int file_start(struct chr *chr, struct err *e)
{
	/* O_APPEND: a log that somebody truncates while we run goes on at its new end. */
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	const char *path = chr->impl;
	enum end_mode mode;
	struct stat st;
	int fd, ret = 0;

	fd = open(path, flags, 0666);
	if (fd < 0 && errno == ENXIO)
		return err_set(e, ENXIO, "cannot write the console to %s: %s", path,
			       !stat(path, &st) && S_ISSOCK(st.st_mode)
				       ? "it is a socket; use unix=PATH"
				       : "nobody reads that pipe");
	if (fd < 0 || fstat(fd, &st) < 0)
		ret = err_errno(e, errno, "cannot write the console to %s", path);
	else if (S_ISREG(st.st_mode))
		ret = empty_file(fd, path, e);
	if (ret < 0) {
		fd_close(&fd);
		return ret;
	}
	/* epoll knows pipes and terminals; what it does not know, such as /dev/null, never blocks.
	 */
	mode = S_ISFIFO(st.st_mode) || isatty(fd) ? END_NONBLOCK : END_PLAIN;
	return stream_attach(chr, end_none(), end_of(mode, fd));
}

static void file_close(struct chr *chr)
{
	free(chr->impl);
}

static const struct chr_ops file_ops = {
	.start = file_start,
	.close = file_close,
};

int chr_open_file(struct chr *chr, const struct chr_options *options, struct err *e)
{
	if (!options->path || !*options->path)
		return err_set(e, EINVAL, "--console file=PATH needs a path");
	chr->impl = strdup(options->path);
	if (!chr->impl)
		return err_set(e, ENOMEM, "out of memory");
	chr->ops = &file_ops;
	snprintf(chr->where, sizeof(chr->where), "%s", options->path);
	return 0;
}
