/*
 * Raw mode and the way back: see terminal.h.
 *
 * What restores the terminal must work in a signal handler on any thread, so it finds the terminal
 * through one process-wide pointer (signal handlers take no argument), and uses only
 * async-signal-safe calls. A child of this process that exits must not restore its parent's
 * terminal: each path compares the process id.
 *
 * A process that is in the background of its terminal leaves it alone: the shell's own settings are
 * there. tcsetattr is called with SIGTTOU blocked, else it would stop the process there.
 */
#include "char/terminal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "char/guard.h"

/* Signals that end a process by default; SIGTSTP and SIGCONT are handled apart. */
static const int ending[] = {
	SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE,  SIGSYS,  SIGTRAP,
	SIGQUIT, SIGTERM, SIGINT, SIGHUP, SIGXCPU, SIGXFSZ,
};

struct terminal {
	int fd;
	int wake_fd;
	pid_t owner;
	struct termios saved;
	struct termios raw;
	_Atomic bool entered; /* we have set it raw, and not restored it since */
	struct guard guard;
	struct sigaction old_ending[ARRAY_SIZE(ending)];
	struct sigaction old_tstp;
	struct sigaction old_cont;
};

/* Process-wide of necessity: a signal handler has no other way to its object. */
static _Atomic(struct terminal *) active;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

bool terminal_in_background(const struct terminal *terminal)
{
	pid_t group = tcgetpgrp(terminal->fd);

	/* An error: it is not our controlling terminal, so job control does not concern us. */
	return group >= 0 && group != getpgrp();
}

static int set_modes(int fd, const struct termios *modes)
{
	sigset_t ttou, old;
	int ret;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	do {
		ret = tcsetattr(fd, TCSANOW, modes) < 0 ? -errno : 0;
	} while (ret == -EINTR);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}

/* Async-signal-safe, repeatable. */
static void restore(struct terminal *terminal)
{
	struct termios now;

	if (terminal->owner != getpid() || !atomic_exchange(&terminal->entered, false))
		return;
	if (tcgetattr(terminal->fd, &now) < 0)
		return;
	if (!terminal_in_background(terminal) || guard_same_modes(&now, &terminal->raw))
		set_modes(terminal->fd, &terminal->saved);
}

static void restore_at_exit(void)
{
	struct terminal *terminal = atomic_load(&active);

	if (terminal)
		restore(terminal);
}

static void register_at_exit(void)
{
	atexit(restore_at_exit);
}

/* Restores, then lets happen what would have happened without us. */
static void on_ending_signal(int signo, siginfo_t *info, void *context)
{
	struct terminal *terminal = atomic_load(&active);
	struct sigaction fallback = {.sa_handler = SIG_DFL};
	int saved_errno = errno;
	size_t i;

	(void)context;
	if (terminal) {
		restore(terminal);
		for (i = 0; i < ARRAY_SIZE(ending); i++)
			if (ending[i] == signo)
				fallback = terminal->old_ending[i];
	}
	sigaction(signo, &fallback, NULL);
	/* A fault happens again by itself, with all that a debugger wants to know about it. */
	if (info->si_code <= 0)
		raise(signo);
	errno = saved_errno;
}

/* kill -TSTP: the terminal goes back to the shell in order; raw mode returns with SIGCONT. */
static void on_stop_signal(int signo)
{
	struct terminal *terminal = atomic_load(&active);
	struct sigaction action = {.sa_handler = SIG_DFL}, ours;
	int saved_errno = errno;
	sigset_t set, old;

	if (terminal)
		restore(terminal);
	sigaction(signo, &action, &ours);
	sigemptyset(&set);
	sigaddset(&set, signo);
	raise(signo);
	pthread_sigmask(SIG_UNBLOCK, &set, &old); /* stops here */
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	sigaction(signo, &ours, NULL);
	/* Also where nobody can continue us, and so the signal did not stop us either. */
	if (terminal && terminal->owner == getpid())
		fd_event_signal(terminal->wake_fd);
	errno = saved_errno;
}

static void on_continue_signal(int signo)
{
	struct terminal *terminal = atomic_load(&active);
	int saved_errno = errno;

	(void)signo;
	if (terminal && terminal->owner == getpid())
		fd_event_signal(terminal->wake_fd);
	errno = saved_errno;
}

static void install(struct terminal *terminal)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	size_t i;

	action.sa_sigaction = on_ending_signal;
	for (i = 0; i < ARRAY_SIZE(ending); i++) {
		sigaction(ending[i], NULL, &terminal->old_ending[i]);
		if (terminal->old_ending[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
	}
	action = (struct sigaction){.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
	sigaction(SIGTSTP, NULL, &terminal->old_tstp);
	if (terminal->old_tstp.sa_handler == SIG_DFL)
		sigaction(SIGTSTP, &action, NULL);
	action.sa_handler = on_continue_signal;
	sigaction(SIGCONT, &action, &terminal->old_cont);
}

static void uninstall(struct terminal *terminal)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ending); i++)
		sigaction(ending[i], &terminal->old_ending[i], NULL);
	sigaction(SIGTSTP, &terminal->old_tstp, NULL);
	sigaction(SIGCONT, &terminal->old_cont, NULL);
}

int terminal_open(int fd, int wake_fd, struct terminal **out, struct err *e)
{
	struct terminal *terminal = calloc(1, sizeof(*terminal)), *none = NULL;
	int ret;

	if (!terminal)
		return err_set(e, ENOMEM, "out of memory");
	terminal->fd = fd;
	terminal->wake_fd = wake_fd;
	terminal->owner = getpid();
	if (tcgetattr(fd, &terminal->saved) < 0) {
		ret = err_errno(e, errno, "cannot read the settings of the terminal");
		free(terminal);
		return ret;
	}
	terminal->raw = terminal->saved;
	cfmakeraw(&terminal->raw);
	terminal->raw.c_cc[VMIN] = 1;
	terminal->raw.c_cc[VTIME] = 0;
	if (!atomic_compare_exchange_strong(&active, &none, terminal)) {
		free(terminal);
		return err_set(e, EBUSY, "another console of this process has the terminal");
	}
	ret = guard_start(&terminal->guard, fd, &terminal->saved, &terminal->raw);
	if (ret < 0)
		log_warn("the terminal stays raw should this process be killed: %s",
			 strerror(-ret));
	pthread_once(&exit_once, register_at_exit);
	install(terminal);
	*out = terminal;
	return 0;
}

int terminal_enter(struct terminal *terminal)
{
	int ret;

	if (terminal_in_background(terminal))
		return -EAGAIN;
	/* First, so that a signal between the two calls restores; restoring too much does no harm.
	 */
	atomic_store(&terminal->entered, true);
	ret = set_modes(terminal->fd, &terminal->raw);
	if (ret < 0)
		atomic_store(&terminal->entered, false);
	return ret;
}

void terminal_close(struct terminal *terminal)
{
	if (!terminal)
		return;
	/* What is left of a paste was meant for the guest: a shell would execute it. */
	if (atomic_load(&terminal->entered) && !terminal_in_background(terminal))
		tcflush(terminal->fd, TCIFLUSH);
	restore(terminal);
	guard_stop(&terminal->guard);
	uninstall(terminal);
	atomic_store(&active, NULL);
	free(terminal);
}
