/*
 * The terminal's guard. SIGKILL, or a stack overflow, leaves a process no time to restore its
 * terminal, and a raw terminal is useless to a shell. So a child waits on a pipe: a byte means
 * good-bye, the end of the pipe means that its parent died.
 *
 * The guard is a session of its own (no signal of the terminal or of the shell's jobs reaches it,
 * and setting the terminal does not stop it), blocks all signals, and holds no descriptor but the
 * pipe and the terminal. It restores only what is still as its parent had set it: a shell that has
 * noticed the death first may have put its own line editor's modes there.
 */
#include "char/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define REAP_WAIT_MS 1000

bool guard_same_modes(const struct termios *a, const struct termios *b)
{
	return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_lflag == b->c_lflag;
}

/* Everything here is async-signal-safe: the parent may have threads. */
static _Noreturn void guard_main(int socket_fd, int tty_fd, const struct termios *saved,
				 const struct termios *raw)
{
	struct termios now;
	char byte;
	ssize_t n;

	setsid();
	prctl(PR_SET_NAME, "sarang-tty");
	/* By way of high numbers, for either may be 0 or 1 already. */
	socket_fd = fcntl(socket_fd, F_DUPFD, 10);
	tty_fd = fcntl(tty_fd, F_DUPFD, 10);
	if (dup2(socket_fd, 0) < 0 || dup2(tty_fd, 1) < 0)
		_exit(1);
	if (syscall(SYS_close_range, 2, ~0u, 0) < 0)
		for (int fd = 2; fd < 65536; fd++)
			close(fd);
	if (chdir("/") < 0 || write(0, "r", 1) != 1)
		_exit(1);
	do {
		n = read(0, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0 && !tcgetattr(1, &now) && guard_same_modes(&now, raw))
		tcsetattr(1, TCSANOW, saved);
	_exit(0);
}

int guard_start(struct guard *guard, int fd, const struct termios *saved, const struct termios *raw)
{
	sigset_t all, old;
	int fds[2], ret;
	char ready;
	pid_t pid;
	ssize_t n;

	*guard = (struct guard){.socket_fd = -1, .pid_fd = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	ret = -errno;
	if (!pid)
		guard_main(fds[0], fd, saved, raw);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(fds[0]);
	if (pid < 0) {
		close(fds[1]);
		return ret;
	}
	guard->pid = pid;
	guard->socket_fd = fds[1];
	guard->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Until it has left our process group it would be killed with us. */
	do {
		n = read(guard->socket_fd, &ready, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -ECHILD;
}

void guard_stop(struct guard *guard)
{
	struct pollfd pfd = {.fd = guard->pid_fd, .events = POLLIN};

	if (!guard->pid)
		return;
	/* Somebody may have killed it: that is no reason for a SIGPIPE. */
	while (send(guard->socket_fd, "q", 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
		continue;
	fd_close(&guard->socket_fd);
	/* One that somebody has stopped must not hold us up for ever; init reaps it then. */
	if (guard->pid_fd < 0 || poll(&pfd, 1, REAP_WAIT_MS) > 0)
		while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	fd_close(&guard->pid_fd);
	guard->pid = 0;
}
