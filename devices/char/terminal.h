/*
 * The user's terminal in raw mode, and its way back: when it is closed, when the process exits, on
 * a signal that ends it, and, by a small guard process, when it is killed.
 *
 * There is one terminal in a process at a time, because signal dispositions belong to the process.
 */
#ifndef SARANG_CHAR_TERMINAL_H
#define SARANG_CHAR_TERMINAL_H

#include "base/err.h"

struct terminal;

/*
 * Remembers how the terminal @fd (borrowed) is set, installs the signal handlers, starts the guard.
 * Does not change the terminal yet. After the process was stopped and goes on, @wake_fd (an
 * eventfd, borrowed) is signalled: call terminal_enter then. *@out is closed with terminal_close.
 * 0, -EBUSY when the process has one open already, or -errno.
 */
int terminal_open(int fd, int wake_fd, struct terminal **out, struct err *e);

/* Sets it raw. 0, -EAGAIN while we are not the terminal's foreground job, or -errno. */
int terminal_enter(struct terminal *terminal);

/* Whether we are in the background of our controlling terminal, where reading it is not for us. */
_Bool terminal_in_background(const struct terminal *terminal);

/* Restores it, throws away what was typed and not read, ends the guard, frees. NULL is fine. */
void terminal_close(struct terminal *terminal);

#endif
