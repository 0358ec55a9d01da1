/*
 * Tap devices, in a network namespace of each test's own. Where this user may not have one, or
 * there is no /dev/net/tun, the lab's tests have to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "net/tap.h"
#include "tests.h"

static bool possible;

/* Root's, or one where this user is root. */
static bool enter_namespace(void)
{
	uid_t user = getuid();
	bool entered;
	FILE *map;

	if (!unshare(CLONE_NEWNET))
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	map = fopen("/proc/self/uid_map", "we");
	entered = map && fprintf(map, "0 %u 1\n", user) > 0;
	return map && !fclose(map) && entered;
}

static void set_up(void)
{
	int fd = -1;

	if (enter_namespace())
		fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	possible = fd >= 0;
	if (possible)
		close(fd);
}

static void create(const char *ifname, bool multi_queue)
{
	const struct net_tap_create create = {.ifname = ifname, .multi_queue = multi_queue};
	struct err e = {0};

	ck_assert_msg(!net_tap_create(&create, &e), "%s", e.text);
}

static int open_tap(const char *ifname, unsigned queues)
{
	const struct net_tap_options tap = {.ifname = ifname, .fd = -1, .queues = queues};
	const struct net_options options = {.kind = NET_TAP, .id = "net0", .tap = &tap};

	return front_open(&options);
}

static void start_tap(void)
{
	create("tap0", false);
	ck_assert_msg(!open_tap("tap0", 1), "%s", front.e.text);
	ck_assert_int_eq(front_start(), 0);
}

/* Takes the interface away from whoever has it: rtnetlink(7). */
static void remove_interface(const char *ifname)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_DELLINK,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.info = {.ifi_index = (int)if_nametoindex(ifname)},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	ck_assert_int_eq(send(fd, &request, sizeof(request), 0), sizeof(request));
	ck_assert_int_ge(recv(fd, &answer, sizeof(answer), 0), 36);
	ck_assert_int_eq(answer.error.error, 0);
	close(fd);
}

START_TEST(a_removed_device_is_a_cable_pulled_out)
{
	uint8_t frame[60] = {0x52, 0x54};

	if (!possible)
		return;
	start_tap();
	front_send(frame, sizeof(frame));
	front.room = _i;
	net_rx_resume(front.net);
	remove_interface("tap0");
	loop_run_once(front.loop, 0);
	/* With or without buffers at that moment. */
	front.room = true;
	net_rx_resume(front.net);
	front_run_until(&front.downs, 1, "the link to go down");
	front_send(frame, sizeof(frame));
	front_close();
}
END_TEST

START_TEST(a_device_that_is_in_use)
{
	struct err e = {0};
	bool lasts;

	if (!possible)
		return;
	start_tap();
	ck_assert_int_eq(net_tap_delete("tap0", &lasts, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "tap0 is in use"));
	front_close();
	ck_assert_int_eq(net_tap_delete("tap0", &lasts, &e), 0);
	ck_assert(!lasts);
	ck_assert_uint_eq(if_nametoindex("tap0"), 0);
}
END_TEST

/* One more queue of it can always be had. */
START_TEST(a_device_with_queues_that_is_in_use)
{
	struct err e = {0};
	bool lasts;

	if (!possible)
		return;
	create("tap0", true);
	ck_assert_msg(!open_tap("tap0", 2), "%s", front.e.text);
	ck_assert_int_eq(front_start(), 0);
	ck_assert_int_eq(net_tap_delete("tap0", &lasts, &e), 0);
	ck_assert(lasts);
	ck_assert_uint_ne(if_nametoindex("tap0"), 0);
	front_close();
	ck_assert_uint_eq(if_nametoindex("tap0"), 0);
}
END_TEST

START_TEST(what_cannot_be_opened_is_named)
{
	if (!possible)
		return;
	create("tap0", false);
	ck_assert_int_eq(open_tap("tap0", 2), -EINVAL);
	ck_assert_ptr_nonnull(strstr(front.e.text, "tap0 has one queue"));
	loop_free(front.loop);
	ck_assert_int_eq(open_tap("lo", 1), -EINVAL);
	ck_assert_ptr_nonnull(strstr(front.e.text, "lo is no tap device"));
	loop_free(front.loop);
	ck_assert_int_eq(open_tap("tap1", 1), -ENODEV);
	ck_assert_ptr_nonnull(strstr(front.e.text, "sarang net tap create tap1"));
	loop_free(front.loop);
}
END_TEST

START_TEST(names_that_no_interface_can_have)
{
	static const char *const bad[] = {"",    "1234567890123456",
					  "a/b", "a b",
					  "a:b", ".",
					  "..",  "tap%d"};
	struct net_tap_create create = {.ifname = bad[_i]};
	struct err e = {0};

	ck_assert_int_eq(net_tap_create(&create, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "the name of an interface"));
}
END_TEST

TCase *tap_cases(void)
{
	TCase *tc = tcase_create("tap");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, a_removed_device_is_a_cable_pulled_out, 0, 2);
	tcase_add_test(tc, a_device_that_is_in_use);
	tcase_add_test(tc, a_device_with_queues_that_is_in_use);
	tcase_add_test(tc, what_cannot_be_opened_is_named);
	tcase_add_loop_test(tc, names_that_no_interface_can_have, 0, 8);
	return tc;
}
