/* What a network process that a guest has taken over may still do: each in a child that has entered
 * the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/protocol.h"
#include "net/slirp/sandbox.h"
#include "tests.h"

static int shared_fd, zero; /* an eventfd that sarang has as well */

/* With the next two: whoever the descriptor belongs to is killed when it becomes ready. */
static int signals_another_process(void)
{
	return fcntl(shared_fd, F_SETOWN, getppid());
}

static int chooses_a_signal(void)
{
	return fcntl(shared_fd, F_SETSIG, SIGKILL);
}

static int asks_for_signals(void)
{
	return fcntl(shared_fd, F_SETFL, O_NONBLOCK | O_ASYNC);
}

/* Sarang has the other end of the same description, and would wait. */
static int makes_it_block(void)
{
	return fcntl(shared_fd, F_SETFL, 0);
}

static int makes_it_block_otherwise(void)
{
	return ioctl(shared_fd, FIONBIO, &zero);
}

static int makes_a_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* Sarang's other end of it would be nothing to see, the file is. */
static int names_its_socket(void)
{
	const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/nonesuch/socket"};

	return bind(NET_PROCESS_SOCKET, (const struct sockaddr *)&at, sizeof(at));
}

/* Standard error may be the user's terminal, open for both. */
static int reads_the_terminal(void)
{
	return (int)read(STDERR_FILENO, &zero, 0);
}

static int reads_the_terminal_by_another_number(void)
{
	return (int)syscall(SYS_read, 1L << 32 | STDERR_FILENO, &zero, 0L);
}

static int reads_the_terminal_in_pieces(void)
{
	return (int)readv(STDERR_FILENO, &(struct iovec){&zero, 0}, 1);
}

static int changes_how_the_terminal_is_read(void)
{
	return fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
}

static int (*const refused[])(void) = {
	signals_another_process,
	chooses_a_signal,
	asks_for_signals,
	makes_it_block,
	makes_it_block_otherwise,
	makes_a_unix_socket,
	names_its_socket,
	reads_the_terminal,
	reads_the_terminal_by_another_number,
	reads_the_terminal_in_pieces,
	changes_how_the_terminal_is_read,
};

/* What libslirp does with each of its sockets. */
static int makes_a_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), n, flags = fcntl(fd, F_GETFL);

	if (fd < 0 || fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || close(fd) < 0)
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	return ioctl(fd, FIONREAD, &n);
}

/* The exit status of a child that tries @action: 0 it could, else the error. */
static int try(int (*action)(void))
{
	pid_t pid = fork();
	int status, asks;
	struct err e;

	if (!pid) {
		if (sandbox_enter(&asks, &e) < 0)
			_exit(255);
		_exit(action() < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void set_up(void)
{
	shared_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(shared_fd, 0);
}

static void tear_down(void)
{
	close(shared_fd);
}

START_TEST(what_harms_others_is_refused)
{
	ck_assert_int_eq(try(refused[_i]), EPERM);
	ck_assert(fcntl(shared_fd, F_GETFL) & O_NONBLOCK);
}
END_TEST

START_TEST(what_sockets_need_is_allowed)
{
	ck_assert_int_eq(try(makes_a_socket), 0);
}
END_TEST

TCase *sandbox_cases(void)
{
	TCase *tc = tcase_create("sandbox");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, what_harms_others_is_refused, 0,
			    sizeof(refused) / sizeof(*refused));
	tcase_add_test(tc, what_sockets_need_is_allowed);
	return tc;
}
