/*
 * TERM, INT and HUP end the guest in order: they are blocked before anything is built, taken by the
 * main loop through a signalfd, and sent to this process again when all is cleaned up. CONT lets a
 * guest go on that was paused, PWR presses its power button.
 */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/private.h"

/* Of those that end, those that the caller wants ignored (nohup) stay ignored. */
static sigset_t taken_signals(void)
{
	static const int ending[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction action;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGPWR);
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		if (!sigaction(ending[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	return set;
}

void signals_block(struct signals *signals)
{
	sigset_t set = taken_signals();

	signals->source.fd = -1;
	pthread_sigmask(SIG_BLOCK, &set, &signals->old_mask);
}

/* A terminal in raw mode has a handler of its own for it, which it gets to see as well. */
static void hand_on_continue(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	raise(SIGCONT);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void signal_arrived(void *opaque, uint32_t events)
{
	struct signals *signals = opaque;
	struct signalfd_siginfo info;

	(void)events;
	if (read(signals->source.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		hand_on_continue();
		machine_resume(signals->machine);
		return;
	}
	if (info.ssi_signo == SIGPWR) {
		machine_press_power_button(signals->machine);
		return;
	}
	signals->machine->end_signal = (int)info.ssi_signo;
	machine_finish(signals->machine, MACHINE_END_SIGNAL, "a signal");
}

int signals_watch(struct signals *signals, struct machine *machine, struct err *e)
{
	sigset_t set = taken_signals();
	int ret;

	signals->machine = machine;
	signals->source = (struct loop_fd){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.ready = signal_arrived,
		.opaque = signals,
	};
	ret = signals->source.fd < 0 ? -errno : loop_add_fd(machine->loop, &signals->source);
	return ret < 0 ? err_errno(e, -ret, "cannot watch for signals") : 0;
}

void signals_unwatch(struct signals *signals)
{
	if (signals->machine)
		loop_del_fd(signals->machine->loop, &signals->source);
	fd_close(&signals->source.fd);
}

void signals_restore(struct signals *signals)
{
	const struct timespec now = {0};
	sigset_t moot;

	/* One that came too late for the loop was not meant to end this process. */
	sigemptyset(&moot);
	sigaddset(&moot, SIGPWR);
	while (sigtimedwait(&moot, NULL, &now) > 0 || errno == EINTR)
		continue;
	pthread_sigmask(SIG_SETMASK, &signals->old_mask, NULL);
}
