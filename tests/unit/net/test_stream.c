/* The back-end for passt, with this test at the other end of the socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "front.h"
#include "net/stream.h"
#include "tests.h"

static char folder[] = "/tmp/sarang-test.XXXXXX";
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static int listener, peer;
static uint8_t frame[NET_FRAME_MAX];

static void listen_there(void)
{
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
}

static void set_up(void)
{
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/passt", folder);
	listen_there();
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
}

static void tear_down(void)
{
	close(listener);
	close(peer);
	unlink(at.sun_path);
	rmdir(folder);
}

static int open_stream(const char *path, const char *program)
{
	const struct net_stream_options stream = {.path = path,
						  .program = program,
						  .mtu_bytes = NET_STREAM_MTU_DEFAULT};
	const struct net_options options = {.kind = NET_STREAM, .id = "net0", .stream = &stream};

	return front_open(&options);
}

static void start_stream(void)
{
	ck_assert_msg(!open_stream(at.sun_path, NULL), "%s", front.e.text);
	ck_assert_int_eq(front_start(), 0);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_ge(peer, 0);
}

static void say(const void *bytes, size_t len)
{
	ck_assert_int_eq(write(peer, bytes, len), (ssize_t)len);
}

static void say_length(uint32_t len)
{
	len = htonl(len);
	say(&len, sizeof(len));
}

static void hear(void *bytes, size_t len)
{
	char *to = bytes;
	ssize_t n;

	for (; len; len -= (size_t)n, to += n) {
		n = recv(peer, to, len, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			loop_run_once(front.loop, 10);
			n = 0;
		}
		ck_assert_int_ge(n, 0);
	}
}

static void hear_frame(size_t len)
{
	static uint8_t got[NET_FRAME_MAX];
	uint32_t prefix;

	hear(&prefix, sizeof(prefix));
	ck_assert_uint_eq(ntohl(prefix), len);
	hear(got, len);
	ck_assert_int_eq(memcmp(got, frame, len), 0);
}

START_TEST(frames_have_their_length_before_them)
{
	start_stream();
	front_send(frame, 14);
	front_send(frame, 1514);
	hear_frame(14);
	hear_frame(1514);
	front_close();
}
END_TEST

/* More than the socket holds: what was sent in part is completed, in its place, before the next. */
START_TEST(a_full_socket_holds_the_guest_back)
{
	struct net_header header = {0};
	struct iovec iov[2] = {{&header, sizeof(header)}, {frame, NET_FRAME_MAX}};
	unsigned sent = 0, i;

	start_stream();
	while (net_tx(front.net, iov, 2) == NET_TX_DONE)
		sent++;
	ck_assert_uint_gt(sent, 0);
	for (i = 0; i < sent; i++)
		hear_frame(NET_FRAME_MAX);
	front_run_until(&front.ready, 1, "room to send");
	front_send(frame, 60);
	hear_frame(60);
	front_close();
}
END_TEST

/* Cut anywhere, or many at once: the guest gets the frames, also without another word from there.
 */
START_TEST(frames_arrive_whole_however_they_are_cut)
{
	static uint8_t bytes[3 * 104];
	uint32_t prefix = htonl(100);
	size_t cut;
	int i;

	start_stream();
	for (i = 0; i < 3; i++) {
		memcpy(bytes + i * 104, &prefix, 4);
		memcpy(bytes + i * 104 + 4, frame, 100);
	}
	for (cut = 1; cut < sizeof(bytes); cut++) {
		say(bytes, cut);
		loop_run_once(front.loop, 0);
		say(bytes + cut, sizeof(bytes) - cut);
		for (i = 0; i < 3; i++) {
			front_receive();
			ck_assert_uint_eq(front.len, 100);
			ck_assert_int_eq(memcmp(front.frame, frame, 100), 0);
		}
	}
	front_close();
}
END_TEST

START_TEST(the_longest_frame_arrives)
{
	start_stream();
	say_length(NET_FRAME_MAX);
	say(frame, NET_FRAME_MAX);
	front_receive();
	ck_assert_uint_eq(front.len, NET_FRAME_MAX);
	ck_assert_int_eq(memcmp(front.frame, frame, NET_FRAME_MAX), 0);
	front_close();
}
END_TEST

static const uint32_t bad_lengths[] = {0, 13, NET_FRAME_MAX + 1, UINT32_MAX};

START_TEST(a_length_that_makes_no_sense_ends_the_connection)
{
	start_stream();
	front.room = true;
	net_rx_resume(front.net);
	say_length(bad_lengths[_i]);
	front_run_until(&front.downs, 1, "the link to go down");
	ck_assert_uint_eq(front.frames, 0);
	/* And there is another one. */
	front_run_until(&front.ups, 1, "the link to come up");
	close(peer);
	peer = accept(listener, NULL, NULL);
	say_length(60);
	say(frame, 60);
	front_receive();
	ck_assert_uint_eq(front.len, 60);
	front_close();
}
END_TEST

/* What a lost peer began to say, and what it was told in part, is not the next one's. */
START_TEST(a_frame_that_breaks_off_is_lost_with_its_peer)
{
	start_stream();
	front.room = true;
	net_rx_resume(front.net);
	say_length(100);
	say(frame, 50);
	loop_run_once(front.loop, 0);
	close(peer);
	front_run_until(&front.ups, 1, "the link to come up");
	peer = accept(listener, NULL, NULL);
	say_length(60);
	say(frame, 60);
	front_receive();
	ck_assert_uint_eq(front.frames, 1);
	ck_assert_uint_eq(front.len, 60);
	front_send(frame, 61);
	hear_frame(61);
	front_close();
}
END_TEST

START_TEST(a_lost_peer_is_looked_for_until_it_is_back)
{
	unsigned i;

	start_stream();
	front.room = true;
	net_rx_resume(front.net);
	close(listener);
	unlink(at.sun_path);
	close(peer);
	front_run_until(&front.downs, 1, "the link to go down");
	/* Lost, but not refused: the cable is out. */
	front_send(frame, 60);
	for (i = 0; i < 5; i++)
		loop_run_once(front.loop, 50);
	ck_assert_uint_eq(front.ups, 0);
	listen_there();
	front_run_until(&front.ups, 1, "the link to come up");
	peer = accept(listener, NULL, NULL);
	front_send(frame, 61);
	hear_frame(61);
	ck_assert_uint_eq(front.downs, 1);
	front_close();
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
	char longer[200];

	ck_assert_int_eq(open_stream("/nonesuch/passt", NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(front.e.text, "/nonesuch/passt"));
	loop_free(front.loop);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(open_stream(longer, NULL), -ENAMETOOLONG);
	loop_free(front.loop);
	ck_assert_int_eq(open_stream(NULL, "/nonesuch/passt"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(front.e.text, "install the package passt"));
	loop_free(front.loop);
}
END_TEST

/* A program that ends at once is started anew, again and again. */
START_TEST(a_program_that_ends_is_replaced)
{
	ck_assert_int_eq(open_stream(NULL, "/bin/true"), 0);
	ck_assert_int_eq(front_start(), 0);
	front_run_until(&front.ups, 2, "the link to come up twice");
	ck_assert_uint_ge(front.downs, 2);
	front_close();
}
END_TEST

TCase *stream_cases(void)
{
	TCase *tc = tcase_create("stream");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, frames_have_their_length_before_them);
	tcase_add_test(tc, a_full_socket_holds_the_guest_back);
	tcase_add_test(tc, frames_arrive_whole_however_they_are_cut);
	tcase_add_test(tc, the_longest_frame_arrives);
	tcase_add_loop_test(tc, a_length_that_makes_no_sense_ends_the_connection, 0,
			    sizeof(bad_lengths) / sizeof(*bad_lengths));
	tcase_add_test(tc, a_frame_that_breaks_off_is_lost_with_its_peer);
	tcase_add_test(tc, a_lost_peer_is_looked_for_until_it_is_back);
	tcase_add_test(tc, what_is_not_there_is_named);
	tcase_add_test(tc, a_program_that_ends_is_replaced);
	return tc;
}
