/* User networking with the real network process: it answers, is replaced, and says what is wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "net/user.h"
#include "tests.h"

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

static bool is_arp_reply(void)
{
	return front.len >= 42 && front.frame[12] == 8 && front.frame[13] == 6 &&
	       front.frame[21] == 2 && !memcmp(front.frame + 28, (uint8_t[]){10, 0, 2, 2}, 4);
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

START_TEST(a_taken_port_names_its_holder)
{
	struct net_user_options user = {.forward_count = 1};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(at);
	char rule[64], who[32];

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(rule, sizeof(rule), "tcp::%u-:80", ntohs(at.sin_port));
	ck_assert_int_eq(net_forward_parse(rule, &user.forwards[0], &front.e), 0);
	ck_assert_int_eq(start_user(&user), -EADDRINUSE);
	snprintf(who, sizeof(who), "process %d (", getpid());
	ck_assert_msg(strstr(front.e.text, who) != NULL, "%s", front.e.text);
	front_close();
	close(fd);
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

TCase *user_cases(void)
{
	TCase *tc = tcase_create("user");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_gateway_answers);
	tcase_add_test(tc, a_killed_process_is_replaced);
	tcase_add_test(tc, a_broken_pipe_is_survived);
	tcase_add_test(tc, a_taken_port_names_its_holder);
	tcase_add_test(tc, a_missing_program_is_named);
	tcase_add_test(tc, a_process_that_does_not_begin);
	return tc;
}
