/*
 * Tap devices of the host's: opening, making and removing them. See tap_device.h and tap.h; Linux's
 * Documentation/networking/tuntap.rst.
 */
#include "net/tap_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "net/tap.h"

#define TUN_PATH "/dev/net/tun"

static void set_name(struct ifreq *request, const char *ifname)
{
	memset(request, 0, sizeof(*request));
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", ifname);
}

/* The kernel's rules; and where it reads "%d" it would choose a number, which nobody would know. */
static int check_name(const char *ifname, struct err *e)
{
	if (!*ifname || strlen(ifname) >= IFNAMSIZ)
		return err_set(e, EINVAL,
			       "the name of an interface has 1 to %d characters, \"%s\" has %zu",
			       IFNAMSIZ - 1, ifname, strlen(ifname));
	if (strpbrk(ifname, "/:% \t\n\v\f\r") || !strcmp(ifname, ".") || !strcmp(ifname, ".."))
		return err_set(e, EINVAL,
			       "\"%s\" is not the name of an interface: it holds no blank, \"/\", "
			       "\":\" or \"%%\"",
			       ifname);
	return 0;
}

static int open_tun(struct err *e)
{
	int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return fd;
	return err_errno(e, errno, "cannot open %s, which a tap device needs", TUN_PATH);
}

bool tap_is_multi_queue(int fd)
{
	struct ifreq request = {0};

	return !ioctl(fd, TUNGETIFF, &request) && request.ifr_flags & IFF_MULTI_QUEUE;
}

/* TUNSETIFF wants to be told whether the interface was made for several queues. 0 or -errno. */
static int choose_interface(int fd, const char *ifname)
{
	static const int kinds[] = {0, IFF_MULTI_QUEUE};
	struct ifreq request;
	int ret = -EINVAL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds) && ret == -EINVAL; i++) {
		set_name(&request, ifname);
		request.ifr_flags = (short)(TAP_FLAGS | kinds[i]);
		ret = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	}
	return ret;
}

/* Only one that is there: TUNSETIFF would make one for root. */
int tap_attach(const char *ifname, struct err *e)
{
	int fd, ret = check_name(ifname, e);

	if (ret < 0)
		return ret;
	if (!if_nametoindex(ifname))
		return err_set(e, ENODEV,
			       "there is no network interface %s; `sarang net tap create %s`, as "
			       "root, makes one",
			       ifname, ifname);
	fd = open_tun(e);
	if (fd < 0)
		return fd;
	ret = choose_interface(fd, ifname);
	if (!ret)
		return fd;
	fd_close(&fd);
	if (ret == -EBUSY)
		return err_set(e, EBUSY, "the tap device %s is in use by another process", ifname);
	if (ret == -EINVAL)
		return err_set(e, EINVAL, "the network interface %s is no tap device", ifname);
	if (ret == -EPERM)
		return err_set(e, EPERM,
			       "this user may not use the tap device %s: `sarang net tap create` "
			       "takes --user",
			       ifname);
	return err_errno(e, -ret, "cannot use the tap device %s", ifname);
}

/* ---- sarang net tap ---- */

static int join_bridge(int control, const struct net_tap_create *create, struct err *e)
{
	struct ifreq request;

	set_name(&request, create->bridge);
	request.ifr_ifindex = (int)if_nametoindex(create->ifname);
	if (!ioctl(control, SIOCBRADDIF, &request))
		return 0;
	if (errno == ENODEV)
		return err_set(e, ENODEV, "there is no bridge %s to put %s on", create->bridge,
			       create->ifname);
	return err_errno(e, errno, "cannot put %s on the bridge %s", create->ifname,
			 create->bridge);
}

static int bring_up(int control, const char *ifname, struct err *e)
{
	struct ifreq request;

	set_name(&request, ifname);
	if (ioctl(control, SIOCGIFFLAGS, &request) < 0)
		return err_errno(e, errno, "cannot set up %s", ifname);
	request.ifr_flags |= IFF_UP;
	if (ioctl(control, SIOCSIFFLAGS, &request) < 0)
		return err_errno(e, errno, "cannot set up %s", ifname);
	return 0;
}

int net_tap_create(const struct net_tap_create *create, struct err *e)
{
	struct ifreq request;
	int fd = -1, control = -1, ret = check_name(create->ifname, e);

	if (!ret && if_nametoindex(create->ifname))
		ret = err_set(e, EEXIST, "there is a network interface %s already", create->ifname);
	if (!ret)
		ret = fd = open_tun(e);
	if (ret < 0)
		return ret;
	set_name(&request, create->ifname);
	request.ifr_flags = TAP_FLAGS;
	if (create->multi_queue)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		ret = err_errno(e, errno, "cannot make the tap device %s", create->ifname);
		goto out;
	}
	ret = 0;
	if (ioctl(fd, TUNSETOWNER, (unsigned long)create->user) < 0)
		ret = err_errno(e, errno, "cannot give %s to user %u", create->ifname,
				create->user);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!ret && create->bridge)
		ret = join_bridge(control, create, e);
	if (!ret)
		ret = bring_up(control, create->ifname, e);
	/* Last: until then it goes with the descriptor. */
	if (!ret && ioctl(fd, TUNSETPERSIST, 1ul) < 0)
		ret = err_errno(e, errno, "cannot make %s last", create->ifname);
out:
	fd_close(&control);
	fd_close(&fd);
	return ret;
}

int net_tap_delete(const char *ifname, bool *lasts, struct err *e)
{
	int fd = tap_attach(ifname, e), ret = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, TUNSETPERSIST, 0ul) < 0)
		ret = err_errno(e, errno, "cannot remove the tap device %s", ifname);
	fd_close(&fd);
	*lasts = !ret && if_nametoindex(ifname);
	return ret;
}
