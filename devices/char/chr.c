/*
 * The character back-end: see chr.h.
 *
 * Theory of operation. Other threads leave output in the ring, or a wish for input in a flag, and
 * ring an eventfd; the loop does the rest. Guests write consoles byte by byte, so the loop lets
 * output collect for half a millisecond before it drains the ring, and is not rung again until the
 * ring is empty: a guest cannot keep the loop busy by writing, and a boot log costs hundreds of
 * writes to the host, not tens of thousands.
 */
#include "char/chr.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/fd.h"
#include "base/util.h"
#include "char/backend.h"

#define COLLECT_NS    500000u
#define CLOSE_WAIT_MS 2000
#define RING_LIMIT    (RING_BYTES - CHR_LAST_WORDS)

static void drain_due(void *opaque)
{
	stream_drain(opaque);
}

static void serve_input(struct chr *chr)
{
	if (chr->ops->input)
		chr->ops->input(chr);
	else
		stream_pump(chr);
}

static void input_due(void *opaque)
{
	serve_input(opaque);
}

static void bell_rung(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	(void)events;
	fd_event_clear(chr->bell.fd);
	if (atomic_exchange(&chr->drain_asked, false) && !chr->drain_timer.armed)
		loop_timer_arm(chr->loop, &chr->drain_timer, COLLECT_NS);
	if (atomic_exchange(&chr->accept_asked, false) && chr->started)
		serve_input(chr);
}

static int open_kind(struct chr *chr, const struct chr_options *options, struct err *e)
{
	switch (options->kind) {
	case CHR_STDIO:
		return chr_open_stdio(chr, options, e);
	case CHR_NONE:
		return chr_open_none(chr, options, e);
	case CHR_PTY:
		return chr_open_pty(chr, options, e);
	case CHR_FILE:
		return chr_open_file(chr, options, e);
	case CHR_UNIX:
		return chr_open_unix(chr, options, e);
	}
	return err_set(e, EINVAL, "--console: there is no such kind of console");
}

/* Writing to a pipe or terminal whose other end is gone has to be an error, not the end of us. */
static void ignore_sigpipe(void)
{
	struct sigaction action;

	if (!sigaction(SIGPIPE, NULL, &action) && action.sa_handler == SIG_DFL) {
		action.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &action, NULL);
	}
}

static void chr_free(struct chr *chr)
{
	loop_del_fd(chr->loop, &chr->bell);
	fd_close(&chr->bell.fd);
	pthread_mutex_destroy(&chr->lock);
	free(chr);
}

int chr_open(const struct chr_options *options, struct loop *loop, const struct chr_user *user,
	     struct chr **out, struct err *e)
{
	struct chr *chr = calloc(1, sizeof(*chr));
	int ret;

	if (!chr)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_init(&chr->lock, NULL);
	chr->loop = loop;
	chr->drop = true;
	chr->in = end_none();
	chr->out = end_none();
	if (user)
		chr->user = *user;
	chr->drain_timer = (struct loop_timer){.fired = drain_due, .opaque = chr};
	chr->input_timer = (struct loop_timer){.fired = input_due, .opaque = chr};
	chr->bell = (struct loop_fd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				     .events = EPOLLIN,
				     .ready = bell_rung,
				     .opaque = chr};
	ret = chr->bell.fd < 0 ? -errno : loop_add_fd(loop, &chr->bell);
	if (ret < 0) {
		err_errno(e, -ret, "cannot watch the console");
	} else {
		ignore_sigpipe();
		ret = open_kind(chr, options, e);
	}
	if (ret < 0) {
		chr_free(chr);
		return ret;
	}
	*out = chr;
	return 0;
}

int chr_start(struct chr *chr, const struct chr_client *client, struct err *e)
{
	int ret;

	if (chr->started)
		return err_set(e, EBUSY, "the console %s has a front-end already", chr->where);
	chr->client = *client;
	ret = chr->ops->start ? chr->ops->start(chr, e) : 0;
	if (ret < 0)
		return ret;
	chr->started = true;
	stream_input_resume(chr);
	return 0;
}

/* Puts bytes into the ring, up to @limit in total; wakes the loop when it does not know yet. */
static size_t put(struct chr *chr, const uint8_t *bytes, size_t len, size_t limit)
{
	bool ring_bell = false;
	size_t taken;

	pthread_mutex_lock(&chr->lock);
	taken = chr->drop ? len : ring_put(&chr->ring, bytes, len, limit);
	if (taken < len)
		chr->want_room = true;
	if (chr->ring.len && !chr->draining) {
		chr->draining = true;
		ring_bell = true;
	}
	pthread_mutex_unlock(&chr->lock);
	if (ring_bell) {
		atomic_store(&chr->drain_asked, true);
		fd_event_signal(chr->bell.fd);
	}
	return taken;
}

size_t chr_write(struct chr *chr, const uint8_t *bytes, size_t len)
{
	return put(chr, bytes, len, RING_LIMIT);
}

void chr_write_last(struct chr *chr, const uint8_t *bytes, size_t len)
{
	put(chr, bytes, MIN(len, (size_t)CHR_LAST_WORDS), RING_BYTES);
}

void chr_announce_room(struct chr *chr)
{
	bool announce;

	pthread_mutex_lock(&chr->lock);
	announce = chr->want_room && (chr->drop || chr->ring.len < RING_LIMIT);
	if (announce)
		chr->want_room = false;
	pthread_mutex_unlock(&chr->lock);
	if (announce && chr->started && chr->client.writable)
		chr->client.writable(chr->client.opaque);
}

void chr_accept(struct chr *chr)
{
	/* stream_pump raises the flag before it asks for room: either it or this call sees the
	 * other. */
	if (!atomic_exchange(&chr->input_held, false))
		return;
	atomic_store(&chr->accept_asked, true);
	fd_event_signal(chr->bell.fd);
}

const char *chr_where(const struct chr *chr)
{
	return chr->where;
}

void chr_close(struct chr *chr)
{
	if (!chr)
		return;
	chr->started = false;
	stream_flush(chr, CLOSE_WAIT_MS);
	loop_timer_cancel(chr->loop, &chr->drain_timer);
	loop_timer_cancel(chr->loop, &chr->input_timer);
	stream_detach(chr);
	if (chr->ops->close)
		chr->ops->close(chr);
	chr_free(chr);
}

static const struct chr_ops none_ops = {0};

int chr_open_none(struct chr *chr, const struct chr_options *options, struct err *e)
{
	(void)options;
	(void)e;
	chr->ops = &none_ops;
	snprintf(chr->where, sizeof(chr->where), "none");
	return 0;
}
