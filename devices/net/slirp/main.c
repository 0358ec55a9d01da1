/*
 * sarang-slirp: the process behind user networking. sarang starts it (net/process.c) and speaks
 * with it over descriptor 3 (net/protocol.h); nobody else has a use for it.
 *
 * Its words are settings of `--net user`, as users write them: mtu=N, hostname=NAME, restrict=on,
 * hostfwd=... First it listens on the ports that the user named, while it still may; then it gives
 * up all it can (sandbox.c), says that it is ready, and serves until sarang closes the socket.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/protocol.h"
#include "sandbox.h"
#include "stack.h"

static bool take_word(const char *word, struct net_user_options *options)
{
	struct err e;

	if (!strncmp(word, "mtu=", 4))
		options->mtu_bytes = (uint16_t)strtoul(word + 4, NULL, 10);
	else if (!strncmp(word, "hostname=", 9))
		options->hostname = word + 9;
	else if (!strcmp(word, "restrict=on"))
		options->restricted = true;
	else if (!strncmp(word, "hostfwd=", 8) && options->forward_count < NET_FORWARDS_MAX)
		return !net_forward_parse(word + 8, &options->forwards[options->forward_count++],
					  &e);
	else
		return false;
	return true;
}

/* Says @report, and passes @fd with it unless that is -1. */
static void say(const struct net_report *report, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {
			     .cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int)),
		     }};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)report, .iov_len = sizeof(*report)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	(void)sendmsg(NET_PROCESS_SOCKET, &message, MSG_NOSIGNAL);
}

static int listen_on_ports(struct stack *stack, const struct net_user_options *options)
{
	struct net_report report = {.kind = NET_REPORT_FAILED};
	unsigned i;
	int ret = 0;

	for (i = 0; i < options->forward_count && !ret; i++) {
		ret = stack_forward(stack, &options->forwards[i]);
		report.index = (uint8_t)i;
	}
	report.errnum = -ret;
	if (ret < 0)
		say(&report, -1);
	return ret;
}

/* Takes up what sarang has left at our descriptors. */
static bool open_link(struct stack_link *link)
{
	struct net_rings *rings = mmap(NULL, sizeof(*rings), PROT_READ | PROT_WRITE, MAP_SHARED,
				       NET_PROCESS_RINGS, 0);

	if (rings == MAP_FAILED)
		return false;
	close(NET_PROCESS_RINGS);
	*link = (struct stack_link){
		.socket = NET_PROCESS_SOCKET,
		.event = NET_PROCESS_EVENT,
		.from_guest = {.shared = &rings->from_guest, .signal_fd = NET_PROCESS_SIGNAL},
		.to_guest = {.shared = &rings->to_guest, .signal_fd = NET_PROCESS_SIGNAL},
	};
	return true;
}

int main(int argc, char **argv)
{
	static const struct net_report ready = {.kind = NET_REPORT_READY};
	struct net_user_options options = {.mtu_bytes = NET_USER_MTU_DEFAULT};
	struct stack_link link;
	struct stack *stack;
	struct err e;
	int type, asks, i;
	socklen_t len = sizeof(type);

	/* libslirp writes to connections that the other end has closed. */
	signal(SIGPIPE, SIG_IGN);
	/* What a library says on standard error may meet the limit on files. */
	signal(SIGXFSZ, SIG_IGN);
	for (i = 1; i < argc; i++)
		if (!take_word(argv[i], &options))
			break;
	if (i < argc || getsockopt(NET_PROCESS_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET) {
		fputs("sarang-slirp is a part of sarang, which starts it for --net user\n", stderr);
		return EXIT_FAILURE;
	}
	stack = open_link(&link) ? stack_new(&options, &link) : NULL;
	if (!stack || listen_on_ports(stack, &options) < 0)
		return EXIT_FAILURE;
	if (sandbox_enter(&asks, &e) < 0) {
		fprintf(stderr, "sarang: %s\n", e.text);
		return EXIT_FAILURE;
	}
	say(&ready, asks);
	if (asks >= 0)
		close(asks);
	stack_run(stack);
	/* Nothing is left to tidy up, and little is allowed. */
	quick_exit(EXIT_SUCCESS);
}
