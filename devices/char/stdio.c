/*
 * --console stdio: the console on standard input and output. See backend.h.
 *
 * These descriptors are shared with whoever started us, so O_NONBLOCK, which would stay behind in a
 * shell, is not set on them. Pipes and terminals are opened once more through /proc, which gives an
 * open file description of our own; where that is refused (a terminal that belongs to another user)
 * the descriptors are used as they are, in small pieces after poll(). Files keep theirs for the
 * sake of its position, and sockets have a flag for each call.
 *
 * Standard input that is a terminal is the business of tty.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "char/backend.h"
#include "char/tty.h"

static const struct chr_ops pipe_ops = {0};

static struct chr_end borrow(enum end_mode mode, int fd)
{
	struct chr_end end = end_of(mode, fd);

	end.borrowed = true;
	return end;
}

/* An end for descriptor @fd of ours, which stays open; @flags: O_RDONLY or O_WRONLY. */
static struct chr_end share(int fd, int flags)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0)
		return end_none();
	if (S_ISSOCK(st.st_mode))
		return borrow(END_SOCKET, fd);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return borrow(END_PLAIN, fd);
	if (S_ISFIFO(st.st_mode) || isatty(fd)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own >= 0)
			return end_of(END_NONBLOCK, own);
	}
	return borrow(END_SHARED, fd);
}

int chr_open_stdio(struct chr *chr, const struct chr_options *options, struct err *e)
{
	struct chr_end in = share(STDIN_FILENO, O_RDONLY);
	struct chr_end out = share(STDOUT_FILENO, O_WRONLY);
	int ret;

	(void)options;
	snprintf(chr->where, sizeof(chr->where), "stdio");
	chr->ops = &pipe_ops;
	stream_attach(chr, in, out);
	if (!isatty(STDIN_FILENO))
		return 0;
	ret = tty_setup(chr, STDIN_FILENO, e);
	if (ret < 0)
		stream_detach(chr);
	return ret;
}
