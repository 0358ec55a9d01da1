/* --console file=PATH: output goes to a file, input never comes. See backend.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "char/backend.h"

static const struct chr_ops file_ops = {0};

int chr_open_file(struct chr *chr, const struct chr_options *options, struct err *e)
{
	/* O_APPEND: a log that somebody truncates while we run goes on at its new end. */
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	enum end_mode mode;
	struct stat st;
	int fd;

	if (!options->path || !*options->path)
		return err_set(e, EINVAL, "--console file=PATH needs a path");
	fd = open(options->path, flags, 0666);
	if (fd < 0 && errno == ENXIO)
		return err_set(e, ENXIO, "cannot write the console to %s: nobody reads that pipe",
			       options->path);
	if (fd < 0)
		return err_errno(e, errno, "cannot write the console to %s", options->path);
	/* epoll knows pipes and terminals; what it does not know, such as /dev/null, never blocks.
	 */
	mode = !fstat(fd, &st) && S_ISFIFO(st.st_mode) ? END_NONBLOCK : END_PLAIN;
	if (mode == END_PLAIN && isatty(fd))
		mode = END_NONBLOCK;
	chr->ops = &file_ops;
	snprintf(chr->where, sizeof(chr->where), "%s", options->path);
	return stream_attach(chr, end_none(), end_of(mode, fd));
}
