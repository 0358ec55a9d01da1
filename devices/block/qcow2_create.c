/*
 * Making new qcow2 images: see qcow2_tools.h.
 *
 * The layout: header, refcount table, refcount blocks, L1 table, each from a cluster's start. The
 * refcount table is made large enough for the whole disk, so that it need not move later. What the
 * blocks count are these clusters themselves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_tools.h"

struct layout {
	uint64_t reftable, reftable_clusters;
	uint64_t blocks, block_clusters;
	uint64_t l1, l1_clusters;
	uint64_t end; /* all in clusters */
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static void plan(const struct qcow2_header *h, struct layout *l)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits;
	uint64_t per_block = cluster * 8 >> h->refcount_order;
	uint64_t whole = divide_up(h->size_bytes, cluster), entries;

	/* Data, its L2 tables, and some to spare; more is grown when it is needed. */
	whole += divide_up(whole, cluster / 16) + 64;
	entries = divide_up(whole, per_block) + 1;
	l->reftable_clusters =
		MIN(divide_up(entries * 8, cluster), QCOW2_REFTABLE_BYTES_MAX >> h->cluster_bits);
	l->l1_clusters = MAX(divide_up((uint64_t)h->l1_entries * 8, cluster), UINT64_C(1));
	l->block_clusters = 1;
	for (;;) {
		l->end = 1 + l->reftable_clusters + l->block_clusters + l->l1_clusters;
		if (divide_up(l->end, per_block) <= l->block_clusters)
			break;
		l->block_clusters = divide_up(l->end, per_block);
	}
	l->reftable = 1;
	l->blocks = l->reftable + l->reftable_clusters;
	l->l1 = l->blocks + l->block_clusters;
}

static int write_at(struct file *file, uint64_t cluster, const unsigned char *bytes,
		    const struct qcow2_header *h)
{
	return file_pwrite(file, cluster << h->cluster_bits, bytes, UINT64_C(1) << h->cluster_bits);
}

/* A new file is a hole; a device holds what somebody left there, which must not be taken for ours.
 */
static int clear_tables(struct file *file, const struct qcow2_header *h, const struct layout *l,
			const unsigned char *zeroes)
{
	uint64_t i;
	int ret = 0;

	if (!file->desc->block_device)
		return 0;
	for (i = l->reftable; !ret && i < l->end; i++)
		ret = write_at(file, i, zeroes, h);
	return ret;
}

static int write_tables(struct file *file, const struct qcow2_header *h, const struct layout *l)
{
	uint64_t cluster = UINT64_C(1) << h->cluster_bits, i, n;
	uint64_t per_block = cluster * 8 >> h->refcount_order;
	unsigned char *bytes = aligned_alloc(4096, MAX(cluster, UINT64_C(4096)));
	int ret = -ENOMEM;

	if (bytes) {
		memset(bytes, 0, cluster);
		ret = clear_tables(file, h, l, bytes);
	}
	for (i = 0; !ret && i < l->block_clusters; i++) {
		memset(bytes, 0, cluster);
		for (n = 0; n < per_block && i * per_block + n < l->end; n++)
			qcow2_refcount_put(bytes, n, h->refcount_order, 1);
		ret = write_at(file, l->blocks + i, bytes, h);
	}
	for (i = 0; !ret && i * cluster / 8 < l->block_clusters; i++) {
		memset(bytes, 0, cluster);
		for (n = 0; n < cluster / 8 && i * cluster / 8 + n < l->block_clusters; n++)
			put_be64(bytes + n * 8, (l->blocks + i * cluster / 8 + n)
							<< h->cluster_bits);
		ret = write_at(file, l->reftable + i, bytes, h);
	}
	if (!ret) {
		memset(bytes, 0, cluster);
		ret = qcow2_header_write(h, bytes, cluster);
	}
	if (ret >= 0)
		ret = write_at(file, 0, bytes, h);
	free(bytes);
	return ret;
}

/* The names of features, for programs that do not know them. */
static int add_feature_names(struct qcow2_header *h)
{
	static const struct {
		unsigned char type, bit;
		const char *name;
	} features[] = {
		{0, 0, "dirty bit"},
		{0, 1, "corrupt bit"},
		{0, 2, "external data file"},
		{0, 3, "compression type"},
		{0, 4, "extended L2 entries"},
		{1, 0, "lazy refcounts"},
		{2, 0, "bitmaps"},
		{2, 1, "raw external data"},
	};
	unsigned char bytes[ARRAY_SIZE(features) * 48] = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		bytes[i * 48] = features[i].type;
		bytes[i * 48 + 1] = features[i].bit;
		memcpy(bytes + i * 48 + 2, features[i].name, strlen(features[i].name));
	}
	return qcow2_header_set_extension(h, QCOW2_EXT_FEATURE_NAMES, bytes, sizeof(bytes));
}

static int fill_header(struct qcow2_header *h, const struct qcow2_create_options *o)
{
	*h = (struct qcow2_header){
		.version = o->version ? o->version : 3,
		.cluster_bits = o->cluster_bits ? o->cluster_bits : QCOW2_CLUSTER_BITS_DEFAULT,
		.size_bytes = o->size_bytes,
		.refcount_order = o->refcount_bits ? (uint32_t)__builtin_ctz(o->refcount_bits) : 4,
		.compression = o->compression,
		.header_bytes = QCOW2_OUR_HEADER_BYTES,
	};
	if (o->extended)
		h->incompatible |= QCOW2_EXTENDED_L2;
	if (o->compression)
		h->incompatible |= QCOW2_COMPRESSION;
	if (h->version == 2)
		h->header_bytes = QCOW2_V2_HEADER_BYTES;
	h->backing_name = o->backing_name ? strdup(o->backing_name) : NULL;
	if (o->backing_name && !h->backing_name)
		return -ENOMEM;
	if (o->backing_format &&
	    qcow2_header_set_extension(h, QCOW2_EXT_BACKING_FORMAT, o->backing_format,
				       (uint32_t)strlen(o->backing_format)) < 0)
		return -ENOMEM;
	if (o->data_name) {
		h->incompatible |= QCOW2_DATA_FILE;
		h->autoclear |= QCOW2_RAW_DATA;
		if (qcow2_header_set_extension(h, QCOW2_EXT_DATA_FILE, o->data_name,
					       (uint32_t)strlen(o->data_name)) < 0)
			return -ENOMEM;
	}
	/* Clusters of 512 bytes have no room for it. */
	return h->version == 3 && h->cluster_bits > 10 ? add_feature_names(h) : 0;
}

static int refuse(const struct qcow2_create_options *o, struct err *e)
{
	unsigned bits = o->cluster_bits ? o->cluster_bits : QCOW2_CLUSTER_BITS_DEFAULT;

	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		return err_set(e, EINVAL, "a qcow2 cluster is from 512 bytes to 2M");
	if (o->extended && bits < QCOW2_EXTENDED_BITS_MIN)
		return err_set(e, EINVAL, "subclusters need a cluster size of 16K or more");
	if (o->refcount_bits > 64 || (o->refcount_bits & (o->refcount_bits - 1)))
		return err_set(e, EINVAL, "a refcount has 1, 2, 4, 8, 16, 32 or 64 bits");
	if (o->version == 2 && (o->extended || o->compression || o->data_name ||
				(o->refcount_bits && o->refcount_bits != 16)))
		return err_set(e, EINVAL, "that needs qcow2 version 3");
	if (o->size_bytes > INT64_MAX - MIB(4) || o->size_bytes % 512)
		return err_set(e, EINVAL, "a disk of %llu bytes is not possible",
			       (unsigned long long)o->size_bytes);
	return 0;
}

/* An empty file of that length; a device has the one it has. */
static int set_length(struct file *file, uint64_t len)
{
	int ret;

	if (file->desc->block_device)
		return len > file->desc->size_bytes ? -ENOSPC : 0;
	ret = file->ops->resize(file, 0);
	return ret ? ret : file->ops->resize(file, len);
}

int qcow2_create(struct file *file, const struct qcow2_create_options *options, struct err *e)
{
	const char *path = file->desc->path;
	struct qcow2_header h;
	struct layout l;
	uint64_t entries;
	int ret = refuse(options, e);

	if (ret < 0)
		return ret;
	ret = fill_header(&h, options);
	entries = qcow2_l1_entries_for(&h, h.size_bytes);
	if (!ret && entries > QCOW2_L1_BYTES_MAX / 8) {
		ret = err_set(e, EFBIG,
			      "disk %s: clusters of %u bytes are too small for its size; "
			      "use larger ones",
			      path, 1u << h.cluster_bits);
		goto out;
	}
	if (!ret) {
		h.l1_entries = (uint32_t)entries;
		plan(&h, &l);
		h.reftable_offset = l.reftable << h.cluster_bits;
		h.reftable_clusters = (uint32_t)l.reftable_clusters;
		h.l1_offset = l.l1 << h.cluster_bits;
		ret = set_length(file, l.end << h.cluster_bits);
	}
	if (!ret)
		ret = write_tables(file, &h, &l);
	if (!ret)
		ret = file_wait(file, (struct file_req){.op = FILE_SYNC, .point = "flush"});
	if (ret < 0)
		ret = err_errno(e, -ret, "cannot create disk %s", path);
out:
	qcow2_header_free(&h);
	return ret;
}

struct place_step {
	uint64_t guest, len;
	struct qcow2_target target;
};

static int place_step(struct qcow2 *q, void *arg, struct qcow2_waiter *waiter)
{
	struct place_step *step = arg;

	int ret = qcow2_map_write(q, step->guest, step->len, &step->target, waiter);

	/* A data file's clusters are entered when they are written, or here. */
	return !ret && step->target.copy ? qcow2_map_link(q, &step->target, waiter) : ret;
}

/* Asks the host for all of the image file. A device is there already. */
static int reserve(struct qcow2 *q)
{
	if (q->file->desc->block_device)
		return 0;
	return file_wait(q->file, (struct file_req){.op = FILE_ALLOCATE,
						    .len_bytes = q->file_bytes,
						    .point = "cluster_alloc"});
}

int qcow2_place_all(struct qcow2 *q, uint64_t from, uint64_t to, bool (*stop)(void))
{
	struct place_step step = {.guest = from};
	int ret = 0;

	while (!ret && step.guest < to) {
		if (stop && stop())
			return -EINTR;
		step.len = to - step.guest;
		ret = qcow2_wait_for(q, place_step, &step);
		step.guest += step.target.len_bytes;
	}
	return ret;
}

int qcow2_preallocate(struct qcow2 *q, bool space, bool (*stop)(void), struct err *e)
{
	int ret;

	if (q->backing)
		return err_set(e, EINVAL, "an image with a backing file cannot be preallocated");
	q->pool.no_ahead = true;
	ret = qcow2_place_all(q, 0, q->blk.info.capacity_bytes, stop);
	if (ret == -EINTR)
		return err_set(e, EINTR, "interrupted");
	if (!ret)
		ret = qcow2_settle(q);
	/* At the end, when it is known how much it is, and in one piece. */
	if (!ret && space)
		ret = reserve(q);
	if (ret < 0)
		return err_errno(e, -ret, "cannot preallocate disk %s", q->file->desc->path);
	return 0;
}
