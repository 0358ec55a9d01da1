/* Who has a port: with several processes that have the same one at different addresses. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/holder.h"
#include "tests.h"

/* Listens at @address; @port 0 becomes a free one. -1: it is taken. */
static int listen_at(const char *address, unsigned *port)
{
	struct net_forward forward;
	socklen_t len = sizeof(forward.host);
	char rule[128];
	struct err e;
	int fd, on = 1;

	snprintf(rule, sizeof(rule), "tcp:%s:%u-:1", address, *port ? *port : 1);
	ck_assert_int_eq(net_forward_parse(rule, &forward, &e), 0);
	if (!*port)
		forward.host.v4.sin_port = 0; /* where IPv6 has it, too */
	fd = socket(forward.host.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	if (forward.host.any.sa_family == AF_INET6)
		ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	if (bind(fd, &forward.host.any, net_endpoint_len(&forward.host)) < 0 || listen(fd, 1) < 0) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(getsockname(fd, &forward.host.any, &len), 0);
	*port = net_endpoint_port(&forward.host);
	return fd;
}

/* A process that has @address, until it is killed; 0: somebody else has it. */
static pid_t start_holder(const char *address, unsigned port)
{
	int ready[2];
	pid_t pid;
	char c = 0;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		close(ready[0]);
		if (listen_at(address, &port) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid;
}

static void check_holder(const char *address, unsigned port, pid_t holder)
{
	char rule[64], text[NET_HOLDER_TEXT_MAX] = "", who[32];
	struct net_forward wanted;
	struct err e;

	snprintf(rule, sizeof(rule), "tcp:%s:%u-:1", address, port);
	snprintf(who, sizeof(who), "process %d (", holder);
	ck_assert_int_eq(net_forward_parse(rule, &wanted, &e), 0);
	ck_assert_int_eq(net_port_holder(&wanted, text), holder != 0);
	if (holder)
		ck_assert_msg(strstr(text, who) == text, "%s: %s", rule, text);
}

/* Each asked for has its holder, whatever else is on that port. */
START_TEST(the_address_counts)
{
	static const char *const theirs[] = {"127.0.0.2", "[::1]"};
	unsigned port = 0;
	int ours = listen_at("127.0.0.1", &port);
	pid_t pid;

	while (!(pid = start_holder(theirs[_i], port))) {
		close(ours);
		port = 0;
		ours = listen_at("127.0.0.1", &port);
	}
	check_holder("127.0.0.1", port, getpid());
	check_holder(theirs[_i], port, pid);
	check_holder("127.0.0.3", port, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ours);
}
END_TEST

/* Whoever has all addresses has each, and who asks for all may find anybody. */
START_TEST(all_addresses_are_each)
{
	static const char *const pairs[][2] = {{"0.0.0.0", "127.0.0.1"},
					       {"127.0.0.1", "0.0.0.0"},
					       {"[::]", "[::1]"},
					       {"[::1]", "[::]"}};
	unsigned port = 0;
	int fd = listen_at(pairs[_i][0], &port);

	ck_assert_int_ge(fd, 0);
	check_holder(pairs[_i][1], port, getpid());
	close(fd);
}
END_TEST

TCase *holder_cases(void)
{
	TCase *tc = tcase_create("holder");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_address_counts, 0, 2);
	tcase_add_loop_test(tc, all_addresses_are_each, 0, 4);
	return tc;
}
