/*
 * The other end of a network, for tests and measurements, on the host or in a guest (where it is
 * linked statically):
 *
 *	netpeer dns ADDRESS PORT [N]              answers A queries with 10.9.8.N (7), AAAA likewise
 *	netpeer serve ADDRESS PORT                TCP: does what each client asks for (below)
 *	netpeer put ADDRESS PORT BYTES STREAMS    TCP: sends BYTES in all over STREAMS connections
 *	netpeer get ADDRESS PORT BYTES STREAMS    TCP: the same, received
 *	netpeer ask ADDRESS PORT ROUNDS           TCP: one byte there and back, ROUNDS times
 *	netpeer tap NAME COMMAND...               runs it with that tap device open as descriptor 9
 *
 * The clients print "NAME: AMOUNT in N us". A client's first eight bytes on a connection say what
 * it wants: 'p', 'g' or 'a', and in the rest how many bytes (little-endian, 56 bits).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t parse_address(const char *host, const char *port, union address *to)
{
	memset(to, 0, sizeof(*to));
	if (strchr(host, ':')) {
		to->v6.sin6_family = AF_INET6;
		to->v6.sin6_port = htons((uint16_t)atoi(port));
		inet_pton(AF_INET6, host, &to->v6.sin6_addr);
		return sizeof(to->v6);
	}
	to->v4.sin_family = AF_INET;
	to->v4.sin_port = htons((uint16_t)atoi(port));
	inet_pton(AF_INET, host, &to->v4.sin_addr);
	return sizeof(to->v4);
}

static int open_socket(const char *host, const char *port, int type, bool server)
{
	union address to;
	socklen_t len = parse_address(host, port, &to);
	int fd = socket(to.any.sa_family, type, 0), on = 1;

	if (fd < 0)
		fail("socket");
	if (!server) {
		if (connect(fd, &to.any, len) < 0)
			fail("connect");
		return fd;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &to.any, len) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		fail("bind");
	return fd;
}

static void read_all(int fd, void *to, size_t len)
{
	char *p = to;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n) {
		n = read(fd, p, len);
		if (n <= 0)
			fail("read");
	}
}

static void write_all(int fd, const void *from, size_t len)
{
	const char *p = from;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n) {
		n = write(fd, p, len);
		if (n <= 0)
			fail("write");
	}
}

static void swallow(int fd, uint64_t len)
{
	static char buf[CHUNK];
	ssize_t n;

	for (; len; len -= (uint64_t)n) {
		n = read(fd, buf, len < CHUNK ? len : CHUNK);
		if (n <= 0)
			fail("read");
	}
}

static void pour(int fd, uint64_t len)
{
	static char buf[CHUNK];

	for (; len > CHUNK; len -= CHUNK)
		write_all(fd, buf, CHUNK);
	write_all(fd, buf, len);
}

/* ---- servers ---- */

/* RFC 1035: the question comes back with one answer that points at it. */
static size_t answer(uint8_t *packet, size_t len, size_t room, uint8_t last)
{
	const uint8_t v4[] = {10, 9, 8, last}, v6[16] = {0xfd, [14] = 9, [15] = last};
	size_t end = 12, data;
	bool aaaa;

	while (end < len && packet[end])
		end += packet[end] + 1u;
	end += 5;
	if (end > len || end + 28 > room)
		return 0;
	aaaa = packet[end - 3] == 28;
	data = aaaa ? sizeof(v6) : sizeof(v4);
	packet[2] |= 0x80;
	packet[3] = 0x80;
	memcpy(packet + 4, (uint8_t[]){0, 1, 0, 1, 0, 0, 0, 0}, 8);
	memcpy(packet + end,
	       (uint8_t[]){0xc0, 12, 0, aaaa ? 28 : 1, 0, 1, 0, 0, 0, 60, 0, (uint8_t)data}, 12);
	memcpy(packet + end + 12, aaaa ? v6 : v4, data);
	return end + 12 + data;
}

static void serve_dns(int fd, uint8_t last)
{
	uint8_t packet[512];
	union address from;
	socklen_t len;

	for (;;) {
		ssize_t n;

		len = sizeof(from);
		n = recvfrom(fd, packet, sizeof(packet), 0, &from.any, &len);
		if (n < 12)
			continue;
		n = (ssize_t)answer(packet, (size_t)n, sizeof(packet), last);
		if (n)
			(void)sendto(fd, packet, (size_t)n, 0, &from.any, len);
	}
}

static void serve_client(int fd)
{
	uint8_t wish[8];
	uint64_t count;
	char byte;

	read_all(fd, wish, sizeof(wish));
	memcpy(&count, wish, sizeof(count));
	count = le64toh(count) >> 8;
	if (wish[0] == 'p')
		swallow(fd, count);
	else if (wish[0] == 'g')
		pour(fd, count);
	for (; wish[0] == 'a' && count; count--) {
		read_all(fd, &byte, 1);
		write_all(fd, &byte, 1);
	}
	/* It has all been read. */
	if (wish[0] == 'p')
		write_all(fd, wish, 1);
	exit(0);
}

static void serve(const char *host, const char *port)
{
	int fd = open_socket(host, port, SOCK_STREAM, true);

	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			fail("accept");
		if (!fork())
			serve_client(client);
		close(client);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

/* ---- clients ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void wish(int fd, char what, uint64_t count)
{
	uint64_t text = htole64(count << 8 | (uint8_t)what);

	write_all(fd, &text, sizeof(text));
}

static void stream(char **argv, char what, uint64_t bytes)
{
	int fd = open_socket(argv[2], argv[3], SOCK_STREAM, false);
	char byte;

	wish(fd, what, bytes);
	if (what == 'g') {
		swallow(fd, bytes);
	} else {
		pour(fd, bytes);
		read_all(fd, &byte, 1);
	}
	exit(0);
}

static int streams(char **argv, char what)
{
	uint64_t bytes = strtoull(argv[4], NULL, 10), start = now_us();
	int count = atoi(argv[5]), i, status, failed = 0;

	for (i = 0; i < count; i++)
		if (!fork())
			stream(argv, what, bytes / (unsigned)count);
	for (i = 0; i < count; i++)
		if (wait(&status) < 0 || status)
			failed = 1;
	printf("%s: %llu bytes in %llu us\n", argv[1], (unsigned long long)bytes,
	       (unsigned long long)(now_us() - start));
	return failed;
}

static int ask(char **argv)
{
	int fd = open_socket(argv[2], argv[3], SOCK_STREAM, false);
	uint64_t rounds = strtoull(argv[4], NULL, 10), i, start;
	char byte = 'x';

	wish(fd, 'a', rounds);
	start = now_us();
	for (i = 0; i < rounds; i++) {
		write_all(fd, &byte, 1);
		read_all(fd, &byte, 1);
	}
	printf("ask: %llu rounds in %llu us\n", (unsigned long long)rounds,
	       (unsigned long long)(now_us() - start));
	return 0;
}

static int with_tap(char **argv)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR);

	strncpy(request.ifr_name, argv[2], sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || dup2(fd, 9) < 0)
		fail("tap");
	close(fd);
	execvp(argv[3], argv + 3);
	fail(argv[3]);
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[1] : "";

	if (!strcmp(what, "dns"))
		serve_dns(open_socket(argv[2], argv[3], SOCK_DGRAM, true),
			  argc > 4 ? (uint8_t)atoi(argv[4]) : 7);
	else if (!strcmp(what, "serve"))
		serve(argv[2], argv[3]);
	else if (!strcmp(what, "tap"))
		return with_tap(argv);
	else if (!strcmp(what, "put") && argc == 6)
		return streams(argv, 'p');
	else if (!strcmp(what, "get") && argc == 6)
		return streams(argv, 'g');
	else if (!strcmp(what, "ask") && argc == 5)
		return ask(argv);
	fputs("usage: see the head of netpeer.c\n", stderr);
	return 2;
}
