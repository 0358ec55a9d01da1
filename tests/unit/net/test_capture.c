/* The file for Wireshark: blocks that follow each other without a gap, and hold the frames. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "front.h"
#include "net/capture.h"
#include "net/stream.h"
#include "tests.h"

/* Walks the blocks of @bytes; returns how many there are of @type. */
static unsigned count_blocks(const uint8_t *bytes, size_t len, uint32_t type)
{
	unsigned count = 0;
	size_t at = 0;

	while (at < len) {
		uint32_t head[2], tail;

		ck_assert_uint_le(at + 12, len);
		memcpy(head, bytes + at, sizeof(head));
		ck_assert_uint_eq(head[1] % 4, 0);
		ck_assert_uint_le(at + head[1], len);
		memcpy(&tail, bytes + at + head[1] - 4, 4);
		ck_assert_uint_eq(tail, head[1]);
		count += head[0] == type;
		at += head[1];
	}
	return count;
}

START_TEST(two_cards_write_one_file)
{
	char path[] = "/tmp/sarang-capture-XXXXXX", frame[64];
	static uint8_t bytes[65536];
	struct net_capture *cards[2];
	struct iovec iov[2] = {{frame, 10}, {frame + 10, 54}};
	struct err e = {0};
	int fd = mkstemp(path);
	size_t i, len;

	memset(frame, 0x5a, sizeof(frame));
	ck_assert_int_eq(net_capture_begin(path, 2, &e), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(net_capture_open(path, (unsigned)i, &cards[i], &e), 0);
	/* Each length of padding, and a frame that ends before its buffers do. */
	for (i = 1; i <= 64; i++)
		net_capture_frame(cards[i % 2], i % 3 ? NET_TO_GUEST : NET_FROM_GUEST, iov, 2, i);
	net_capture_frame(NULL, NET_TO_GUEST, iov, 2, 64);
	for (i = 0; i < 2; i++)
		net_capture_close(cards[i]);
	len = (size_t)fd_pread_full(fd, bytes, sizeof(bytes), 0);
	ck_assert_uint_eq(count_blocks(bytes, len, 0x0a0d0d0a), 1);
	ck_assert_uint_eq(count_blocks(bytes, len, 1), 2);
	ck_assert_uint_eq(count_blocks(bytes, len, 6), 64);
	/* The last one: card 0, 64 bytes. */
	ck_assert_mem_eq(bytes + len - 16 - 64, frame, 64);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_named)
{
	struct err e = {0};

	ck_assert_int_lt(net_capture_begin("/nonesuch/x.pcapng", 1, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonesuch/x.pcapng"));
}
END_TEST

/* As the disk of another guest is, under whatever name. */
START_TEST(a_disk_image_in_use_is_not_emptied)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 201, .l_len = 1};
	char path[] = "/tmp/sarang-capture-XXXXXX";
	struct err e = {0};
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "disk", 4), 4);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert_int_eq(net_capture_begin(path, 1, &e), -EBUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "in use as a disk image"));
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 4);
	close(fd);
	ck_assert_int_eq(net_capture_begin(path, 1, &e), 0);
	unlink(path);
}
END_TEST

START_TEST(a_network_without_its_file_does_not_begin)
{
	const struct net_stream_options stream = {.program = "/bin/true", .mtu_bytes = 1500};
	const struct net_options options = {.kind = NET_STREAM,
					    .id = "net0",
					    .stream = &stream,
					    .capture = "/nonesuch/x.pcapng",
					    .cards = 1};

	ck_assert_int_eq(front_open(&options), 0);
	ck_assert_int_lt(front_start(), 0);
	ck_assert_ptr_nonnull(strstr(front.e.text, "/nonesuch/x.pcapng"));
	front_close();
}
END_TEST

/* No old one is emptied either, when the network itself cannot be had. */
START_TEST(a_network_that_is_not_there_leaves_no_file)
{
	const struct net_stream_options stream = {.path = "/nonesuch/passt", .mtu_bytes = 1500};
	char path[] = "/tmp/sarang-capture-XXXXXX";
	const struct net_options options = {
		.kind = NET_STREAM, .id = "net0", .stream = &stream, .capture = path, .cards = 1};
	int fd = mkstemp(path), i;

	ck_assert_int_eq(write(fd, "old", 3), 3);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(front_open(&options), -ENOENT);
		loop_free(front.loop);
		if (i == 0)
			ck_assert_int_eq(lseek(fd, 0, SEEK_END), 3);
		else
			ck_assert_int_ne(access(path, F_OK), 0);
		unlink(path);
	}
	close(fd);
}
END_TEST

/* A guest that cuts its frames as small as it can does not hide them. */
START_TEST(a_frame_in_many_pieces_is_there)
{
	char path[] = "/tmp/sarang-capture-XXXXXX", frame[4 * 1100];
	static struct iovec iov[1100];
	static uint8_t bytes[65536];
	struct net_capture *card;
	uint32_t lengths[2];
	struct err e = {0};
	int fd = mkstemp(path);
	size_t i, len;

	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (char)(i / 4);
	for (i = 0; i < 1100; i++)
		iov[i] = (struct iovec){frame + 4 * i, 4};
	ck_assert_int_eq(net_capture_begin(path, 1, &e), 0);
	ck_assert_int_eq(net_capture_open(path, 0, &card, &e), 0);
	net_capture_frame(card, NET_FROM_GUEST, iov, 1100, sizeof(frame));
	net_capture_close(card);
	len = (size_t)fd_pread_full(fd, bytes, sizeof(bytes), 0);
	ck_assert_uint_eq(count_blocks(bytes, len, 6), 1);
	/* In front of the frame: of which so much is here, of how much there was. */
	memcpy(lengths, bytes + 28 + 44 + 20, sizeof(lengths));
	ck_assert_uint_ge(lengths[0], 4000);
	ck_assert_uint_eq(lengths[1], sizeof(frame));
	ck_assert_mem_eq(bytes + 28 + 44 + 28, frame, lengths[0]);
	close(fd);
	unlink(path);
}
END_TEST

/* A reader would see an end before the first frame, and without one we would wait for ever. */
START_TEST(a_pipe_is_no_file)
{
	char folder[] = "/tmp/sarang-capture-XXXXXX", path[64];
	struct err e = {0};

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/pipe", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(net_capture_begin(path, 1, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	unlink(path);
	rmdir(folder);
}
END_TEST

/* What has no room is not there in part: what another card writes behind it can be read. */
START_TEST(a_full_disk_leaves_whole_blocks)
{
	char path[] = "/tmp/sarang-capture-XXXXXX", frame[1000] = {0};
	struct iovec iov = {frame, sizeof(frame)};
	const struct rlimit limit = {1500, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct net_capture *cards[2];
	static uint8_t bytes[8192];
	struct err e = {0};
	int fd = mkstemp(path);
	size_t i, len;

	signal(SIGXFSZ, SIG_IGN);
	log_set_level(LOG_ERROR);
	ck_assert_int_eq(net_capture_begin(path, 2, &e), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(net_capture_open(path, (unsigned)i, &cards[i], &e), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (i = 0; i < 4; i++)
		net_capture_frame(cards[0], NET_TO_GUEST, &iov, 1, sizeof(frame));
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	net_capture_frame(cards[1], NET_TO_GUEST, &iov, 1, sizeof(frame));
	for (i = 0; i < 2; i++)
		net_capture_close(cards[i]);
	len = (size_t)fd_pread_full(fd, bytes, sizeof(bytes), 0);
	ck_assert_uint_eq(count_blocks(bytes, len, 6), 2);
	close(fd);
	unlink(path);
}
END_TEST

TCase *capture_cases(void)
{
	TCase *tc = tcase_create("capture");

	tcase_add_test(tc, two_cards_write_one_file);
	tcase_add_test(tc, a_file_that_cannot_be_made_is_named);
	tcase_add_test(tc, a_frame_in_many_pieces_is_there);
	tcase_add_test(tc, a_pipe_is_no_file);
	tcase_add_test(tc, a_disk_image_in_use_is_not_emptied);
	tcase_add_test(tc, a_network_without_its_file_does_not_begin);
	tcase_add_test(tc, a_network_that_is_not_there_leaves_no_file);
	tcase_add_test(tc, a_full_disk_leaves_whole_blocks);
	return tc;
}
