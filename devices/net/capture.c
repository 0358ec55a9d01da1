/*
 * Frames in a file, as pcapng (draft-ietf-opsawg-pcapng): a section header, an interface
 * description for each card, then an enhanced packet for each frame, with the time in nanoseconds
 * and the direction. Numbers are in this machine's byte order, which the section header tells.
 *
 * Each frame is one writev(2) on a descriptor opened with O_APPEND, so that cards do not mix theirs
 * and nobody needs a lock. On the card's loop.
 */
#include "net/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/util.h"

#define BLOCK_SECTION   0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET    6u
#define BYTE_ORDER_MARK 0x1a2b3c4du
#define LINK_ETHERNET   1u
#define OPTION_IF_NAME  2
#define OPTION_RESOL    9
#define OPTION_FLAGS    2
#define IOV_MAX_HERE    1024

struct net_capture {
	int fd;
	unsigned card;
};

/* In front of a frame's bytes. */
struct packet_head {
	uint32_t type, total, interface, time_high, time_low, captured, original;
};

/* Behind them, after padding to 4 bytes. */
struct packet_tail {
	uint16_t option, option_len;
	uint32_t flags;
	uint32_t end_of_options;
	uint32_t total;
};

_Static_assert(sizeof(struct packet_head) == 28, "pcapng, 4.3");
_Static_assert(sizeof(struct packet_tail) == 16, "pcapng, 4.3");

static void add_u16(struct strbuf *b, uint16_t value)
{
	strbuf_add(b, &value, sizeof(value));
}

static void add_u32(struct strbuf *b, uint32_t value)
{
	strbuf_add(b, &value, sizeof(value));
}

static void add_section(struct strbuf *b)
{
	static const uint64_t unknown_length = UINT64_MAX;

	add_u32(b, BLOCK_SECTION);
	add_u32(b, 28);
	add_u32(b, BYTE_ORDER_MARK);
	add_u16(b, 1);
	add_u16(b, 0);
	strbuf_add(b, &unknown_length, sizeof(unknown_length));
	add_u32(b, 28);
}

static void add_interface(struct strbuf *b, unsigned card)
{
	char name[8] = {0};

	snprintf(name, sizeof(name), "net%u", card % 1000);
	add_u32(b, BLOCK_INTERFACE);
	add_u32(b, 44);
	add_u16(b, LINK_ETHERNET);
	add_u16(b, 0);
	add_u32(b, 0); /* frames are whole */
	add_u16(b, OPTION_IF_NAME);
	add_u16(b, sizeof(name));
	strbuf_add(b, name, sizeof(name));
	add_u16(b, OPTION_RESOL);
	add_u16(b, 1);
	add_u32(b, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 9u : 9u << 24);
	add_u32(b, 0);
	add_u32(b, 44);
}

/* Whether there is a pipe at @path, which does not keep what each card writes. */
static bool is_pipe(const char *path)
{
	struct stat st;

	return !stat(path, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Not with O_TRUNC, which would not ask. By now all disks of this machine are locked too. */
static int empty_file(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fd_locked_elsewhere(fd))
		return err_set(e, EBUSY,
			       "cannot write the network's frames to %s (--pcap): it is in use as "
			       "a disk image, and would be emptied",
			       path);
	if (fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0))
		return err_errno(e, errno, "cannot empty %s for --pcap", path);
	return 0;
}

int net_capture_begin(const char *path, unsigned cards, struct err *e)
{
	struct strbuf head = {0};
	unsigned i;
	int fd, ret;

	if (is_pipe(path))
		return err_set(e, EINVAL, "--pcap %s is a pipe: it takes a file", path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, errno, "cannot make %s for --pcap", path);
	ret = empty_file(fd, path, e);
	if (!ret) {
		add_section(&head);
		for (i = 0; i < cards; i++)
			add_interface(&head, i);
		ret = fd_write_full(fd, head.data, head.len);
		if (ret < 0)
			err_errno(e, -ret, "cannot write to %s for --pcap", path);
	}
	strbuf_free(&head);
	fd_close(&fd);
	return ret;
}

int net_capture_open(const char *path, unsigned card, struct net_capture **out, struct err *e)
{
	struct net_capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return err_set(e, ENOMEM, "out of memory");
	capture->card = card;
	capture->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (capture->fd < 0) {
		free(capture);
		return err_errno(e, errno, "cannot open %s for --pcap", path);
	}
	*out = capture;
	return 0;
}

void net_capture_close(struct net_capture *capture)
{
	if (capture)
		fd_close(&capture->fd);
	free(capture);
}

/* The frame's first @len bytes behind iov[0], as far as there is room; returns how many iovecs
 * there are then. *@captured: of how many bytes. */
static int add_pieces(struct iovec *to, const struct iovec *iov, int count, size_t len,
		      size_t *captured)
{
	int used = 1, i;

	for (*captured = i = 0; i < count && *captured < len && used < IOV_MAX_HERE - 2; i++) {
		to[used] = iov[i];
		to[used].iov_len = MIN(len - *captured, iov[i].iov_len);
		*captured += to[used++].iov_len;
	}
	return used;
}

/* Writes a block whole. 0 or -errno: then nothing of it is left in front of another card's. */
static int write_block(int fd, const struct iovec *iov, int count, size_t total)
{
	ssize_t written = writev(fd, iov, count);
	off_t end;

	if (written < 0)
		return -errno;
	if (written == (ssize_t)total)
		return 0;
	end = lseek(fd, 0, SEEK_CUR);
	if (end >= written && lseek(fd, 0, SEEK_END) == end)
		(void)!ftruncate(fd, end - written);
	return -ENOSPC;
}

void net_capture_frame(struct net_capture *capture, enum net_direction direction,
		       const struct iovec *iov, int count, size_t len)
{
	static const char zeroes[4];
	struct iovec all[IOV_MAX_HERE];
	struct packet_tail tail = {OPTION_FLAGS, 4, direction, 0, 0};
	struct packet_head head = {.type = BLOCK_PACKET, .original = (uint32_t)len};
	size_t captured, padding, total;
	struct timespec now;
	uint64_t now_ns;
	int used, ret;

	if (!capture || capture->fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	head.interface = capture->card;
	head.time_high = (uint32_t)(now_ns >> 32);
	head.time_low = (uint32_t)now_ns;
	all[0] = (struct iovec){&head, sizeof(head)};
	used = add_pieces(all, iov, count, len, &captured);
	padding = -captured & 3;
	total = sizeof(head) + captured + padding + sizeof(tail);
	head.captured = (uint32_t)captured;
	head.total = tail.total = (uint32_t)total;
	all[used++] = (struct iovec){(void *)(uintptr_t)zeroes, padding};
	all[used++] = (struct iovec){&tail, sizeof(tail)};
	ret = write_block(capture->fd, all, used, total);
	if (!ret)
		return;
	log_warn("net%u: nothing more is written to the --pcap file: %s", capture->card,
		 strerror(-ret));
	fd_close(&capture->fd);
}
