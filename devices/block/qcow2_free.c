/*
 * Giving clusters back: see qcow2_image.h.
 *
 * What is freed waits, in memory, for three things: for a flush after which nothing on disk refers
 * to it; for the operations that were under way then, which may still read or write the cluster;
 * and for the host to have punched it out of the file. Only then does its refcount drop and may it
 * be used for something else. A power cut before that leaks it.
 *
 * Operations are counted under one of two parities. When the other one has none left, the parity
 * is turned: once those of the old one have ended, nobody is left who could know the clusters that
 * were held at the turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_image.h"

#define RUNS_BEFORE_FLUSH 16384u

static bool append(struct qcow2_runs *runs, struct qcow2_run run)
{
	struct qcow2_run *last = runs->count ? &runs->list[runs->count - 1] : NULL;
	size_t cap = runs->cap ? runs->cap * 2 : 64;
	struct qcow2_run *more;

	/* Two compressed clusters may share one of the host's: those overlap and stay two runs. */
	if (last && last->offset + last->len_bytes == run.offset) {
		last->len_bytes += run.len_bytes;
		return true;
	}
	if (runs->count == runs->cap) {
		more = reallocarray(runs->list, cap, sizeof(*more));
		if (!more)
			return false;
		runs->list = more;
		runs->cap = cap;
	}
	runs->list[runs->count++] = run;
	return true;
}

static void append_or_leak(struct qcow2 *q, struct qcow2_runs *runs, struct qcow2_run run)
{
	if (!append(runs, run))
		log_limited(&q->complaints, LOG_WARN,
			    "disk %s: out of memory: space is leaked until the next check",
			    q->file->desc->path);
}

void qcow2_free_later(struct qcow2 *q, uint64_t offset, uint64_t len_bytes)
{
	uint64_t start = qcow2_cluster_down(q, offset);
	struct qcow2_run run = {start, qcow2_cluster_up(q, offset + len_bytes) - start};

	append_or_leak(q, &q->frees.fresh, run);
	if (q->frees.fresh.count >= RUNS_BEFORE_FLUSH && !q->flush.running)
		qcow2_flush_start(q, NULL);
}

void qcow2_frees_flushed(struct qcow2 *q, struct qcow2_runs *runs, int result)
{
	size_t i;

	for (i = 0; i < runs->count; i++)
		append_or_leak(q, result < 0 ? &q->frees.fresh : &q->frees.held, runs->list[i]);
	free(runs->list);
	*runs = (struct qcow2_runs){0};
	qcow2_frees_run(q);
}

static void punched(struct file_req *req, int result)
{
	struct qcow2 *q = container_of(req, struct qcow2, frees.req);

	/* A host that cannot punch holes keeps the space until it is used again. */
	(void)result;
	q->frees.punching = false;
	qcow2_frees_run(q);
	qcow2_kick(q);
}

static void punch(struct qcow2 *q, struct qcow2_run run)
{
	struct qcow2_frees *f = &q->frees;

	f->piece = run;
	f->punching = true;
	f->req = (struct file_req){
		.op = FILE_DISCARD,
		.offset_bytes = run.offset,
		.len_bytes = run.len_bytes,
		.point = "cluster_free",
		.done = punched,
	};
	file_submit(q->file, &f->req);
}

/* Counts down what was punched. 0 or QCOW2_WAIT. */
static int drop_piece(struct qcow2 *q)
{
	struct qcow2_frees *f = &q->frees;
	int ret;

	while (f->piece.len_bytes) {
		uint64_t offset = f->piece.offset;

		ret = qcow2_refcount_set(q, offset, 0, &f->waiter);
		if (ret == QCOW2_WAIT)
			return ret;
		if (ret < 0)
			log_limited(&q->complaints, LOG_WARN, "disk %s: space is leaked: %s",
				    q->file->desc->path, strerror(-ret));
		else
			q->pool.hint = MIN(q->pool.hint, offset);
		f->piece.offset += q->cluster_bytes;
		f->piece.len_bytes -= q->cluster_bytes;
		f->done_bytes += q->cluster_bytes;
	}
	return 0;
}

/*
 * Looks at the next clusters of @run: drops references that others share, and finds out how many
 * in a row are the last. 0 with *@last_bytes, QCOW2_WAIT, -errno.
 */
static int inspect(struct qcow2 *q, struct qcow2_run run, uint64_t *last_bytes)
{
	struct qcow2_frees *f = &q->frees;
	uint64_t count;
	int ret;

	*last_bytes = 0;
	while (f->done_bytes + *last_bytes < run.len_bytes) {
		uint64_t offset = run.offset + f->done_bytes + *last_bytes;

		ret = qcow2_refcount_read(q, offset, &count, &f->waiter);
		if (ret)
			return ret;
		if (count == 1) {
			*last_bytes += q->cluster_bytes;
			continue;
		}
		if (*last_bytes)
			return 0;
		if (count)
			ret = qcow2_refcount_set(q, offset, count - 1, &f->waiter);
		else
			qcow2_complain(q, "a cluster is freed that is free", offset);
		if (ret)
			return ret;
		f->done_bytes += q->cluster_bytes;
	}
	return 0;
}

/* One step: true when there may be another at once. */
static bool step(struct qcow2 *q)
{
	struct qcow2_frees *f = &q->frees;
	struct qcow2_run run;
	uint64_t last = 0;
	int ret = drop_piece(q);

	if (!ret && f->next == f->ready.count) {
		f->next = f->ready.count = 0;
		f->busy = false;
		q->internal--;
		return false;
	}
	run = f->ready.list[f->next];
	if (!ret && f->done_bytes < run.len_bytes)
		ret = inspect(q, run, &last);
	if (ret == QCOW2_WAIT) {
		f->parked = true;
		return false;
	}
	if (last) {
		punch(q, (struct qcow2_run){run.offset + f->done_bytes, last});
		return false;
	}
	/* All done, or the counts cannot be read: what is left is leaked. */
	f->next++;
	f->done_bytes = 0;
	return true;
}

static void frees_wake(struct qcow2_waiter *waiter)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, frees.waiter);

	q->frees.parked = false;
	qcow2_frees_run(q);
}

/* Makes ready what nobody under way can know any more. */
static void release_held(struct qcow2 *q)
{
	struct qcow2_frees *f = &q->frees;
	size_t i;

	while (f->held.count && !q->under_way[q->parity ^ 1]) {
		for (i = 0; i < f->sealed; i++)
			append_or_leak(q, &f->ready, f->held.list[i]);
		f->held.count -= f->sealed;
		if (f->held.count)
			memmove(f->held.list, f->held.list + f->sealed,
				f->held.count * sizeof(*f->held.list));
		f->sealed = f->held.count;
		q->parity ^= 1;
	}
}

void qcow2_frees_run(struct qcow2 *q)
{
	struct qcow2_frees *f = &q->frees;

	if (f->held.count)
		release_held(q);
	if (f->punching || f->parked)
		return;
	if (!f->busy) {
		if (f->next == f->ready.count)
			return;
		f->busy = true;
		f->waiter.run = frees_wake;
		q->internal++;
		/* What was packed there may be something else soon. */
		q->unpacked_entry = 0;
	}
	while (step(q))
		;
}

void qcow2_frees_free(struct qcow2 *q)
{
	free(q->frees.fresh.list);
	free(q->frees.held.list);
	free(q->frees.ready.list);
}
