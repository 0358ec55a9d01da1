/* A console whose input is the user's terminal: raw mode, Ctrl-A keys, job control. See tty.c. */
#ifndef SARANG_CHAR_TTY_H
#define SARANG_CHAR_TTY_H

#include "char/backend.h"

/* Turns @chr, whose ends are attached, into one whose input is the terminal @fd. 0 or -errno. */
int tty_setup(struct chr *chr, int fd, struct err *e);

#endif
