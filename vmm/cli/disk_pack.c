/*
 * Copying a disk into compressed clusters: see disk_copy.h.
 *
 * A ring of pieces. The caller's thread reads them and, in the same order, writes what has become
 * of them; threads of our own compress, and touch nothing but their piece. So the new image is the
 * same whatever the number of threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

#define THREADS_MAX 16u
#define SLOTS       (2 * THREADS_MAX)

/* What stands in piece.lens for a cluster that is not compressed. */
#define IS_ZERO  0
#define NO_GAIN  (-1)
#define NO_SPACE (-2) /* out of memory */

struct piece {
	enum {
		PIECE_FREE,
		PIECE_READ,
		PIECE_BUSY,
		PIECE_PACKED,
	} state;
	uint64_t guest, len;
	unsigned char *in, *out; /* of piece_bytes each */
	int64_t *lens;           /* of each cluster */
};

struct packing {
	const struct disk_copy *job;
	struct qcow2 *q;
	uint64_t piece_bytes, next, size;
	unsigned slots, head, tail; /* pieces read, pieces written */
	unsigned packed;            /* pieces taken by a thread */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool end;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count;
	struct piece pieces[SLOTS];
	struct qcow2_packer packer;
	struct disk_progress progress;
};

static void pack_piece(const struct packing *p, struct piece *piece)
{
	uint64_t cluster = p->q->cluster_bytes, at, n;

	for (at = n = 0; at < piece->len; at += cluster, n++) {
		if (disk_all_zero(piece->in + at, cluster)) {
			piece->lens[n] = IS_ZERO;
			continue;
		}
		piece->lens[n] = qcow2_pack(p->q, piece->in + at, piece->out + at);
		if (piece->lens[n] < 0)
			piece->lens[n] = piece->lens[n] == -ENOSPC ? NO_GAIN : NO_SPACE;
	}
}

static void *pack_thread(void *opaque)
{
	struct packing *p = opaque;

	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		struct piece *piece = &p->pieces[p->packed % p->slots];

		if (p->packed == p->head) {
			pthread_cond_wait(&p->changed, &p->lock);
			continue;
		}
		p->packed++;
		piece->state = PIECE_BUSY;
		pthread_mutex_unlock(&p->lock);
		pack_piece(p, piece);
		pthread_mutex_lock(&p->lock);
		piece->state = PIECE_PACKED;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Passes what reads as zeroes, in whole clusters. */
static int skip_zeroes(struct packing *p)
{
	enum blk_extent_kind kind = BLK_EXTENT_ZERO;
	int ret = 0;

	while (!ret && p->next < p->size) {
		uint64_t len = p->size - p->next;

		ret = disk_extent(p->job->from, p->next, &len, false, &kind);
		if (ret || kind != BLK_EXTENT_ZERO)
			return ret;
		if (p->next + len < p->size)
			len = align_down(len, p->q->cluster_bytes);
		if (!len)
			return 0;
		p->next += len;
	}
	return ret;
}

/* Reads the next piece that is not known to be zeroes, if there is one. */
static int read_piece(struct packing *p)
{
	struct piece *piece = &p->pieces[p->head % p->slots];
	int ret = skip_zeroes(p);

	disk_progress_at(&p->progress, p->next);
	if (ret || p->next >= p->size)
		return ret;
	piece->guest = p->next;
	piece->len = MIN(p->piece_bytes - p->next % p->piece_bytes, p->size - p->next);
	memset(piece->in + piece->len, 0, p->piece_bytes - piece->len);
	ret = blk_pread(p->job->from, piece->guest, piece->in, piece->len);
	if (ret)
		return ret;
	p->next += piece->len;
	pthread_mutex_lock(&p->lock);
	piece->state = PIECE_READ;
	p->head++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Waits for the oldest piece, and writes it. */
static int write_piece(struct packing *p)
{
	struct piece *piece = &p->pieces[p->tail % p->slots];
	uint64_t cluster = p->q->cluster_bytes, at, n;
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	while (piece->state != PIECE_PACKED)
		pthread_cond_wait(&p->changed, &p->lock);
	piece->state = PIECE_FREE;
	pthread_mutex_unlock(&p->lock);
	for (at = n = 0; !ret && at < piece->len; at += cluster, n++) {
		if (piece->lens[n] == NO_SPACE)
			ret = -ENOMEM;
		else if (piece->lens[n] == NO_GAIN)
			ret = blk_pwrite(p->job->to, piece->guest + at, piece->in + at,
					 MIN(cluster, piece->len - at));
		else if (piece->lens[n] != IS_ZERO)
			ret = qcow2_put_packed(&p->packer, piece->guest + at, piece->out + at,
					       (uint64_t)piece->lens[n]);
	}
	p->tail++;
	return ret;
}

static int make_pieces(struct packing *p)
{
	unsigned i;

	for (i = 0; i < p->slots; i++) {
		struct piece *piece = &p->pieces[i];

		piece->in = aligned_alloc(4096, p->piece_bytes);
		piece->out = aligned_alloc(4096, p->piece_bytes);
		piece->lens = calloc(p->piece_bytes >> p->q->cluster_bits, sizeof(*piece->lens));
		if (!piece->in || !piece->out || !piece->lens)
			return -ENOMEM;
	}
	return 0;
}

static int start_threads(struct packing *p)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = (unsigned)MIN(MAX(processors, 1L), (long)THREADS_MAX);
	int ret = 0;

	p->slots = 2 * want;
	if (make_pieces(p) < 0)
		return -ENOMEM;
	while (!ret && p->thread_count < want) {
		ret = pthread_create(&p->threads[p->thread_count], NULL, pack_thread, p);
		p->thread_count += !ret;
	}
	/* One will do. */
	return p->thread_count ? 0 : -ret;
}

static void end_threads(struct packing *p)
{
	unsigned i;

	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	for (i = 0; i < p->slots; i++) {
		free(p->pieces[i].in);
		free(p->pieces[i].out);
		free(p->pieces[i].lens);
	}
}

int disk_copy_packed(const struct disk_copy *job, struct err *e)
{
	struct qcow2 *q = qcow2_of(job->to);
	struct packing p = {
		.job = job,
		.q = q,
		.piece_bytes = MAX(DISK_PIECE_BYTES, q->cluster_bytes),
		.size = job->from->info.capacity_bytes,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.packer.q = q,
	};
	int ret = start_threads(&p);

	disk_progress_start(&p.progress, p.size);
	while (!ret && !disk_interrupted() && (p.next < p.size || p.tail != p.head)) {
		if (p.next < p.size && p.head - p.tail < p.slots)
			ret = read_piece(&p);
		else
			ret = write_piece(&p);
	}
	end_threads(&p);
	disk_progress_end(&p.progress);
	if (!ret && disk_interrupted())
		return err_set(e, EINTR, "interrupted");
	if (!ret)
		ret = blk_flush(job->to);
	return ret < 0 ? err_errno(e, -ret, "cannot copy") : 0;
}
