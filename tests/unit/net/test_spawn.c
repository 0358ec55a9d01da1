/* How a program that sarang starts for a network card begins. */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/spawn.h"
#include "tests.h"

/* What ends a process ends it, although the threads of a machine have these signals blocked and a
 * shell may have had them ignored. */
START_TEST(a_program_starts_with_signals_as_by_default)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
	static const char *const words[] = {"sleep", "1000", NULL};
	int ends[2], status = 0, signo = signals[_i];
	sigset_t blocked;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, signo);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
	signal(signo, SIG_IGN);
	ck_assert_int_eq(net_spawn("sleep", words, &ends[1], 1, &pid), 0);
	ck_assert_int_eq(kill(pid, signo), 0);
	while (waitpid(pid, &status, 0) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), signo);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}
END_TEST

TCase *spawn_cases(void)
{
	TCase *tc = tcase_create("spawn");

	tcase_add_loop_test(tc, a_program_starts_with_signals_as_by_default, 0, 4);
	return tc;
}
