/*
 * The network process: see process.h.
 *
 * It is a program of its own, next to sarang's, so that sarang neither loads nor links what parses
 * guest packets. On the thread of the network card.
 */
#include "net/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "net/holder.h"
#include "net/protocol.h"
#include "net/spawn.h"

#define WORDS_MAX   (NET_FORWARDS_MAX + 8)
#define RESOLV_CONF "/etc/resolv.conf"

/* Where it is: with sarang itself, or where a package would put it. The caller frees it. */
static char *find_program(const char *given, struct err *e)
{
	static const char *const places[] = {"", "/../libexec/sarang"};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path = NULL;
	size_t i;

	if (given)
		return strdup(given);
	self[MAX(len, 0)] = '\0';
	slash = strrchr(self, '/');
	for (i = 0; slash && i < ARRAY_SIZE(places); i++) {
		struct strbuf text = {0};

		strbuf_addf(&text, "%.*s%s/%s", (int)(slash - self), self, places[i],
			    NET_PROCESS_NAME);
		path = strbuf_take(&text);
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	err_set(e, ENOENT,
		"the program %s, which user networking needs, is not where sarang is (%.*s)",
		NET_PROCESS_NAME, slash ? (int)(slash - self) : 0, self);
	return NULL;
}

/* The configuration as the words of a command line; freed with free_words. */
static void make_words(const struct net_user_options *options, char *words[WORDS_MAX])
{
	char forward[NET_FORWARD_TEXT_MAX];
	struct strbuf text = {0};
	unsigned i, count = 0;

	words[count++] = strdup(NET_PROCESS_NAME);
	strbuf_addf(&text, "mtu=%u", options->mtu_bytes);
	words[count++] = strbuf_take(&text);
	if (options->restricted)
		words[count++] = strdup("restrict=on");
	if (options->hostname) {
		strbuf_addf(&text, "hostname=%s", options->hostname);
		words[count++] = strbuf_take(&text);
	}
	for (i = 0; i < options->forward_count; i++) {
		strbuf_addf(&text, "hostfwd=%s",
			    net_forward_format(&options->forwards[i], forward));
		words[count++] = strbuf_take(&text);
	}
	words[count] = NULL;
}

static void free_words(char *words[WORDS_MAX])
{
	unsigned i;

	for (i = 0; words[i]; i++)
		free(words[i]);
}

/* Memory for both rings; its size is sealed, or the process could have us die of touching it. */
static int make_rings(struct net_process *process, int *memory)
{
	void *rings;

	*memory = memfd_create("sarang-net", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*memory < 0 || ftruncate(*memory, sizeof(struct net_rings)) < 0 ||
	    fcntl(*memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	rings = mmap(NULL, sizeof(struct net_rings), PROT_READ | PROT_WRITE, MAP_SHARED, *memory,
		     0);
	if (rings == MAP_FAILED)
		return -errno;
	process->rings = rings;
	process->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	process->signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (process->event < 0 || process->signal < 0)
		return -errno;
	process->tx = (struct net_ring){.shared = &process->rings->from_guest,
					.signal_fd = process->signal};
	process->rx = (struct net_ring){.shared = &process->rings->to_guest,
					.signal_fd = process->signal};
	return 0;
}

static int start(struct net_process *process, const char *program, const char *const words[])
{
	int ends[2] = {-1, -1}, memory = -1, ret;

	ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
	if (!ret)
		ret = fd_set_nonblock(ends[0], true);
	if (!ret)
		ret = make_rings(process, &memory);
	if (!ret) {
		const int fds[] = {
			[NET_PROCESS_SOCKET - NET_SPAWN_SOCKET] = ends[1],
			[NET_PROCESS_RINGS - NET_SPAWN_SOCKET] = memory,
			[NET_PROCESS_EVENT - NET_SPAWN_SOCKET] = process->signal,
			[NET_PROCESS_SIGNAL - NET_SPAWN_SOCKET] = process->event,
		};

		ret = net_spawn(program, words, fds, ARRAY_SIZE(fds), &process->pid);
	}
	fd_close(&ends[1]);
	fd_close(&memory);
	process->socket = ends[0];
	if (!ret)
		process->end = pidfd_open(process->pid, 0);
	return ret;
}

int net_process_start(const struct net_user_options *options, struct net_process *process,
		      struct err *e)
{
	char *words[WORDS_MAX], *program;
	int ret;

	*process = (struct net_process){
		.socket = -1, .event = -1, .signal = -1, .asks = -1, .end = -1};
	program = find_program(options->program, e);
	if (!program)
		return -ENOENT;
	make_words(options, words);
	ret = start(process, program, (const char *const *)words);
	if (ret < 0) {
		net_process_end(process);
		err_errno(e, -ret, "cannot start the network process %s", program);
	}
	free_words(words);
	free(program);
	return ret;
}

/* The message, and the descriptor that may come with it. */
static ssize_t receive_report(struct net_process *process, struct net_report *report)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = report, .iov_len = sizeof(*report)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header;
	ssize_t len;

	do
		len = recvmsg(process->socket, &message, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)) && process->asks < 0)
		memcpy(&process->asks, CMSG_DATA(header), sizeof(int));
	return len;
}

static int explain_failure(const struct net_user_options *options, const struct net_report *report,
			   struct err *e)
{
	const struct net_forward *forward = &options->forwards[report->index];
	char end[NET_FORWARD_TEXT_MAX], holder[NET_HOLDER_TEXT_MAX];
	const char *protocol = forward->udp ? "UDP" : "TCP";
	int errnum = report->errnum > 0 ? report->errnum : EIO;

	net_endpoint_format(&forward->host, end);
	if (errnum == EADDRINUSE && net_port_holder(forward, holder))
		return err_set(e, errnum,
			       "%s port %s of the host, which hostfwd asks for, is taken: %s",
			       protocol, end, holder);
	if (errnum == EADDRINUSE)
		return err_set(e, errnum,
			       "%s port %s of the host, which hostfwd asks for, is taken by a "
			       "process that this user cannot see",
			       protocol, end);
	return err_errno(e, errnum, "cannot listen on %s port %s of the host for hostfwd", protocol,
			 end);
}

int net_process_hear(const struct net_user_options *options, struct net_process *process,
		     struct err *e)
{
	struct net_report report;
	ssize_t len = receive_report(process, &report);

	if (len == -EAGAIN)
		return -EAGAIN;
	if (len < 0)
		return err_errno(e, (int)-len, "cannot hear from the network process");
	if (len == (ssize_t)sizeof(report) && report.kind == NET_REPORT_READY)
		return 0;
	if (len == (ssize_t)sizeof(report) && report.kind == NET_REPORT_FAILED &&
	    report.index < options->forward_count)
		return explain_failure(options, &report, e);
	return err_set(e, EPROTO, "the network process %s could not begin", NET_PROCESS_NAME);
}

int net_process_end(struct net_process *process)
{
	fd_close(&process->socket);
	fd_close(&process->asks);
	fd_close(&process->end);
	fd_close(&process->event);
	fd_close(&process->signal);
	if (process->rings)
		munmap(process->rings, sizeof(*process->rings));
	process->rings = NULL;
	return net_spawn_end(&process->pid);
}

void net_process_answer(struct net_process *process)
{
	struct seccomp_notif request = {0};
	struct seccomp_notif_addfd give = {
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.newfd_flags = O_CLOEXEC,
	};
	struct seccomp_notif_resp refuse = {.error = -EACCES};
	int fd;

	/* It may have given up meanwhile, or be gone. */
	if (ioctl(process->asks, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return;
	fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	give.id = refuse.id = request.id;
	give.srcfd = (uint32_t)fd;
	if (fd < 0 || ioctl(process->asks, SECCOMP_IOCTL_NOTIF_ADDFD, &give) < 0)
		(void)ioctl(process->asks, SECCOMP_IOCTL_NOTIF_SEND, &refuse);
	fd_close(&fd);
}
