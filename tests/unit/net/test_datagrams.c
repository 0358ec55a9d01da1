/*
 * Datagrams by the dozen: a program of its own, as sendto(2) and its like are the tested ones here.
 * Whatever is kept, cut and handed out one by one, the kernel's socket at the other end and the
 * reader at this one see what they would see without it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"
#include "ends.h"
#include "net/slirp/datagrams.h"
#include "unit.h"

#define OWN   10 /* more than there are boxes */
#define PEERS 3

static struct end own[OWN], peers[PEERS];
static int sent_flags; /* of the last sendmsg */

/* Before the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	sent_flags = flags;
	return syscall(SYS_sendmsg, fd, message, flags);
}

static void set_up(void)
{
	unsigned i;

	end_seed = unit_seed();
	for (i = 0; i < OWN; i++)
		end_open(&own[i]);
	for (i = 0; i < PEERS; i++)
		end_open(&peers[i]);
}

static void tear_down(void)
{
	unsigned i;

	datagrams_send();
	for (i = 0; i < OWN; i++)
		end_close(&own[i]);
	for (i = 0; i < PEERS; i++)
		close(peers[i].fd);
}

static size_t any_len(void)
{
	static const size_t usual[] = {0, 1, 100, 1400, 1400, 1400, 1400, 1399, 8000, 32000};

	return unit_random(&end_seed) % 8 ? usual[unit_random(&end_seed) % ARRAY_SIZE(usual)]
					  : unit_random(&end_seed) % 33000;
}

/* Mostly the same again, as a stream is. */
static unsigned any_of(unsigned *last, unsigned count)
{
	if (unit_random(&end_seed) % 4 == 0)
		*last = (unsigned)(unit_random(&end_seed) % count);
	return *last;
}

static void set_hops(struct end *end)
{
	int hops = 60 + (int)(unit_random(&end_seed) % 3);

	ck_assert(!setsockopt(end->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)));
	end->hops = hops;
}

/* A frame's worth of what libslirp does, some times over. */
START_TEST(what_is_sent_arrives)
{
	unsigned round, i, from = 0, to = 0;
	size_t len = 1400;

	for (round = 0; round < 300; round++) {
		datagrams_gather();
		for (i = 0; i < 40; i++) {
			if (unit_random(&end_seed) % 4 == 0)
				len = any_len();
			if (!end_has_room(&peers[any_of(&to, PEERS)], len))
				continue;
			if (unit_random(&end_seed) % 4)
				set_hops(&own[any_of(&from, OWN)]);
			end_send(&own[from], &peers[to], len);
			/* Then what it has sent is sent. */
			if (unit_random(&end_seed) % 50 == 0)
				datagrams_forget(own[from].fd);
		}
		datagrams_send();
		for (i = 0; i < PEERS; i++)
			end_read_as_host(&peers[i]);
	}
}
END_TEST

START_TEST(what_arrives_is_read)
{
	unsigned i, from = 0, to = 0;

	for (i = 0; i < 20000; i++) {
		struct end *end = &own[any_of(&to, OWN)];
		size_t len = any_len();

		if (unit_random(&end_seed) % 2)
			end_read_as_libslirp(end);
		else if (end_has_room(end, len))
			end_send(&peers[any_of(&from, PEERS)], end, len);
	}
	for (i = 0; i < OWN; i++)
		while (end_queued(&own[i]))
			end_read_as_libslirp(&own[i]);
	ck_assert(!datagrams_wait_anywhere());
}
END_TEST

static unsigned arrived(int fd)
{
	unsigned count = 0;

	while (recvmsg(fd, &(struct msghdr){0}, 0) >= 0)
		count++;
	return count;
}

/* The first of each round goes at once, to hear what is wrong; others wait for the end. */
START_TEST(datagrams_are_gathered)
{
	unsigned i;

	datagrams_gather();
	for (i = 0; i < 10; i++)
		end_send(&own[0], &peers[0], 1400);
	ck_assert_uint_eq(arrived(peers[0].fd), 1);
	datagrams_send();
	ck_assert_uint_eq(arrived(peers[0].fd), 9);
	end_send(&own[0], &peers[0], 1400);
	ck_assert_uint_eq(arrived(peers[0].fd), 1);
	datagrams_gather();
	end_send(&own[0], &peers[0], 1400);
	ck_assert_uint_eq(arrived(peers[0].fd), 1);
	end_send(&own[0], &peers[0], 1400);
	/* It closes the box: what is cut has one size, but for the last. */
	end_send(&own[0], &peers[0], 99);
	ck_assert_uint_eq(arrived(peers[0].fd), 2);
}
END_TEST

/* The kernel cuts nothing where it does not compute checksums (udp_send_skb). */
START_TEST(a_kernel_that_does_not_cut_gets_each)
{
	unsigned i;
	int on = 1;

	ck_assert(!setsockopt(own[0].fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)));
	/* Of IPv6 a datagram without a checksum is lost unless its receiver says otherwise. */
	ck_assert(!setsockopt(own[0].fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, &on, sizeof(on)));
	ck_assert(!setsockopt(peers[0].fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, &on, sizeof(on)));
	datagrams_gather();
	for (i = 0; i < 10; i++)
		end_send(&own[0], &peers[0], 1400);
	datagrams_send();
	end_read_as_host(&peers[0]);
}
END_TEST

/* What waited for a socket is not the next one's of that number. */
START_TEST(a_closed_socket_is_forgotten)
{
	unsigned i;
	int fd;

	for (i = 0; i < 5; i++)
		end_send(&peers[0], &own[0], 100);
	end_read_as_libslirp(&own[0]);
	ck_assert(datagrams_wait(own[0].fd));
	fd = own[0].fd;
	end_close(&own[0]);
	ck_assert(!datagrams_wait_anywhere());
	end_open(&own[0]);
	ck_assert_int_eq(own[0].fd, fd);
	end_read_as_libslirp(&own[0]);
	end_send(&peers[0], &own[0], 99);
	end_read_as_libslirp(&own[0]);
}
END_TEST

/* One that comes after poll(2) is told by the next, and nothing else of it. */
START_TEST(errors_are_told_once)
{
	struct sockaddr_in6 nobody = own[1].at;
	struct pollfd fd = {.fd = own[0].fd};
	struct msghdr none = {0};
	int there, on = 1;

	ck_assert(!setsockopt(own[0].fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)));
	end_close(&own[1]);
	ck_assert_int_eq(sendto(own[0].fd, "?", 1, 0, (struct sockaddr *)&nobody, sizeof(nobody)),
			 1);
	ck_assert_int_eq(poll(&fd, 1, -1), 1);
	datagrams_ready(own[0].fd, POLLIN);
	ck_assert_int_lt(recvmsg(own[0].fd, &none, MSG_ERRQUEUE), 0);
	ck_assert_int_lt(ioctl(own[0].fd, FIONREAD, &there), 0);
	ck_assert_int_eq(errno, ECONNREFUSED);
	ck_assert_int_eq(poll(&fd, 1, 0), 1);
	datagrams_ready(own[0].fd, fd.revents);
	ck_assert_int_ge(recvmsg(own[0].fd, &none, MSG_ERRQUEUE), 0);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	end_open(&own[1]);
	end_send(&peers[0], &own[0], 100);
	end_read_as_libslirp(&own[0]);
}
END_TEST

/* Where poll(2) has seen one, nothing is read that would swallow it. */
START_TEST(errors_that_were_seen_are_left)
{
	struct sockaddr_in6 nobody = own[1].at;
	int there;

	end_close(&own[1]);
	ck_assert(!connect(own[0].fd, (struct sockaddr *)&nobody, sizeof(nobody)));
	ck_assert_int_eq(send(own[0].fd, "?", 1, 0), 1);
	datagrams_ready(own[0].fd, POLLIN | POLLERR);
	ck_assert(!ioctl(own[0].fd, FIONREAD, &there));
	ck_assert_int_lt(recvfrom(own[0].fd, end_got, sizeof(end_got), 0, NULL, NULL), 0);
	ck_assert_int_eq(errno, ECONNREFUSED);
	end_open(&own[1]);
}
END_TEST

START_TEST(the_longest_pass)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		datagrams_gather();
		end_send(&own[0], &peers[0], END_LEN_MAX - i);
		end_send(&own[0], &peers[0], END_LEN_MAX - i);
		datagrams_send();
		end_read_as_host(&peers[0]);
		end_send(&peers[0], &own[0], END_LEN_MAX - i);
		end_read_as_libslirp(&own[0]);
	}
	datagrams_gather();
	/* Two at a time: what one has too much of would be the other's. */
	for (i = 0; i < 10; i++)
		end_send(&own[i % 2], &peers[i % 2], 30000);
	datagrams_send();
	end_read_as_host(&peers[0]);
	end_read_as_host(&peers[1]);
}
END_TEST

/* A reader with less room than that gets what fits, and who it was. */
START_TEST(a_long_one_is_cut_for_its_reader)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	int there;

	end_send(&peers[0], &own[0], 1000);
	end_send(&peers[1], &own[0], 10);
	ck_assert(!ioctl(own[0].fd, FIONREAD, &there));
	memset(end_got, 0xee, sizeof(end_got));
	ck_assert_int_eq(recvfrom(own[0].fd, end_got, 600, 0, (struct sockaddr *)&from, &from_len),
			 600);
	ck_assert_uint_eq(end_got[600], 0xee);
	ck_assert_uint_eq(from_len, sizeof(struct sockaddr_in6));
	ck_assert_int_eq(memcmp(&from, &peers[0].at, 8), 0);
	own[0].tail++;
	end_read_as_libslirp(&own[0]);
}
END_TEST

/* A socket that is not of UDP; the kernel finds its name. */
static int open_other(struct sockaddr_un *at, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	*len = sizeof(*at);
	ck_assert(!bind(fd, (struct sockaddr *)at, sizeof(at->sun_family)));
	ck_assert(!getsockname(fd, (struct sockaddr *)at, len));
	return fd;
}

/* As pings are. */
START_TEST(other_sockets_are_left_alone)
{
	struct sockaddr_un at;
	socklen_t len;
	int from = socket(AF_UNIX, SOCK_DGRAM, 0), to = open_other(&at, &len), i, there;

	datagrams_gather();
	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(sendto(from, "ping", 4, 0, (struct sockaddr *)&at, len), 4);
		ck_assert(!ioctl(to, FIONREAD, &there));
		ck_assert_int_eq(there, 4);
		ck_assert_int_eq(recvfrom(to, end_got, sizeof(end_got), MSG_DONTWAIT, NULL, NULL),
				 4);
	}
	datagrams_send();
	close(from);
	close(to);
}
END_TEST

/* As behind a slow link, and with libslirp's sockets, which block. */
START_TEST(nobody_waits_for_a_full_socket)
{
	struct sockaddr_un at;
	socklen_t len;
	int from = socket(AF_UNIX, SOCK_DGRAM, 0), to = open_other(&at, &len), i;

	/* Nobody reads. What is lost libslirp does not hear of: it would tell the guest that
	 * nothing is there. */
	for (i = 0; i < 10000; i++)
		ck_assert_int_eq(sendto(from, "ping", 4, 0, (struct sockaddr *)&at, len), 4);
	close(from);
	close(to);
	/* A datagram that was kept does not wait either. */
	datagrams_gather();
	for (i = 0; i < 3; i++)
		end_send(&own[0], &peers[0], 1400);
	sent_flags = 0;
	datagrams_send();
	ck_assert_int_eq(sent_flags, MSG_DONTWAIT);
	end_read_as_host(&peers[0]);
}
END_TEST

/* More than anything is kept for; the numbers of those that go are others' soon. */
START_TEST(sockets_come_and_go)
{
	struct end many[100];
	unsigned round, i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		end_open(&many[i]);
	for (i = 0; i < 5; i++)
		end_send(&peers[1], &own[0], 100 + i);
	end_read_as_libslirp(&own[0]);
	for (round = 0; round < 30; round++) {
		datagrams_gather();
		for (i = 0; i < 20; i++) {
			struct end *end = &many[unit_random(&end_seed) % ARRAY_SIZE(many)];

			if (unit_random(&end_seed) % 4 == 0) {
				end_close(end);
				end_open(end);
			}
			set_hops(end);
			end_send(end, &peers[0], 500);
			end_send(end, &peers[0], 500);
		}
		datagrams_send();
		end_read_as_host(&peers[0]);
	}
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		end_close(&many[i]);
		end_open(&many[i]);
	}
	datagrams_gather();
	for (i = 0; i < 2 * ARRAY_SIZE(many); i++)
		end_send(&many[i / 2], &peers[i / 2 % PEERS], 500);
	datagrams_send();
	for (i = 0; i < PEERS; i++)
		end_read_as_host(&peers[i]);
	/* Something waited for this one all the time. */
	while (end_queued(&own[0]))
		end_read_as_libslirp(&own[0]);
	for (i = 0; i < ARRAY_SIZE(many); i++)
		end_close(&many[i]);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("datagrams");
	TCase *tcase = tcase_create("datagrams");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_is_sent_arrives);
	tcase_add_test(tcase, what_arrives_is_read);
	tcase_add_test(tcase, datagrams_are_gathered);
	tcase_add_test(tcase, a_kernel_that_does_not_cut_gets_each);
	tcase_add_test(tcase, a_closed_socket_is_forgotten);
	tcase_add_test(tcase, errors_are_told_once);
	tcase_add_test(tcase, errors_that_were_seen_are_left);
	tcase_add_test(tcase, the_longest_pass);
	tcase_add_test(tcase, a_long_one_is_cut_for_its_reader);
	tcase_add_test(tcase, sockets_come_and_go);
	tcase_add_test(tcase, other_sockets_are_left_alone);
	tcase_add_test(tcase, nobody_waits_for_a_full_socket);
	suite_add_tcase(suite, tcase);
	return suite;
}
