/*
 * --console pty: a pseudo-terminal of its own, for `screen /dev/pts/N` and the like. On the loop's
 * thread. See backend.h.
 *
 * A master whose slave nobody has open reports a hang-up, and output written to it would wait in
 * its buffer until that is full. So as long as nobody is there the ends are detached, which drops
 * output, and a timer looks whether somebody has come; epoll cannot tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "char/backend.h"

#define LOOK_NS 200000000u

struct pty {
	int master;
	struct loop_timer look;
};

static void pty_look(void *opaque)
{
	struct chr *chr = opaque;
	struct pty *pty = chr->impl;
	struct pollfd pfd = {.fd = pty->master, .events = POLLOUT};
	int in, out;

	if (poll(&pfd, 1, 0) > 0 && !(pfd.revents & POLLHUP)) {
		in = fcntl(pty->master, F_DUPFD_CLOEXEC, 0);
		out = fcntl(pty->master, F_DUPFD_CLOEXEC, 0);
		if (in >= 0 && out >= 0) {
			stream_attach(chr, end_of(END_NONBLOCK, in), end_of(END_NONBLOCK, out));
			return;
		}
		fd_close(&in);
		fd_close(&out);
	}
	loop_timer_arm(chr->loop, &pty->look, LOOK_NS);
}

static void pty_gone(struct chr *chr)
{
	struct pty *pty = chr->impl;

	loop_timer_arm(chr->loop, &pty->look, LOOK_NS);
}

/* A read that fails is the hang-up: nothing is left to be read or written. */
static void pty_input(struct chr *chr)
{
	struct pollfd pfd = {.fd = chr->in.source.fd, .events = POLLIN};

	if (chr->in.mode != END_NONE && poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP) &&
	    !(pfd.revents & POLLIN)) {
		stream_detach(chr);
		pty_gone(chr);
		return;
	}
	stream_pump(chr);
}

static int pty_start(struct chr *chr, struct err *e)
{
	(void)e;
	pty_look(chr);
	return 0;
}

static void pty_close(struct chr *chr)
{
	struct pty *pty = chr->impl;

	loop_timer_cancel(chr->loop, &pty->look);
	fd_close(&pty->master);
	free(pty);
}

static const struct chr_ops pty_ops = {
	.start = pty_start,
	.input = pty_input,
	.gone = pty_gone,
	.close = pty_close,
};

/*
 * Sets the slave raw, so that nothing echoes a guest's output back to it. Opening and closing it is
 * also what makes the master report a hang-up until somebody comes. 0 or -errno.
 */
static int prepare_slave(const char *path)
{
	struct termios modes;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &modes) < 0) {
		ret = -errno;
	} else {
		cfmakeraw(&modes);
		if (tcsetattr(fd, TCSANOW, &modes) < 0)
			ret = -errno;
	}
	close(fd);
	return ret;
}

static int open_master(char *path, size_t path_size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), ret = 0;

	if (fd < 0)
		return -errno;
	if (grantpt(fd) < 0 || unlockpt(fd) < 0)
		ret = -errno;
	if (!ret)
		ret = -ptsname_r(fd, path, path_size);
	if (!ret)
		ret = prepare_slave(path);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int chr_open_pty(struct chr *chr, const struct chr_options *options, struct err *e)
{
	struct pty *pty = calloc(1, sizeof(*pty));

	(void)options;
	if (!pty)
		return err_set(e, ENOMEM, "out of memory");
	pty->master = open_master(chr->where, sizeof(chr->where));
	if (pty->master < 0) {
		int ret = pty->master;

		free(pty);
		return err_errno(e, -ret, "cannot make a pseudo-terminal for the console");
	}
	pty->look = (struct loop_timer){.fired = pty_look, .opaque = chr};
	chr->impl = pty;
	chr->ops = &pty_ops;
	fprintf(stderr, "sarang: the console is at %s\n", chr->where);
	return 0;
}
