/*
 * --console unix=PATH: a Unix stream socket that one client at a time connects to. On the loop's
 * thread. See backend.h.
 *
 * A socket that is there already is replaced only when nobody listens on it, which is what a
 * process that was killed leaves behind. Ours is removed on close, if it is still ours by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "char/backend.h"

struct listener {
	struct loop_fd source;
	struct sockaddr_un address;
	dev_t dev; /* the socket file that we made */
	ino_t ino;
};

static void listen_again(struct chr *chr)
{
	struct listener *listener = chr->impl;
	int ret = loop_add_fd(chr->loop, &listener->source);

	if (ret < 0 && ret != -EEXIST)
		log_warn("console %s: cannot wait for a client: %s", chr->where, strerror(-ret));
}

static void client_arrived(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;
	struct listener *listener = chr->impl;
	int in = accept4(listener->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), out;

	(void)events;
	if (in < 0)
		return;
	out = fcntl(in, F_DUPFD_CLOEXEC, 0);
	if (out < 0) {
		fd_close(&in);
		return;
	}
	/* The next one waits in the listener's queue until this one is gone. */
	loop_del_fd(chr->loop, &listener->source);
	stream_attach(chr, end_of(END_SOCKET, in), end_of(END_SOCKET, out));
}

static int socket_start(struct chr *chr, struct err *e)
{
	(void)e;
	listen_again(chr);
	return 0;
}

/* Removes the socket unless somebody has put something else there. */
static void remove_file(const struct listener *listener)
{
	struct stat st;

	if (!lstat(listener->address.sun_path, &st) && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->address.sun_path);
}

static void socket_close(struct chr *chr)
{
	struct listener *listener = chr->impl;

	loop_del_fd(chr->loop, &listener->source);
	remove_file(listener);
	fd_close(&listener->source.fd);
	free(listener);
}

static const struct chr_ops socket_ops = {
	.start = socket_start,
	.gone = listen_again,
	.close = socket_close,
};

/* Makes way at the address: 0 when nothing is there any more. */
static int clear_address(const struct sockaddr_un *address, struct err *e)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd, ret;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, errno, "cannot use the socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, EEXIST, "cannot listen on %s: it exists and is not a socket",
			       path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (ret != ECONNREFUSED)
		return err_set(
			e, EADDRINUSE,
			"cannot listen on %s: another process listens on it; end that one or "
			"choose another path",
			path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, errno, "cannot replace the socket %s, which nobody serves",
				 path);
	return 0;
}

static int open_listener(struct listener *listener, struct err *e)
{
	const char *path = listener->address.sun_path;
	struct stat st;
	int ret = clear_address(&listener->address, e);

	if (ret < 0)
		return ret;
	listener->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->source.fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	/* The console is a way into the guest: for its owner alone, from the first moment. */
	fchmod(listener->source.fd, 0600);
	if (bind(listener->source.fd, (const struct sockaddr *)&listener->address,
		 sizeof(listener->address)) < 0)
		return err_errno(e, errno, "cannot listen on %s", path);
	if (lstat(path, &st) < 0 || listen(listener->source.fd, 1) < 0) {
		ret = err_errno(e, errno, "cannot listen on %s", path);
		unlink(path);
		return ret;
	}
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	return 0;
}

int chr_open_unix(struct chr *chr, const struct chr_options *options, struct err *e)
{
	struct listener *listener;
	int ret;

	if (!options->path || !*options->path)
		return err_set(e, EINVAL, "--console unix=PATH needs a path");
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return err_set(e, ENOMEM, "out of memory");
	listener->source = (struct loop_fd){.fd = -1,
					    .events = EPOLLIN,
					    .ready = client_arrived,
					    .opaque = chr};
	listener->address.sun_family = AF_UNIX;
	if (strlen(options->path) >= sizeof(listener->address.sun_path)) {
		ret = err_set(e, ENAMETOOLONG,
			      "--console unix=%s: the path of a socket has at most %zu characters",
			      options->path, sizeof(listener->address.sun_path) - 1);
	} else {
		memcpy(listener->address.sun_path, options->path, strlen(options->path) + 1);
		ret = open_listener(listener, e);
	}
	if (ret < 0) {
		fd_close(&listener->source.fd);
		free(listener);
		return ret;
	}
	chr->impl = listener;
	chr->ops = &socket_ops;
	snprintf(chr->where, sizeof(chr->where), "unix=%s", options->path);
	return 0;
}
