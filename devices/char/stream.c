/*
 * The two ends of a character back-end: see backend.h. On the loop's thread.
 *
 * No call here blocks the loop. That is easy with O_NONBLOCK, which belongs to the open file
 * description and so may only be set on one that no other process shares; the other modes do with
 * what they have. An end that waits for nothing is taken out of epoll, because epoll reports a
 * hang-up even to those who ask for no event, again and again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "char/backend.h"

#define DRAIN_BUDGET_BYTES 65536u

/* What a blocking descriptor takes at once where poll() says that it takes something. */
#define SHARED_CHUNK_BYTES 256u

struct chr_end end_none(void)
{
	return end_of(END_NONE, -1);
}

struct chr_end end_of(enum end_mode mode, int fd)
{
	return (struct chr_end){.mode = mode, .source.fd = fd};
}

static void end_close(struct chr *chr, struct chr_end *end)
{
	loop_del_fd(chr->loop, &end->source);
	if (!end->borrowed)
		fd_close(&end->source.fd);
	*end = end_none();
}

static bool is_ready(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	return poll(&pfd, 1, 0) > 0;
}

ssize_t stream_read(struct chr_end *end, uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (end->mode == END_NONE)
		return -EAGAIN;
	if (end->mode == END_SHARED && !is_ready(end->source.fd, POLLIN))
		return -EAGAIN;
	do {
		n = end->mode == END_SOCKET ? recv(end->source.fd, bytes, len, MSG_DONTWAIT)
					    : read(end->source.fd, bytes, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t end_write(struct chr_end *end, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (end->mode == END_NONE)
		return -EPIPE;
	if (end->mode == END_SHARED) {
		if (!is_ready(end->source.fd, POLLOUT))
			return -EAGAIN;
		len = MIN(len, (size_t)SHARED_CHUNK_BYTES);
	}
	do {
		n = end->mode == END_SOCKET
			    ? send(end->source.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : write(end->source.fd, bytes, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* From now on output is dropped, and what is waiting with it. */
static void drop_output(struct chr *chr)
{
	pthread_mutex_lock(&chr->lock);
	chr->drop = true;
	chr->draining = false;
	chr->ring.head = 0;
	chr->ring.len = 0;
	pthread_mutex_unlock(&chr->lock);
	loop_timer_cancel(chr->loop, &chr->drain_timer);
	chr_announce_room(chr);
}

static void gone_if_both_ended(struct chr *chr)
{
	if (!chr->ops->gone || (chr->in.mode != END_NONE && !chr->in.ended) ||
	    chr->out.mode != END_NONE)
		return;
	end_close(chr, &chr->in);
	chr->ops->gone(chr);
}

void stream_end_input(struct chr *chr)
{
	loop_timer_cancel(chr->loop, &chr->input_timer);
	if (chr->ops->gone && chr->out.mode != END_NONE) {
		/* The peer may still read: wait for it to hang up. */
		chr->in.ended = true;
		loop_del_fd(chr->loop, &chr->in.source);
		chr->in.source.events = EPOLLHUP;
		loop_add_fd(chr->loop, &chr->in.source);
	} else {
		end_close(chr, &chr->in);
	}
	gone_if_both_ended(chr);
}

void stream_end_output(struct chr *chr)
{
	end_close(chr, &chr->out);
	drop_output(chr);
	gone_if_both_ended(chr);
}

void stream_detach(struct chr *chr)
{
	loop_timer_cancel(chr->loop, &chr->input_timer);
	end_close(chr, &chr->in);
	end_close(chr, &chr->out);
	drop_output(chr);
}

static void in_ready(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	if (chr->in.ended) {
		if (events & (EPOLLHUP | EPOLLERR))
			stream_end_output(chr);
	} else if (chr->ops->input) {
		chr->ops->input(chr);
	} else {
		stream_pump(chr);
	}
}

static void out_ready(void *opaque, uint32_t events)
{
	struct chr *chr = opaque;

	stream_drain(chr);
	/* A terminal that hung up may neither take bytes nor refuse them. */
	if ((events & (EPOLLHUP | EPOLLERR)) && chr->out.source.watched)
		stream_end_output(chr);
}

int stream_attach(struct chr *chr, struct chr_end in, struct chr_end out)
{
	chr->in = in;
	chr->in.source.events = EPOLLIN;
	chr->in.source.ready = in_ready;
	chr->in.source.opaque = chr;
	chr->out = out;
	chr->out.source.events = EPOLLOUT;
	chr->out.source.ready = out_ready;
	chr->out.source.opaque = chr;
	pthread_mutex_lock(&chr->lock);
	chr->drop = out.mode == END_NONE;
	pthread_mutex_unlock(&chr->lock);
	if (chr->started)
		stream_input_resume(chr);
	return 0;
}

void stream_input_resume(struct chr *chr)
{
	struct chr_end *in = &chr->in;
	int ret;

	if (in->mode == END_NONE || in->ended || in->source.watched)
		return;
	if (in->mode == END_PLAIN) {
		loop_timer_arm(chr->loop, &chr->input_timer, 0);
		return;
	}
	ret = loop_add_fd(chr->loop, &in->source);
	if (ret == -EPERM) {
		/* Such as /dev/null: never makes anybody wait. */
		in->mode = END_PLAIN;
		loop_timer_arm(chr->loop, &chr->input_timer, 0);
	} else if (ret < 0) {
		log_warn("console %s: cannot watch for input: %s", chr->where, strerror(-ret));
		stream_end_input(chr);
	}
}

void stream_input_pause(struct chr *chr)
{
	loop_timer_cancel(chr->loop, &chr->input_timer);
	loop_del_fd(chr->loop, &chr->in.source);
}

void stream_pump(struct chr *chr)
{
	uint8_t bytes[CHR_CHUNK_BYTES];
	size_t room;
	ssize_t n;

	if (chr->in.mode == END_NONE || chr->in.ended)
		return;
	atomic_store(&chr->input_held, true);
	room = chr->client.can_receive(chr->client.opaque);
	if (!room) {
		stream_input_pause(chr);
		return;
	}
	atomic_store(&chr->input_held, false);
	n = stream_read(&chr->in, bytes, MIN(room, sizeof(bytes)));
	if (n > 0)
		chr->client.receive(chr->client.opaque, bytes, (size_t)n);
	if (n > 0 || n == -EAGAIN) {
		stream_input_resume(chr);
		return;
	}
	if (n < 0 && !chr->ops->gone)
		log_warn("console %s: reading input failed: %s", chr->where, strerror((int)-n));
	stream_end_input(chr);
}

/* The out end refused bytes for good, or a file has no room for them. Returns whether to go on. */
static bool output_failed(struct chr *chr, int errnum, size_t len)
{
	if (chr->out.mode == END_PLAIN && errnum != EPIPE) {
		log_limited(&chr->limit, LOG_ERROR, "console %s: output is lost: %s", chr->where,
			    strerror(errnum));
		pthread_mutex_lock(&chr->lock);
		ring_consume(&chr->ring, len);
		pthread_mutex_unlock(&chr->lock);
		return true;
	}
	if (!chr->ops->gone)
		log_warn("console %s: nobody takes the output any more (%s): it is dropped",
			 chr->where, strerror(errnum));
	stream_end_output(chr);
	return false;
}

/* Goes on when the descriptor takes bytes again. */
static void wait_for_out(struct chr *chr)
{
	int ret;

	if (chr->out.source.watched)
		return;
	ret = loop_add_fd(chr->loop, &chr->out.source);
	if (ret < 0)
		output_failed(chr, EPIPE, 0);
}

/* The next piece to write; nothing means that the loop is done with the ring for now. */
static size_t next_piece(struct chr *chr, const uint8_t **bytes)
{
	size_t len;

	pthread_mutex_lock(&chr->lock);
	len = ring_peek(&chr->ring, bytes);
	if (!len)
		chr->draining = false;
	pthread_mutex_unlock(&chr->lock);
	return MIN(len, (size_t)CHR_CHUNK_BYTES);
}

void stream_drain(struct chr *chr)
{
	size_t budget = DRAIN_BUDGET_BYTES, len;
	const uint8_t *bytes;
	ssize_t n = 0;

	while ((len = next_piece(chr, &bytes))) {
		if (!budget) {
			loop_timer_arm(chr->loop, &chr->drain_timer, 0);
			break;
		}
		n = end_write(&chr->out, bytes, len);
		if (n == -EAGAIN) {
			wait_for_out(chr);
			break;
		}
		if (n < 0) {
			if (!output_failed(chr, (int)-n, len))
				return;
			n = (ssize_t)len;
		} else {
			pthread_mutex_lock(&chr->lock);
			ring_consume(&chr->ring, (size_t)n);
			pthread_mutex_unlock(&chr->lock);
		}
		budget -= MIN(budget, (size_t)n);
	}
	if (!len || n != -EAGAIN)
		loop_del_fd(chr->loop, &chr->out.source);
	chr_announce_room(chr);
}

void stream_flush(struct chr *chr, unsigned timeout_ms)
{
	uint64_t end_ns = loop_now_ns() + timeout_ms * 1000000ull, now_ns;
	struct pollfd pfd;
	size_t left;

	for (;;) {
		stream_drain(chr);
		pthread_mutex_lock(&chr->lock);
		left = chr->ring.len;
		pthread_mutex_unlock(&chr->lock);
		now_ns = loop_now_ns();
		if (!left || now_ns >= end_ns)
			break;
		pfd = (struct pollfd){.fd = chr->out.source.fd, .events = POLLOUT};
		if (chr->out.mode != END_PLAIN)
			poll(&pfd, 1, (int)((end_ns - now_ns) / 1000000) + 1);
		if ((pfd.revents & (POLLHUP | POLLERR)) && !(pfd.revents & POLLOUT))
			break;
	}
	if (left)
		log_warn("console %s: its reader is too slow: the last %zu bytes are dropped",
			 chr->where, left);
}
