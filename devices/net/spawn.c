/* Starting the program at the other end of a network card's socket: see spawn.h. posix_spawn makes
 * no copy of our page tables, which may describe many gigabytes of guest memory. */
#include "net/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strbuf.h"

/* Out of the way of the numbers that they are to get. */
static int lift(const int *fds, unsigned count, int lifted[NET_SPAWN_MAX])
{
	unsigned i;

	for (i = 0; i < count; i++) {
		lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, NET_SPAWN_SOCKET + NET_SPAWN_MAX);
		if (lifted[i] < 0)
			return -errno;
	}
	return 0;
}

static void set_files(posix_spawn_file_actions_t *files, const int *fds, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		posix_spawn_file_actions_adddup2(files, fds[i], NET_SPAWN_SOCKET + (int)i);
	posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(files, STDIN_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(files, NET_SPAWN_SOCKET + (int)count);
}

/* Signals as by default. */
static void set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						     POSIX_SPAWN_SETSID);
}

int net_spawn(const char *program, const char *const words[], const int *fds, unsigned count,
	      pid_t *pid)
{
	char *library_path = getenv("LD_LIBRARY_PATH"), *environment[2] = {NULL, NULL};
	struct strbuf variable = {0};
	posix_spawn_file_actions_t files;
	int lifted[NET_SPAWN_MAX] = {-1, -1, -1, -1, -1, -1, -1, -1}, ret;
	posix_spawnattr_t attributes;
	unsigned i;

	if (library_path) {
		strbuf_addf(&variable, "LD_LIBRARY_PATH=%s", library_path);
		environment[0] = variable.data;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	ret = -lift(fds, count, lifted);
	set_files(&files, lifted, count);
	set_attributes(&attributes);
	if (!ret)
		ret = posix_spawnp(pid, program, &files, &attributes,
				   (char *const *)(uintptr_t)words, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	strbuf_free(&variable);
	for (i = 0; i < count; i++)
		fd_close(&lifted[i]);
	if (ret)
		*pid = 0;
	return -ret;
}

int net_spawn_end(pid_t *pid)
{
	int status = 0;

	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
	return status;
}

const char *net_spawn_status(int status, char *text, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(text, len, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, len, "exit status %d", WEXITSTATUS(status));
	return text;
}
