/*
 * The user's terminal: raw while a console runs, restored whatever ends the process. A child that
 * has a pseudo-terminal as its controlling terminal plays sarang; this process holds both ends of
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/util.h"
#include "fake_client.h"
#include "suite.h"
#include "unit.h"

static int master, slave;
static struct termios cooked;
static int report[2]; /* bytes from the child */

static void setup(void)
{
	char path[64];

	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(unlockpt(master), 0);
	ck_assert_int_eq(ptsname_r(master, path, sizeof(path)), 0);
	slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(slave, 0);
	ck_assert_int_eq(tcgetattr(slave, &cooked), 0);
	ck_assert_int_eq(pipe2(report, O_CLOEXEC), 0);
}

static void teardown(void)
{
	close(master);
	close(slave);
}

static bool is_cooked(void)
{
	struct termios now;

	ck_assert_int_eq(tcgetattr(slave, &now), 0);
	return now.c_lflag == cooked.c_lflag && now.c_iflag == cooked.c_iflag &&
	       now.c_oflag == cooked.c_oflag;
}

/* What happens right after a moment that cannot be waited for: Check's time-out ends a wrong wait.
 */
static void wait_until_cooked(bool wanted)
{
	while (is_cooked() != wanted)
		usleep(1000);
}

static void tell(char what)
{
	ck_assert_int_eq(write(report[1], &what, 1), 1);
}

static char told(void)
{
	char what = 0;

	ck_assert_int_eq(read(report[0], &what, 1), 1);
	return what;
}

struct guest {
	struct fake_client client;
	bool quit;
};

static void user_quits(void *opaque)
{
	((struct guest *)opaque)->quit = true;
}

static size_t take_all(void *opaque)
{
	(void)opaque;
	return 64;
}

static size_t take_nothing(void *opaque)
{
	(void)opaque;
	return 0;
}

static void show(void *opaque, const uint8_t *bytes, size_t len)
{
	(void)opaque;
	ck_assert_int_eq(write(report[1], bytes, len), (ssize_t)len);
}

static void show_break(void *opaque)
{
	(void)opaque;
	tell('B');
}

static const int ending_signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE,  SIGQUIT,
				     SIGTERM, SIGINT,  SIGHUP, SIGSYS, SIGKILL, SIGUSR1};

/*
 * Neither the handlers of the test runner, nor what a shell or nohup made its jobs ignore. The
 * sanitizers' handlers stay, as the faults of a real crash would find them.
 */
static void default_signals(void)
{
	struct sigaction now;
	size_t i;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		if (!sigaction(ending_signals[i], NULL, &now) && now.sa_handler == SIG_IGN)
			signal(ending_signals[i], SIG_DFL);
}

/* The child: a console on its terminal. Runs until it is ended or the user quits. */
static _Noreturn void play(bool deaf, bool background)
{
	struct guest guest = {0};
	struct chr_options options = {.kind = CHR_STDIO};
	struct chr_user user = {.quit = user_quits, .opaque = &guest};
	struct chr_client front = {
		.can_receive = deaf ? take_nothing : take_all,
		.receive = show,
		.input_break = show_break,
		.opaque = &guest,
	};
	struct rlimit none = {0};
	struct loop *loop;
	struct chr *chr;
	int fd;

	setrlimit(RLIMIT_CORE, &none);
	default_signals();
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	if (background) {
		/* A leader that stays in the foreground, and the console in another group. */
		if (fork() > 0)
			for (;;)
				pause();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
	}
	for (fd = 0; fd < 2; fd++)
		dup2(slave, fd);
	close(slave);
	close(master);
	close(report[0]);
	if (loop_new(&loop, NULL) || chr_open(&options, loop, &user, &chr, NULL) ||
	    chr_start(chr, &front, NULL))
		_exit(3);
	tell('!');
	while (!guest.quit)
		loop_run_once(loop, -1);
	chr_close(chr);
	loop_free(loop);
	tell('.');
	exit(0);
}

static pid_t start(bool deaf)
{
	pid_t pid = fork();

	if (!pid)
		play(deaf, false);
	ck_assert_int_eq(told(), '!');
	ck_assert(!is_cooked());
	return pid;
}

static void type(const char *keys)
{
	ck_assert_int_eq(write(master, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void finish(pid_t pid)
{
	int status;

	type("\x01x");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(is_cooked());
}

START_TEST(restored_when_it_is_closed)
{
	finish(start(false));
	ck_assert_int_eq(told(), '.');
}
END_TEST

/* Those that cannot be caught, or are not, are the guard's. */
START_TEST(restored_after_a_signal)
{
	pid_t pid = start(false);
	int status;

	ck_assert_int_eq(kill(pid, ending_signals[_i]), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(status != 0);
	wait_until_cooked(true);
}
END_TEST

/* A signal for the whole group, as a shell or a terminal sends it, must spare the guard. */
START_TEST(guard_survives_its_group)
{
	pid_t pid = start(false);

	ck_assert_int_eq(kill(-pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	wait_until_cooked(true);
}
END_TEST

/* A shell that has noticed first put its own modes there. */
START_TEST(guard_leaves_other_modes_alone)
{
	struct termios other = cooked, now;
	pid_t pid = start(false);
	char byte;

	other.c_lflag &= ~(tcflag_t)ECHO;
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &other), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	/* The guard is gone once nobody holds the pipe that it inherited, too. */
	close(report[1]);
	while (read(report[0], &byte, 1) > 0)
		continue;
	usleep(50000);
	ck_assert_int_eq(tcgetattr(slave, &now), 0);
	ck_assert_uint_eq(now.c_lflag, other.c_lflag);
}
END_TEST

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	file = fopen(path, "r");
	if (file) {
		ck_assert_int_eq(fscanf(file, "%d", &child), 1);
		fclose(file);
	}
	return child;
}

/* It must not keep pipes open that somebody waits for the end of. */
START_TEST(guard_holds_no_other_descriptors)
{
	pid_t pid = start(false), guard = child_of(pid);
	char path[64];
	int fd;

	for (fd = 2; guard && fd < 64; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)guard, fd);
		ck_assert_int_lt(access(path, F_OK), 0);
	}
	finish(pid);
	ck_assert_int_eq(told(), '.');
	if (guard)
		ck_assert_int_lt(kill(guard, 0), 0);
}
END_TEST

START_TEST(keys_work_while_the_guest_takes_nothing)
{
	pid_t pid = start(true);
	char paste[3000];
	char help[512] = "";
	size_t got = 0;

	memset(paste, 'p', sizeof(paste) - 1);
	paste[sizeof(paste) - 1] = 0;
	type(paste);
	type("\x01h");
	while (!strstr(help, "end the guest")) {
		ssize_t n = read(master, help + got, sizeof(help) - 1 - got);

		if (n > 0)
			got += (size_t)n;
		usleep(1000);
	}
	finish(pid);
	ck_assert_int_eq(told(), '.');
}
END_TEST

START_TEST(keys_and_bytes_in_their_order)
{
	static const char expected[] = "a\x03"
				       "b\x01"
				       "Bc\x01";
	pid_t pid = start(false);
	size_t i;

	/* Ctrl-C goes to the guest; an unknown key after Ctrl-A goes nowhere. */
	type("a\x03"
	     "b\x01\x01"
	     "\x01"
	     "b"
	     "c"
	     "\x01z"
	     "\x01"
	     "a");
	for (i = 0; expected[i]; i++)
		ck_assert_int_eq(told(), expected[i]);
	finish(pid);
	ck_assert_int_eq(told(), '.');
}
END_TEST

START_TEST(stopped_and_continued)
{
	pid_t pid = start(false);
	int status;

	ck_assert_int_eq(kill(pid, SIGTSTP), 0);
	/* An orphaned group is not stopped by it, so one that was not stopped is as good. */
	if (waitpid(pid, &status, WUNTRACED | WNOHANG) == pid) {
		ck_assert(WIFSTOPPED(status));
		wait_until_cooked(true);
	}
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	/* A shell sets its own modes while a job is stopped, however it was stopped. */
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &cooked), 0);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	wait_until_cooked(false);
	finish(pid);
	ck_assert_int_eq(told(), '.');
}
END_TEST

START_TEST(background_job_leaves_the_terminal_alone)
{
	pid_t leader = fork();

	if (!leader)
		play(false, true);
	ck_assert_int_eq(told(), '!');
	usleep(50000);
	ck_assert(is_cooked());
	type("for the shell\n");
	usleep(400000);
	ck_assert(is_cooked());
	ck_assert_int_eq(kill(leader, SIGKILL), 0);
	ck_assert_int_eq(waitpid(leader, NULL, 0), leader);
}
END_TEST

/* The master takes no more than the console reads; the child counts what it gets. */
START_TEST(paste_of_a_megabyte_survives)
{
	size_t len = 1u << 20, put = 0, got = 0;
	char *text = malloc(len), seen[4096];
	pid_t pid = start(false);
	size_t i;

	ck_assert_ptr_nonnull(text);
	for (i = 0; i < len; i++)
		text[i] = (char)(' ' + (i * 7 + i / 95) % 95);
	fcntl(report[0], F_SETFL, O_NONBLOCK);
	while (got < len) {
		ssize_t w = put < len ? write(master, text + put, MIN(len - put, (size_t)4000)) : 0;
		ssize_t r = read(report[0], seen, sizeof(seen));

		put += w > 0 ? (size_t)w : 0;
		if (r <= 0)
			continue;
		ck_assert_int_eq(memcmp(seen, text + got, (size_t)r), 0);
		got += (size_t)r;
	}
	fcntl(report[0], F_SETFL, 0);
	finish(pid);
	ck_assert_int_eq(told(), '.');
	free(text);
}
END_TEST

TCase *terminal_case(void)
{
	TCase *tcase = tcase_create("terminal");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, restored_when_it_is_closed);
	tcase_add_loop_test(tcase, restored_after_a_signal, 0, ARRAY_SIZE(ending_signals));
	tcase_add_test(tcase, guard_survives_its_group);
	tcase_add_test(tcase, guard_leaves_other_modes_alone);
	tcase_add_test(tcase, guard_holds_no_other_descriptors);
	tcase_add_test(tcase, keys_work_while_the_guest_takes_nothing);
	tcase_add_test(tcase, keys_and_bytes_in_their_order);
	tcase_add_test(tcase, stopped_and_continued);
	tcase_add_test(tcase, background_job_leaves_the_terminal_alone);
	tcase_add_test(tcase, paste_of_a_megabyte_survives);
	return tcase;
}
