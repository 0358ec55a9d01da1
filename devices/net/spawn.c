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

#include "base/strbuf.h"

static void set_files(posix_spawn_file_actions_t *files, int socket)
{
	posix_spawn_file_actions_adddup2(files, socket, NET_SPAWN_SOCKET);
	posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(files, STDIN_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(files, NET_SPAWN_SOCKET + 1);
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

int net_spawn(const char *program, const char *const words[], int socket, pid_t *pid)
{
	char *library_path = getenv("LD_LIBRARY_PATH"), *environment[2] = {NULL, NULL};
	struct strbuf variable = {0};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	int ret;

	if (library_path) {
		strbuf_addf(&variable, "LD_LIBRARY_PATH=%s", library_path);
		environment[0] = variable.data;
	}
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	set_files(&files, socket);
	set_attributes(&attributes);
	ret = posix_spawnp(pid, program, &files, &attributes, (char *const *)(uintptr_t)words,
			   environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	strbuf_free(&variable);
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
