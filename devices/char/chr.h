/*
 * The character back-end: the host's side of a serial port or console.
 *
 * Towards the host (guest output): chr_write takes bytes on any thread into a ring; the loop writes
 * the ring out. When it is full chr_write takes less than it was given, and calls writable() on the
 * loop when there is room again: a UART keeps its transmitter "not empty" for that long, so that
 * output is delayed, never lost, and a vCPU never blocks in write(). A back-end with nobody at the
 * other end (pty or socket without a client, none) takes and drops everything.
 *
 * Towards the guest (input): the front-end says how many bytes it can take, and gets at most that
 * many. While it can take none the back-end reads nothing from the host, which holds back a paste
 * of any size. When there is room again the front-end calls chr_accept on any thread.
 */
#ifndef SARANG_CHAR_CHR_H
#define SARANG_CHAR_CHR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

/* The front-end's side. All are called on the loop's thread. */
struct chr_client {
	size_t (*can_receive)(void *opaque);
	void (*receive)(void *opaque, const uint8_t *bytes, size_t len);
	void (*writable)(void *opaque);    /* optional */
	void (*input_break)(void *opaque); /* optional: the user sent a break (Ctrl-A b) */
	void *opaque;
};

struct chr;

/* What a user says with --console. */
enum chr_kind {
	CHR_STDIO,
	CHR_NONE,
	CHR_PTY,
	CHR_FILE, /* output to @path (created, truncated); no input */
	CHR_UNIX, /* listens on a Unix socket at @path, one client at a time */
};

struct chr_options {
	enum chr_kind kind;
	const char *path;
};

/* What the user can do on a stdio console besides typing: Ctrl-A x and the like. On the loop's
 * thread. */
struct chr_user {
	void (*quit)(void *opaque);
	void (*resume)(void *opaque);
	void (*power)(void *opaque); /* presses the power button */
	void *opaque;
};

/*
 * Opens it on @loop. stdio on a terminal: raw mode from chr_start on, Ctrl-A keys, restored on
 * close, on a crash and on any signal. *@out is closed with chr_close. Nothing is read before
 * chr_start.
 */
int chr_open(const struct chr_options *options, struct loop *loop, const struct chr_user *user,
	     struct chr **out, struct err *e);

/*
 * Names the front-end and begins to serve. Once in the life of @chr; a front-end that is stopped
 * and started again just says in can_receive what it can take, and calls chr_accept. 0 or -errno.
 */
int chr_start(struct chr *chr, const struct chr_client *client, struct err *e);

/* Takes up to @len bytes for the host; returns how many. Any thread, never blocks. */
size_t chr_write(struct chr *chr, const uint8_t *bytes, size_t len);

/*
 * The last words of a front-end that stops: up to CHR_LAST_WORDS bytes are taken in any case, from
 * room that chr_write leaves, so that nothing is lost that waited in a transmitter. Once in a run.
 */
#define CHR_LAST_WORDS 256
void chr_write_last(struct chr *chr, const uint8_t *bytes, size_t len);

/* The front-end can take input again. Any thread. */
void chr_accept(struct chr *chr);

/* Where it can be reached, for messages: "/dev/pts/3", "stdio", a path. Owned by @chr. */
const char *chr_where(const struct chr *chr);

/*
 * Writes out what is left in the ring (waiting a bounded time for a slow reader), restores the
 * terminal, removes a socket it made, frees. On the loop's thread, or when nobody runs it. The
 * front-end is not called any more, so it may be gone by then. NULL is fine.
 */
void chr_close(struct chr *chr);

#endif
