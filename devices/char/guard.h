/* A process that restores a terminal when the one that set it raw was killed: see guard.c. */
#ifndef SARANG_CHAR_GUARD_H
#define SARANG_CHAR_GUARD_H

#include <sys/types.h>
#include <termios.h>

struct guard {
	pid_t pid; /* 0: there is none */
	int socket_fd;
	int pid_fd; /* -1 where the kernel has no pidfds */
};

/*
 * Starts it for the terminal @fd: should this process die without guard_stop, the guard sets the
 * terminal to @saved, provided that it is still set as in @raw. 0 or -errno.
 */
int guard_start(struct guard *guard, int fd, const struct termios *saved,
		const struct termios *raw);

/* Tells it that all is well, and reaps it. Repeatable; harmless on a zeroed one. */
void guard_stop(struct guard *guard);

/* Whether two settings are the same as far as raw mode changes them. Async-signal-safe. */
_Bool guard_same_modes(const struct termios *a, const struct termios *b);

#endif
