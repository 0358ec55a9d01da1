/*
 * Writing compressed clusters: see qcow2_tools.h, and "Compressed Clusters Descriptor" of the
 * specification. They stand one behind the other, byte by byte, and several share a host cluster,
 * which is counted once for each.
 */
#include <errno.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/util.h"
#include "block/qcow2_entry.h"
#include "block/qcow2_tools.h"

/* A window of 4 KiB: what the format's readers allow for. */
#define WINDOW_BITS 12
#define MEMORY      9
#define SECTOR      512u

/* What does not save a sector is not worth it. */
static uint64_t room_of(const struct qcow2 *q)
{
	return q->cluster_bytes - 1;
}

static int64_t deflate_all(const struct qcow2 *q, const unsigned char *cluster, unsigned char *out)
{
	z_stream z = {
		.next_in = (unsigned char *)cluster,
		.avail_in = (uInt)q->cluster_bytes,
		.next_out = out,
		.avail_out = (uInt)room_of(q),
	};
	int ret;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -WINDOW_BITS, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	ret = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return ret == Z_STREAM_END ? (int64_t)(room_of(q) - z.avail_out) : -ENOSPC;
}

static int64_t zstd_all(const struct qcow2 *q, const unsigned char *cluster, unsigned char *out)
{
	size_t ret = ZSTD_compress(out, room_of(q), cluster, q->cluster_bytes, ZSTD_CLEVEL_DEFAULT);

	if (!ZSTD_isError(ret))
		return (int64_t)ret;
	return ZSTD_getErrorCode(ret) == ZSTD_error_memory_allocation ? -ENOMEM : -ENOSPC;
}

int64_t qcow2_pack(const struct qcow2 *q, const unsigned char *cluster, unsigned char *out)
{
	return q->h.compression == QCOW2_ZSTD ? zstd_all(q, cluster, out)
					      : deflate_all(q, cluster, out);
}

struct share_step {
	uint64_t host;
};

/* Counts one more for a cluster that is used already. -ERANGE when it has no room for that. */
static int share_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	uint64_t host = ((struct share_step *)arg)->host, count;
	int ret = qcow2_refcount_read(q, host, &count, waiter);

	if (!ret && count == qcow2_refcount_max(q->h.refcount_order))
		ret = -ERANGE;
	return ret ? ret : qcow2_refcount_set(q, host, count + 1, waiter);
}

/* Goes on in another cluster: the next one where that is free, so that what follows may span both.
 */
static int more_room(struct qcow2_packer *p, bool span)
{
	uint64_t host;
	int ret = qcow2_take_run(p->q, 1, &host);

	if (ret)
		return ret;
	if (!span || host != p->end)
		p->at = host;
	p->end = host + p->q->cluster_bytes;
	return 0;
}

/* A place for @len bytes, counted. */
static int place(struct qcow2_packer *p, uint64_t len, uint64_t *offset)
{
	uint64_t cluster = p->q->cluster_bytes;
	struct share_step step;
	int ret = 0;

	/* What is left of a cluster that others are in. */
	if (p->at < p->end) {
		step.host = qcow2_cluster_down(p->q, p->at);
		ret = qcow2_wait_for(p->q, share_step, &step);
		if (ret == -ERANGE) {
			p->at = p->end;
			ret = 0;
		} else if (!ret && p->end - p->at < len) {
			ret = more_room(p, true);
			/* Elsewhere: then nothing is put into the rest. */
			if (!ret && p->at + cluster == p->end)
				qcow2_free_later(p->q, step.host, cluster);
		}
	}
	if (!ret && p->at == p->end)
		ret = more_room(p, false);
	*offset = p->at;
	p->at += len;
	return ret;
}

struct enter_step {
	uint64_t guest, word;
};

static int enter_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	const struct enter_step *step = arg;
	uint64_t index = qcow2_l2_index(q, step->guest);
	struct qcow2_table *t;
	int ret = qcow2_l2_for_write(q, step->guest >> qcow2_l2_shift(q), &t, waiter);

	if (!ret && qcow2_entry_word(q, t, index))
		ret = -EEXIST;
	if (!ret)
		qcow2_entry_put(t, index, step->word, 0);
	return ret;
}

int qcow2_put_packed(struct qcow2_packer *p, uint64_t guest, const unsigned char *packed,
		     uint64_t len)
{
	struct qcow2 *q = p->q;
	unsigned shift = 62 - (q->cluster_bits - 8);
	struct enter_step step = {.guest = guest};
	uint64_t offset, sectors;
	int ret = place(p, len, &offset);

	if (ret)
		return ret;
	sectors = (offset + len - 1) / SECTOR - offset / SECTOR;
	if (offset >> shift)
		return -EFBIG;
	ret = file_pwrite(q->file, offset, packed, len);
	if (ret)
		return ret;
	step.word = QCOW2_COMPRESSED | sectors << shift | offset;
	return qcow2_wait_for(q, enter_step, &step);
}
