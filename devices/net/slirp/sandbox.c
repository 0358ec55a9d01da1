/*
 * The network process parses packets that a hostile guest made, with a library that has had memory
 * errors. Whoever takes it over finds:
 *
 *   no guest memory, no disk, no other descriptor: it never had them (net/process.c)
 *   no capability, and none to be gained: capabilities(7), no_new_privs
 *   no core dump, no file written: its resource limits are 0; no debugger: it is not dumpable
 *   no system call but those below: seccomp(2). Sockets are of the Internet, not Unix ones; memory
 *   cannot be made executable; nothing is executed or killed, by way of a descriptor's owner and
 *   signal either (fcntl(2)); and no descriptor is made to block: sarang uses the eventfds, too
 *   no reading from the user's terminal, which standard error may be, nor changing how it is read
 *   (O_NONBLOCK is everyone's who has it open); no name for the socket to sarang: that is a file
 *
 * Opening a file is special: libslirp reads /etc/resolv.conf again when that has changed. Each open
 * is answered by sarang, which passes that file and no other. A kernel without such notifications
 * (before 5.9) refuses: the guest's name server is silent then, all else works.
 *
 * What is refused gets EPERM, so that a library's harmless curiosity does not end the network.
 */
#include "sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "net/protocol.h"

static const int allowed[] = {
	/* the socket to sarang, sockets of the host */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(listen),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	/* what is open */
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(newfstatat),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(stat),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	/* memory, time, chance */
	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(time),
	/* an end, also an unhappy one */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	/* a sanitizer's way to one */
	SCMP_SYS(sigaltstack),
};

static int add_plain(scmp_filter_ctx filter)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(allowed) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	return ret;
}

/* Those that depend on their arguments. */
static int add_guarded(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const int plain_fcntls[] = {F_GETFD, F_SETFD, F_GETFL};
	size_t i;
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	for (i = 0; i < ARRAY_SIZE(families) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	for (i = 0; i < ARRAY_SIZE(plain_fcntls) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)plain_fcntls[i], 0));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2,
				       SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0),
				       SCMP_A2(SCMP_CMP_MASKED_EQ, O_NONBLOCK | O_ASYNC,
					       O_NONBLOCK));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
	return ret;
}

/*
 * What is allowed, but not for one descriptor. A filter of its own: of two the stricter counts.
 * The kernel looks at a descriptor's lower half only.
 */
static int load_withheld(void)
{
	static const struct {
		int call;
		scmp_datum_t fd;
	} withheld[] = {
		{SCMP_SYS(read), STDERR_FILENO},      {SCMP_SYS(readv), STDERR_FILENO},
		{SCMP_SYS(lseek), STDERR_FILENO},     {SCMP_SYS(fcntl), STDERR_FILENO},
		{SCMP_SYS(bind), NET_PROCESS_SOCKET},
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	size_t i;
	int ret = 0;

	if (!filter)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(withheld) && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), withheld[i].call, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, withheld[i].fd));
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}

static int load_filter(bool notify, int *asks)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret;

	if (!filter)
		return -ENOMEM;
	ret = add_plain(filter);
	if (!ret)
		ret = add_guarded(filter);
	if (!ret && notify)
		ret = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(openat), 0);
	if (!ret)
		ret = seccomp_load(filter);
	if (!ret && notify)
		*asks = seccomp_notify_fd(filter);
	seccomp_release(filter);
	return ret;
}

static int drop_capabilities(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

static int limit_resources(void)
{
	static const struct rlimit none;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_FSIZE, &none) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_enter(int *asks, struct err *e)
{
	int ret = drop_capabilities();

	*asks = -1;
	if (ret < 0)
		return err_set(e, -ret, "the network process cannot give up its capabilities");
	ret = limit_resources();
	if (ret < 0)
		return err_errno(e, -ret, "the network process cannot limit its resources");
	ret = load_withheld();
	if (!ret) {
		ret = load_filter(true, asks);
		if (ret < 0)
			ret = load_filter(false, asks);
	}
	if (ret < 0)
		return err_errno(e, -ret, "the network process cannot have a seccomp filter");
	return 0;
}
