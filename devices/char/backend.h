/*
 * What the files of this folder share: the parts of a character back-end.
 *
 *     chr_write --> ring --> stream (out end) --> descriptor        chr.c, ring.c, stream.c
 *     front-end <----------- stream (in end)  <-- descriptor        stream.c
 *     front-end <-- backlog <-- escape keys   <-- terminal          stdio.c, keys.c, terminal.c
 *
 * A kind of back-end (struct chr_ops) opens descriptors and hands them to the stream as "ends". An
 * end knows how its descriptor may be used without ever blocking the loop, and without leaving
 * O_NONBLOCK on a descriptor that other processes share.
 *
 * Everything here runs on the loop's thread, or while nobody runs it, unless it says otherwise.
 */
#ifndef SARANG_CHAR_BACKEND_H
#define SARANG_CHAR_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/log.h"
#include "char/chr.h"
#include "char/ring.h"

/* The most that is moved in one go, so that nobody holds the loop for long. */
#define CHR_CHUNK_BYTES 4096u

/* How a descriptor is used. */
enum end_mode {
	END_NONE,     /* there is none: output is dropped, input never comes */
	END_NONBLOCK, /* has O_NONBLOCK, on an open file description of our own */
	END_SOCKET,   /* a socket that may be shared: MSG_DONTWAIT on every call */
	END_SHARED,   /* blocking and shared: only as much as readiness promises */
	END_PLAIN,    /* epoll has no notion of it (a file, /dev/null): it never blocks for long */
};

struct chr_end {
	enum end_mode mode;
	struct loop_fd source; /* owns source.fd */
	bool borrowed;         /* ... but does not close it */
	bool ended;            /* nothing more comes or goes; kept only to notice a hang-up */
};

/* A kind of back-end. All but close may be NULL. */
struct chr_ops {
	/* The front-end is there: begin. */
	int (*start)(struct chr *chr, struct err *e);
	/* The in end is readable, or the front-end has room again. NULL: the stream's plain pump.
	 */
	void (*input)(struct chr *chr);
	/* Both ends have come to their end: look for the next client. */
	void (*gone)(struct chr *chr);
	/* Frees what is behind chr->impl; the ends have been closed. */
	void (*close)(struct chr *chr);
};

struct chr {
	const struct chr_ops *ops;
	void *impl; /* the kind's own */
	struct loop *loop;
	struct chr_user user;
	struct chr_client client;
	bool started;
	char where[128];
	struct log_limit limit;

	struct chr_end in;
	struct chr_end out;
	struct loop_timer drain_timer;
	struct loop_timer
		input_timer; /* reads an in end that is END_PLAIN, one chunk after the other */

	/* Other threads ask for attention: */
	struct loop_fd bell;       /* eventfd */
	_Atomic bool drain_asked;  /* there is output, or room has to be announced */
	_Atomic bool accept_asked; /* the front-end can take input again */
	_Atomic bool input_held;   /* input waits for the front-end: chr_accept has to ring */

	pthread_mutex_t lock; /* guards what follows */
	struct ring ring;
	bool drop;      /* nobody is there: output goes nowhere */
	bool draining;  /* the loop is at it: no need to ring */
	bool want_room; /* chr_write has refused bytes */
};

/* chr.c: tells the front-end that there is room, when it has been refused some. */
void chr_announce_room(struct chr *chr);

/* stream.c */

/*
 * Gives @chr its descriptors (-1: none in that direction); takes their ownership in any case. The
 * same descriptor is never given twice: dup it. Output is no longer dropped. 0 or -errno.
 */
int stream_attach(struct chr *chr, struct chr_end in, struct chr_end out);

/* Starts or goes on watching the in end; stops watching it while the front-end has no room. */
void stream_input_resume(struct chr *chr);
void stream_input_pause(struct chr *chr);

/* Ends one direction; ops->gone follows when both have ended. */
void stream_end_input(struct chr *chr);
void stream_end_output(struct chr *chr);

/* Ends both without calling ops->gone; output is dropped from now on. */
void stream_detach(struct chr *chr);

/* Reads at most @len bytes. Returns bytes, 0 at the end of input, -EAGAIN, or another -errno. */
ssize_t stream_read(struct chr_end *end, uint8_t *bytes, size_t len);

/* The plain pump: as many bytes as the front-end can take, from the in end to the front-end. */
void stream_pump(struct chr *chr);

/* Moves the ring's bytes out, as far as that goes now. */
void stream_drain(struct chr *chr);

/* As stream_drain, waiting up to @timeout_ms for a slow reader. */
void stream_flush(struct chr *chr, unsigned timeout_ms);

/* The ends: helpers that fill one. */
struct chr_end end_none(void);
struct chr_end end_of(enum end_mode mode, int fd);

/* One constructor a kind: fills chr->ops and what it needs; on failure nothing is left behind. */
int chr_open_stdio(struct chr *chr, const struct chr_options *options, struct err *e);
int chr_open_none(struct chr *chr, const struct chr_options *options, struct err *e);
int chr_open_pty(struct chr *chr, const struct chr_options *options, struct err *e);
int chr_open_file(struct chr *chr, const struct chr_options *options, struct err *e);
int chr_open_unix(struct chr *chr, const struct chr_options *options, struct err *e);

#endif
