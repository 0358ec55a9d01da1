/*
 * sarang disk measure: how large a file a new image would become. The figures are qemu-img's: the
 * second is a fully preallocated image, the first that without the clusters that are not needed.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"
#include "cli/disk_copy.h"

#define REFCOUNT_BYTES 2u

struct measure {
	uint64_t size, cluster;
	uint64_t required, full;
};

static uint64_t divide_up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

/* Clusters of the refcount table and blocks that count @clusters and themselves. */
static uint64_t refcount_clusters(uint64_t clusters, uint64_t cluster)
{
	uint64_t blocks = 0, table = 0, last;

	do {
		last = blocks + table;
		blocks = divide_up(clusters + last, cluster / REFCOUNT_BYTES);
		table = divide_up(blocks, cluster / 8);
	} while (blocks + table != last);
	return blocks + table;
}

/* A qcow2 with all clusters allocated. */
static void full_qcow2(struct measure *m)
{
	uint64_t data = divide_up(m->size, m->cluster), per_table = m->cluster / 8;
	uint64_t l2 = divide_up(data, per_table), l1 = divide_up(l2, per_table);
	uint64_t clusters = 1 + l2 + l1 + data;

	m->full = (clusters + refcount_clusters(clusters, m->cluster)) * m->cluster;
}

/* Bytes of the clusters that hold something. */
static int count_used(struct blk *blk, uint64_t cluster, uint64_t *used)
{
	uint64_t size = blk->info.capacity_bytes, at, len;
	enum blk_extent_kind kind;
	int ret = 0;

	*used = 0;
	for (at = 0; !ret && at < size; at += len) {
		len = size - at;
		ret = disk_extent(blk, at, &len, false, &kind);
		if (ret || kind != BLK_EXTENT_DATA)
			continue;
		len = align_up(at + len, cluster) - at;
		*used += at % cluster + len;
	}
	return ret;
}

static int measure_qcow2(struct measure *m, struct blk *blk, struct err *e)
{
	uint64_t used = 0;
	int ret;

	if (divide_up(divide_up(m->size, m->cluster), m->cluster / 8) > QCOW2_L1_BYTES_MAX / 8)
		return err_set(e, EFBIG,
			       "clusters of %" PRIu64 " bytes are too small for %" PRIu64 " bytes",
			       m->cluster, m->size);
	full_qcow2(m);
	ret = blk ? count_used(blk, m->cluster, &used) : 0;
	m->required = m->full - divide_up(m->size, m->cluster) * m->cluster + used;
	return ret < 0 ? err_errno(e, -ret, "cannot find out what the disk holds") : 0;
}

static void show(const struct measure *m, bool json)
{
	json_t *o;

	if (!json) {
		printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n",
		       m->required, m->full);
		return;
	}
	o = json_pack("{s:I, s:I}", "required", (json_int_t)m->required, "fully-allocated",
		      (json_int_t)m->full);
	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
}

static int check(const struct disk_settings *s, size_t count, struct err *e)
{
	if (!s->out_format)
		return err_set(e, EINVAL,
			       "disk measure needs the new image's format: -O raw or -O qcow2");
	if (!!s->size_bytes == !!count)
		return err_set(e, EINVAL, "disk measure takes a FILE, or --size SIZE");
	if (s->cluster_bytes &&
	    (strcmp(s->out_format, "qcow2") || (s->cluster_bytes & (s->cluster_bytes - 1)) ||
	     s->cluster_bytes < 512 || s->cluster_bytes > MIB(2)))
		return err_set(e, EINVAL,
			       "--cluster is a power of two, from 512 to 2M, of a qcow2");
	if (s->size_bytes > INT64_MAX - MIB(4))
		return err_set(e, EFBIG, "no disk is that large");
	return 0;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options options = {.path = count ? operands[0] : NULL,
				      .read_only = true,
				      .backing_ok = settings->backing_ok};
	struct measure m = {
		.size = settings->size_bytes,
		.cluster = settings->cluster_bytes ? settings->cluster_bytes : KIB(64),
	};
	struct disk disk = {0};
	int ret = check(settings, count, e);

	if (ret < 0)
		return ret;
	if (count) {
		options.format = disk_read_format(operands[0], settings->format, e);
		ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
		if (ret < 0)
			return ret;
		m.size = disk.blk->info.capacity_bytes;
	}
	if (!strcmp(settings->out_format, "qcow2"))
		ret = measure_qcow2(&m, disk.blk, e);
	else
		m.required = m.full = align_up(m.size, 512);
	disk_close(&disk);
	if (!ret)
		show(&m, settings->json);
	return ret;
}

const struct disk_verb disk_measure = {
	.name = "measure",
	.usage = "[-f FORMAT] -O FORMAT [--cluster SIZE] [--json] FILE|--size SIZE",
	.options = " format output-format cluster size json backing-ok ",
	.operands_min = 0,
	.operands_max = 1,
	.run = run,
};
