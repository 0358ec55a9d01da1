/* Starting the program at the other end of a network card's socket. */
#ifndef SARANG_NET_SPAWN_H
#define SARANG_NET_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

/* The first descriptor that such a program finds: its end of the socket. */
#define NET_SPAWN_SOCKET 3
#define NET_SPAWN_MAX    8

/*
 * Starts @program (looked up in PATH where it has no slash) with @words (NULL-ended). It gets
 * the @count descriptors @fds from NET_SPAWN_SOCKET on and standard error, no other one, a session
 * of its own so that a terminal's signals do not reach it, and no environment but what finds its
 * libraries. 0 or -errno.
 */
int net_spawn(const char *program, const char *const words[], const int *fds, unsigned count,
	      pid_t *pid);

/* Ends it at once and waits until it is gone; *@pid becomes 0. Returns its status as waitpid(2) has
 * it, 0 where *@pid was 0. */
int net_spawn_end(pid_t *pid);

/* Writes "exit status 1" or "killed by signal 9"; returns @text. */
const char *net_spawn_status(int status, char *text, size_t len);

#endif
