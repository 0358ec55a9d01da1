/*
 * A console whose input is the user's terminal. On the loop's thread.
 *
 * Ctrl-A x has to work when the guest takes no input, or the machine could not be ended by a guest
 * that hangs. So unlike other input the terminal is read at once, searched for Ctrl-A keys, and
 * kept in a backlog until the guest takes it; only a backlog of some megabytes stops the reading.
 *
 * Job control: while another job is in the foreground the terminal is neither set nor read. Nothing
 * tells a process that it has come to the foreground unless it was stopped, so it looks now and
 * then.
 */
#include "char/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "char/backlog.h"
#include "char/keys.h"
#include "char/terminal.h"

#define BACKGROUND_LOOK_NS 300000000u

struct tty {
	struct terminal *terminal;
	struct keys keys;
	struct backlog backlog;
	struct loop_fd wake;          /* signalled after we were stopped */
	struct loop_timer background; /* armed while another job has the terminal */
};

static void tty_look(struct chr *chr)
{
	struct tty *tty = chr->impl;
	int ret = terminal_enter(tty->terminal);

	if (ret == -EAGAIN) {
		stream_input_pause(chr);
		loop_timer_arm(chr->loop, &tty->background, BACKGROUND_LOOK_NS);
		return;
	}
	if (ret < 0 && ret != -EIO) /* EIO: it hung up, as reading will tell */
		log_limited(&chr->limit, LOG_WARN, "cannot set the terminal raw: %s",
			    strerror(-ret));
	stream_input_resume(chr);
}

static void background_due(void *opaque)
{
	tty_look(opaque);
}

static void woken(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;
	struct tty *tty = chr->impl;

	(void)events;
	fd_event_clear(tty->wake.fd);
	tty_look(chr);
}

/* Gives the guest what it can take of the backlog. */
static void deliver(struct chr *chr)
{
	struct tty *tty = chr->impl;
	uint8_t bytes[CHR_CHUNK_BYTES];
	size_t room, len;

	while (!backlog_empty(&tty->backlog)) {
		atomic_store(&chr->input_held, true);
		room = chr->client.can_receive(chr->client.opaque);
		if (!room)
			return;
		atomic_store(&chr->input_held, false);
		if (backlog_take_break(&tty->backlog)) {
			if (chr->client.input_break)
				chr->client.input_break(chr->client.opaque);
			continue;
		}
		len = backlog_take(&tty->backlog, bytes, MIN(room, sizeof(bytes)));
		chr->client.receive(chr->client.opaque, bytes, len);
	}
}

static void take_key(struct chr *chr, uint8_t byte)
{
	struct tty *tty = chr->impl;

	switch (keys_feed(&tty->keys, byte)) {
	case KEYS_NOTHING:
		break;
	case KEYS_BYTE:
		backlog_add(&tty->backlog, byte);
		break;
	case KEYS_PREFIX:
		backlog_add(&tty->backlog, KEYS_CTRL_A);
		break;
	case KEYS_BREAK:
		backlog_add(&tty->backlog, BACKLOG_BREAK);
		break;
	case KEYS_QUIT:
		if (chr->user.quit)
			chr->user.quit(chr->user.opaque);
		break;
	case KEYS_RESUME:
		if (chr->user.resume)
			chr->user.resume(chr->user.opaque);
		break;
	case KEYS_POWER:
		if (chr->user.power)
			chr->user.power(chr->user.opaque);
		break;
	case KEYS_HELP:
		chr_write(chr, (const uint8_t *)keys_help, strlen(keys_help));
		break;
	}
}

/* Reads without being stopped by SIGTTIN should we have lost the foreground just now. */
static ssize_t read_keys(struct chr *chr, uint8_t *bytes, size_t len)
{
	sigset_t ttin, old;
	ssize_t n;

	sigemptyset(&ttin);
	sigaddset(&ttin, SIGTTIN);
	pthread_sigmask(SIG_BLOCK, &ttin, &old);
	n = stream_read(&chr->in, bytes, len);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return n;
}

static void tty_input(struct chr *chr)
{
	struct tty *tty = chr->impl;
	uint8_t bytes[CHR_CHUNK_BYTES];
	ssize_t n = -EAGAIN, i;
	size_t room = MIN(backlog_room(&tty->backlog), sizeof(bytes));

	if (room && chr->in.mode != END_NONE && !tty->background.armed)
		n = read_keys(chr, bytes, room);
	for (i = 0; i < n; i++)
		take_key(chr, bytes[i]);
	deliver(chr);
	if (n == -EIO && terminal_in_background(tty->terminal)) {
		tty_look(chr);
	} else if (n == 0 || (n < 0 && n != -EAGAIN)) {
		stream_end_input(chr);
	} else if (!backlog_room(&tty->backlog)) {
		stream_input_pause(chr);
	} else if (!tty->background.armed) {
		stream_input_resume(chr);
	}
}

static int tty_start(struct chr *chr, struct err *e)
{
	struct tty *tty = chr->impl;
	int ret = loop_add_fd(chr->loop, &tty->wake);

	if (ret < 0)
		return err_errno(e, -ret, "cannot watch the terminal");
	tty_look(chr);
	return 0;
}

static void tty_close(struct chr *chr)
{
	struct tty *tty = chr->impl;

	loop_timer_cancel(chr->loop, &tty->background);
	loop_del_fd(chr->loop, &tty->wake);
	terminal_close(tty->terminal);
	fd_close(&tty->wake.fd);
	backlog_free(&tty->backlog);
	free(tty);
}

static const struct chr_ops tty_ops = {
	.start = tty_start,
	.input = tty_input,
	.close = tty_close,
};

int tty_setup(struct chr *chr, int fd, struct err *e)
{
	struct tty *tty = calloc(1, sizeof(*tty));
	int ret;

	if (!tty)
		return err_set(e, ENOMEM, "out of memory");
	tty->background = (struct loop_timer){.fired = background_due, .opaque = chr};
	tty->wake = (struct loop_fd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				     .events = EPOLLIN,
				     .ready = woken,
				     .opaque = chr};
	ret = tty->wake.fd < 0 ? err_errno(e, errno, "cannot watch the terminal")
			       : terminal_open(fd, tty->wake.fd, &tty->terminal, e);
	if (ret < 0) {
		fd_close(&tty->wake.fd);
		free(tty);
		return ret;
	}
	chr->impl = tty;
	chr->ops = &tty_ops;
	return 0;
}
