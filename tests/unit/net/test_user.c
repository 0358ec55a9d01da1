/* User networking with the real network process: it answers, is replaced, and says what is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frames.h"
#include "front.h"
#include "net/user.h"
#include "tests.h"

#define BURST 150

static int open_user(struct net_user_options *user)
{
	const struct net_options options = {.kind = NET_USER, .id = "net0", .user = user};

	user->mtu_bytes = NET_USER_MTU_DEFAULT;
	if (!user->program)
		user->program = SLIRP_PROGRAM;
	return front_open(&options);
}

static int start_user(struct net_user_options *user)
{
	ck_assert_msg(!open_user(user), "%s", front.e.text);
	return front_start();
}

/* Asks who has 10.0.2.2 (RFC 826): the gateway answers. */
static void ask_for_gateway(void)
{
	static const uint8_t request[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0,  0, 1, /* Ethernet */
		0x08, 0x06, 0,    1,    0x08, 0,    6,    4,    0, 1,        /* ARP request */
		0x52, 0x54, 0,    0,    0,    1,    10,   0,    2, 15,       /* from */
		0,    0,    0,    0,    0,    0,    10,   0,    2, 2,        /* for */
	};

	/* Before the process is ready the frame has to wait. */
	front_send(request, sizeof(request));
	front_receive();
}

/* 1: a request, 2: a reply. */
static bool is_arp(uint8_t operation)
{
	return front.len >= 42 && front.frame[12] == 8 && front.frame[13] == 6 &&
	       front.frame[21] == operation;
}

static bool is_arp_reply(void)
{
	return is_arp(2) && !memcmp(front.frame + 28, (uint8_t[]){10, 0, 2, 2}, 4);
}

START_TEST(the_gateway_answers)
{
	struct net_user_options user = {0};
	unsigned i;

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	/* It advertises itself as an IPv6 router, too. */
	for (i = 0; i < 5; i++) {
		ask_for_gateway();
		if (is_arp_reply())
			break;
	}
	ck_assert(is_arp_reply());
	front_close();
}
END_TEST

/* A TCP segment with these flags. */
static bool is_segment(uint8_t flags)
{
	return front.len >= 54 && front.frame[12] == 8 && front.frame[13] == 0 &&
	       front.frame[23] == 6 && (front.frame[47] & 0x3f) == flags;
}

/* A datagram of these four @bytes. */
static bool is_datagram(const char *bytes)
{
	return front.len >= 46 && front.frame[12] == 8 && front.frame[23] == 17 &&
	       !memcmp(front.frame + 42, bytes, 4);
}

static int open_host_socket(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*at);

	*at = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_int_eq(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/* Also when it is the first that the process sees: what it opens then has to last. */
START_TEST(a_first_datagram_is_answered)
{
	struct net_user_options user = {0};
	struct sockaddr_in at;
	int fd = open_host_socket(&at);
	socklen_t len = sizeof(at);
	uint8_t frame[46], got[8];

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	frame_make_datagram(frame, ntohs(at.sin_port), "ping");
	front_send(frame, sizeof(frame));
	ck_assert_int_eq(recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&at, &len), 4);
	/* The process looks at its sockets again before it answers who has our address. */
	ask_for_gateway();
	ck_assert_int_eq(sendto(fd, "pong", 4, 0, (struct sockaddr *)&at, len), 4);
	while (!is_datagram("pong"))
		front_receive();
	front_close();
	close(fd);
}
END_TEST

/* More than are sent or read at once, in both directions. */
START_TEST(many_datagrams_keep_their_order)
{
	struct net_user_options user = {0};
	struct sockaddr_in at;
	int fd = open_host_socket(&at), i;
	socklen_t len = sizeof(at);
	char text[16], got[8] = "";
	uint8_t frame[46];

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	for (i = 0; i < BURST; i++) {
		snprintf(text, sizeof(text), "%04d", i);
		frame_make_datagram(frame, ntohs(at.sin_port), text);
		front_send(frame, sizeof(frame));
	}
	for (i = 0; i < BURST; i++) {
		ck_assert_int_eq(recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&at, &len),
				 4);
		ck_assert_int_eq(atoi(got), i);
	}
	ask_for_gateway();
	for (i = 0; i < BURST; i++) {
		snprintf(text, sizeof(text), "%04d", i);
		ck_assert_int_eq(sendto(fd, text, 4, 0, (struct sockaddr *)&at, len), 4);
	}
	for (i = 0; i < BURST; i++) {
		snprintf(text, sizeof(text), "%04d", i);
		do {
			front_receive();
		} while (front.frame[23] != 17);
		ck_assert_msg(is_datagram(text), "%s is missing", text);
	}
	front_close();
	close(fd);
}
END_TEST

/* Those that libslirp is to call instead of the C library's (datagrams.c) can be found by it. */
static const char *const own_functions[] = {"sendto", "setsockopt", "recvfrom", "ioctl", "recvmsg"};

START_TEST(the_process_has_its_own_functions)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "readelf --dyn-syms --wide '%s' | grep -Eq ' GLOBAL +DEFAULT +[0-9]+ %s$'",
		 SLIRP_PROGRAM, own_functions[_i]);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* As hostfwd= does itself: what two sockets both say may be shared. */
static int take_port(int type, uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = sizeof(at);

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

/* With a port of @type forwarded that was free a moment ago. */
static int start_forwarded(struct net_user_options *user, int type, uint16_t *port)
{
	char rule[64];

	close(take_port(type, port));
	snprintf(rule, sizeof(rule), "%s::%u-:80", type == SOCK_DGRAM ? "udp" : "tcp", *port);
	ck_assert_int_eq(net_forward_parse(rule, &user->forwards[0], &front.e), 0);
	user->forward_count = 1;
	return start_user(user);
}

/* What libslirp does for connections is allowed: out, and through a forwarded port in. */
START_TEST(connections_are_made)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct net_user_options user = {0};
	uint16_t port, forwarded;
	int fd = take_port(SOCK_STREAM, &port), client, ret;
	uint8_t frame[60];

	while ((ret = start_forwarded(&user, SOCK_STREAM, &forwarded)) == -EADDRINUSE)
		front_close();
	ck_assert_msg(!ret, "%s", front.e.text);
	/* It then knows our address. */
	ask_for_gateway();
	frame_make_syn(frame, port);
	front_send(frame, sizeof(frame));
	while (!is_segment(0x12))
		front_receive();
	close(accept(fd, NULL, NULL));
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_port = htons(forwarded);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	while (!is_segment(0x02))
		front_receive();
	ck_assert_uint_eq(front.downs, 0);
	front_close();
	close(client);
	close(fd);
}
END_TEST

static bool asks_for_us(void)
{
	return is_arp(1) && !memcmp(front.frame + 38, (uint8_t[]){10, 0, 2, 15}, 4);
}

/* To an address that libslirp does not know yet, as after its process was replaced. It waits there
 * for an answer to ARP, and not longer: the next round may be a second away, and it be lost then.
 */
START_TEST(a_datagram_that_waited_for_an_address_comes)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct net_user_options user = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;
	uint16_t port;

	while ((ret = start_forwarded(&user, SOCK_DGRAM, &port)) == -EADDRINUSE)
		front_close();
	ck_assert_msg(!ret, "%s", front.e.text);
	at.sin_port = htons(port);
	ck_assert_int_eq(sendto(fd, "ping", 4, 0, (struct sockaddr *)&at, sizeof(at)), 4);
	while (!asks_for_us())
		front_receive();
	frame_answer_arp(front.frame);
	front_send(front.frame, 42);
	while (!is_datagram("ping"))
		front_receive();
	front_close();
	close(fd);
}
END_TEST

/* The process of this test that sarang-slirp is: there is but one. */
static pid_t find_child(void)
{
	char path[64];
	FILE *list;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	list = fopen(path, "re");
	if (!list || fscanf(list, "%d", &pid) != 1)
		pid = 0;
	if (list)
		fclose(list);
	return pid;
}

START_TEST(a_killed_process_is_replaced)
{
	struct net_user_options user = {0};
	unsigned i;
	pid_t pid;

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	pid = find_child();
	ck_assert_int_gt(pid, 0);
	front.room = true;
	net_rx_resume(front.net);
	kill(pid, SIGKILL);
	front_run_until(&front.downs, 1, "the link to go down");
	front_run_until(&front.ups, 1, "the link to come up");
	ck_assert_int_ne(find_child(), pid);
	for (i = 0; i < 5; i++) {
		ask_for_gateway();
		if (is_arp_reply())
			break;
	}
	ck_assert(is_arp_reply());
	front_close();
	ck_assert_int_eq(find_child(), 0);
}
END_TEST

/* Whether or not it has said that it is ready: what waited for it is let go, and so is the next. */
START_TEST(a_process_killed_at_once_is_replaced)
{
	struct net_user_options user = {0};
	struct net_header header = {0};
	uint8_t frame[60] = {0};
	struct iovec iov[2] = {{&header, sizeof(header)}, {frame, sizeof(frame)}};
	unsigned i;

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(net_tx(front.net, iov, 2), i == 1 ? NET_TX_BUSY : NET_TX_DONE);
		kill(find_child(), SIGKILL);
		front_run_until(&front.downs, i, "the link to go down");
		front_run_until(&front.ups, i, "the link to come up");
	}
	ck_assert_uint_ge(front.ready, 1);
	ask_for_gateway();
	front_close();
	ck_assert_int_eq(find_child(), 0);
}
END_TEST

/* What a connection brings that its client has closed while the guest was sending. */
START_TEST(a_broken_pipe_is_survived)
{
	struct net_user_options user = {0};
	pid_t pid;

	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	ask_for_gateway();
	pid = find_child();
	kill(pid, SIGPIPE);
	ask_for_gateway();
	ask_for_gateway();
	ck_assert_int_eq(find_child(), pid);
	ck_assert_uint_eq(front.downs, 0);
	front_close();
}
END_TEST

static const struct {
	int type;
	const char *protocol;
} taken[] = {{SOCK_STREAM, "tcp"}, {SOCK_DGRAM, "udp"}};

START_TEST(a_taken_port_names_its_holder)
{
	struct net_user_options user = {.forward_count = 1};
	char rule[64], who[32];
	uint16_t port;
	int fd = take_port(taken[_i].type, &port);

	snprintf(rule, sizeof(rule), "%s::%u-:80", taken[_i].protocol, port);
	ck_assert_int_eq(net_forward_parse(rule, &user.forwards[0], &front.e), 0);
	ck_assert_int_eq(start_user(&user), -EADDRINUSE);
	snprintf(who, sizeof(who), "process %d (", getpid());
	ck_assert_msg(strstr(front.e.text, who) != NULL, "%s", front.e.text);
	front_close();
	close(fd);
}
END_TEST

/* What an older run has captured is emptied by a run that begins only. */
START_TEST(a_taken_port_leaves_the_old_capture)
{
	struct net_user_options user = {.forward_count = 1,
					.mtu_bytes = NET_USER_MTU_DEFAULT,
					.program = SLIRP_PROGRAM};
	char path[] = "/tmp/sarang-capture-XXXXXX", rule[64], old[8];
	const struct net_options options = {
		.kind = NET_USER, .id = "net0", .user = &user, .capture = path, .cards = 1};
	int fd = mkstemp(path), taken_fd;
	uint16_t port;

	ck_assert_int_eq(write(fd, "old", 4), 4);
	taken_fd = take_port(SOCK_STREAM, &port);
	snprintf(rule, sizeof(rule), "tcp::%u-:80", port);
	ck_assert_int_eq(net_forward_parse(rule, &user.forwards[0], &front.e), 0);
	ck_assert_int_eq(front_open(&options), 0);
	ck_assert_int_eq(front_start(), -EADDRINUSE);
	front_close();
	ck_assert_int_eq(pread(fd, old, sizeof(old), 0), 4);
	ck_assert_str_eq(old, "old");
	/* And one that begins does empty it. */
	user.forward_count = 0;
	ck_assert_int_eq(front_open(&options), 0);
	ck_assert_msg(!front_start(), "%s", front.e.text);
	ck_assert_int_gt(pread(fd, old, sizeof(old), 0), 4);
	front_close();
	close(taken_fd);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(a_missing_program_is_named)
{
	struct net_user_options user = {.program = "/nonesuch/sarang-slirp"};

	ck_assert_int_lt(open_user(&user), 0);
	ck_assert_ptr_nonnull(strstr(front.e.text, "/nonesuch/sarang-slirp"));
	loop_free(front.loop);
}
END_TEST

/* A program that ends at once, without a word: a sentence, not a hang. */
START_TEST(a_process_that_does_not_begin)
{
	struct net_user_options user = {.program = "/bin/true", .forward_count = 1};

	ck_assert_int_eq(net_forward_parse("tcp::1-:1", &user.forwards[0], &front.e), 0);
	ck_assert_int_lt(start_user(&user), 0);
	ck_assert_ptr_nonnull(strstr(front.e.text, "could not begin"));
	front_close();
}
END_TEST

static void make_link(const char *path, const char *to)
{
	unlink(path);
	ck_assert(!symlink(to, path));
}

/* It sleeps instead. Whoever comes in its place is the right one. */
START_TEST(a_process_that_hangs_is_replaced)
{
	struct net_user_options user = {.begin_max_ms = 1000};
	char folder[] = "/tmp/sarang-test-XXXXXX", sleeper[64], program[64];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(sleeper, sizeof(sleeper), "%s/sleeper", folder);
	snprintf(program, sizeof(program), "%s/program", folder);
	file = fopen(sleeper, "w");
	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\nexec sleep 1000\n", file);
	fclose(file);
	ck_assert(!chmod(sleeper, 0700));
	make_link(program, sleeper);
	user.program = program;
	ck_assert_msg(!start_user(&user), "%s", front.e.text);
	front_run_until(&front.downs, 1, "the link to go down");
	make_link(program, SLIRP_PROGRAM);
	front_run_until(&front.ups, 1, "the link to come up");
	ask_for_gateway();
	front_close();
	ck_assert_int_eq(find_child(), 0);
	unlink(program);
	unlink(sleeper);
	ck_assert(!rmdir(folder));
}
END_TEST

TCase *user_cases(void)
{
	TCase *tc = tcase_create("user");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_gateway_answers);
	tcase_add_test(tc, a_first_datagram_is_answered);
	tcase_add_test(tc, many_datagrams_keep_their_order);
	tcase_add_loop_test(tc, the_process_has_its_own_functions, 0,
			    sizeof(own_functions) / sizeof(*own_functions));
	tcase_add_test(tc, connections_are_made);
	tcase_add_test(tc, a_datagram_that_waited_for_an_address_comes);
	tcase_add_test(tc, a_killed_process_is_replaced);
	tcase_add_test(tc, a_process_killed_at_once_is_replaced);
	tcase_add_test(tc, a_broken_pipe_is_survived);
	tcase_add_loop_test(tc, a_taken_port_names_its_holder, 0, sizeof(taken) / sizeof(*taken));
	tcase_add_test(tc, a_taken_port_leaves_the_old_capture);
	tcase_add_test(tc, a_missing_program_is_named);
	tcase_add_test(tc, a_process_that_does_not_begin);
	tcase_add_test(tc, a_process_that_hangs_is_replaced);
	return tc;
}
