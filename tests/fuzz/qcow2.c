/*
 * A qcow2 image of any bytes: opened, read, written to, flushed and checked, its snapshots listed,
 * made, applied and deleted, with bounded memory and time. What it names is not opened.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/util.h"
#include "block/qcow2.h"
#include "block/qcow2_tools.h"

#define IMAGE_MAX KIB(512)
#define PIECE     KIB(24)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR - 1);
	return 0;
}

static struct blk *open_image(const char *path, struct loop *loop, bool repairing)
{
	struct blk_options options = {.path = path, .no_backing = true, .repairing = repairing};
	struct file_options file_options = {.path = path};
	struct file_desc desc;
	struct file *file;
	struct blk *blk;

	if (file_desc_open(&desc, &file_options, NULL) < 0)
		return NULL;
	if (file_attach(&desc, loop, FILE_ENGINE_URING, &file, NULL) < 0)
		abort();
	if (qcow2_open(file, &options, &blk, NULL) == 0)
		return blk;
	file_close(file);
	return NULL;
}

/* Places that are near the ends of tables, and some in the middle. */
static uint64_t place(const struct blk *blk, unsigned n)
{
	uint64_t size = blk->info.capacity_bytes;

	if (size < PIECE)
		return 0;
	return MIN(align_down(n * (size / 7), 512), size - align_up(PIECE, 512));
}

static void use(struct blk *blk)
{
	static unsigned char buf[PIECE];
	uint64_t len = MIN(PIECE, blk->info.capacity_bytes);
	unsigned n;

	for (n = 0; n < 8; n++)
		blk_pread(blk, place(blk, n), buf, len);
	for (n = 0; n < 8; n += 2) {
		memset(buf, (int)n, sizeof(buf));
		blk_pwrite(blk, place(blk, n), buf, len);
		blk_pread(blk, place(blk, n), buf, len);
	}
	blk_flush(blk);
	for (n = 1; n < 8; n += 3)
		blk_pwrite(blk, place(blk, n), buf, len);
}

static void use_snapshots(struct qcow2 *q)
{
	struct qcow2_snapshots list;
	char first[64] = "1";

	if (qcow2_snapshots_read(q, &list, NULL) == 0 && list.count)
		snprintf(first, sizeof(first), "%.60s", list.list[0].id);
	qcow2_snapshots_free(&list);
	qcow2_snapshot_create(q, "new", NULL);
	qcow2_snapshot_apply(q, first, NULL);
	qcow2_snapshot_delete(q, first, NULL);
	qcow2_snapshot_apply(q, "new", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_check_report report = {0};
	char path[] = "/dev/shm/fuzz-qcow2-XXXXXX";
	struct loop *loop;
	struct blk *blk;
	int fd;

	/* An external data file would be any file here. */
	if (size < QCOW2_V2_HEADER_BYTES || size > IMAGE_MAX ||
	    (size >= 80 && (data[79] & QCOW2_DATA_FILE)))
		return 0;
	fd = mkstemp(path);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || loop_new(&loop, NULL) < 0)
		abort();
	close(fd);
	blk = open_image(path, loop, true);
	if (blk)
		qcow2_check(qcow2_of(blk), data[size - 1] % 3, &report, NULL);
	blk_close(blk);
	blk = open_image(path, loop, false);
	if (blk) {
		use(blk);
		use_snapshots(qcow2_of(blk));
		use(blk);
	}
	blk_close(blk);
	loop_free(loop);
	unlink(path);
	return 0;
}
