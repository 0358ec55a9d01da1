/* sarang disk info and disk map. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/size.h"
#include "base/util.h"
#include "block/qcow2_chain.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"

static json_t *describe_qcow2(const struct qcow2_header *h)
{
	json_t *o = json_object();
	char name[] = "deflate";

	if (h->compression == QCOW2_ZSTD)
		strcpy(name, "zstd");
	json_object_set_new(o, "version", json_integer(h->version));
	json_object_set_new(o, "cluster-size", json_integer((json_int_t)1 << h->cluster_bits));
	json_object_set_new(o, "refcount-bits", json_integer(1 << h->refcount_order));
	json_object_set_new(o, "compression", json_string(name));
	json_object_set_new(o, "extended-l2",
			    json_boolean((h->incompatible & QCOW2_EXTENDED_L2) != 0));
	json_object_set_new(o, "lazy-refcounts",
			    json_boolean((h->compatible & QCOW2_LAZY_REFCOUNTS) != 0));
	json_object_set_new(o, "dirty", json_boolean((h->incompatible & QCOW2_DIRTY) != 0));
	json_object_set_new(o, "corrupt", json_boolean((h->incompatible & QCOW2_CORRUPT) != 0));
	json_object_set_new(o, "snapshots", json_integer(h->snapshot_count));
	if (h->backing_name)
		json_object_set_new(o, "backing-file", disk_json_text(h->backing_name));
	if (h->backing_format)
		json_object_set_new(o, "backing-format", disk_json_text(h->backing_format));
	if (h->data_name)
		json_object_set_new(o, "data-file", disk_json_text(h->data_name));
	return o;
}

static void print_flags(const struct qcow2_header *h)
{
	printf("  version %u, clusters of %u bytes, refcounts of %u bits, %s%s%s\n", h->version,
	       1u << h->cluster_bits, 1u << h->refcount_order,
	       h->compression == QCOW2_ZSTD ? "zstd" : "deflate",
	       h->incompatible & QCOW2_EXTENDED_L2 ? ", extended L2" : "",
	       h->compatible & QCOW2_LAZY_REFCOUNTS ? ", lazy refcounts" : "");
	if (h->incompatible & QCOW2_DIRTY)
		printf("  not closed properly: its refcounts are checked when it is next "
		       "written\n");
	if (h->incompatible & QCOW2_CORRUPT)
		printf("  marked as corrupt\n");
	if (h->snapshot_count)
		printf("  %u snapshots\n", h->snapshot_count);
}

static void print_one(const char *path, const char *format, uint64_t size, uint64_t used,
		      const struct qcow2_header *h)
{
	char text[SIZE_TEXT_MAX], name[QCOW2_BACKING_NAME_MAX + 1];

	printf("%s: %s, %s (%" PRIu64 " bytes)", path, format, size_format(size, text), size);
	printf(", %.1f MiB on disk\n", (double)used / (double)MIB(1));
	if (!h)
		return;
	print_flags(h);
	if (h->backing_name) {
		snprintf(name, sizeof(name), "%s", h->backing_name);
		text_make_printable(name);
		printf("  over %s (%.16s)\n", name, h->backing_format ? h->backing_format : "?");
	}
	if (h->data_name) {
		snprintf(name, sizeof(name), "%s", h->data_name);
		text_make_printable(name);
		printf("  data in %s\n", name);
	}
}

/* An image of a chain: its path and the format it is said to have (NULL: nobody said). Both owned.
 */
struct link {
	char *path;
	char *format;
};

static void link_free(struct link *link)
{
	free(link->path);
	free(link->format);
}

/* One image; its backing file in @next, whose path stays NULL where there is none. */
static int show(const struct disk_settings *settings, const struct link *link, json_t *list,
		struct link *next, struct err *e)
{
	const char *path = link->path;
	const char *format = disk_read_format(path, link->format, e);
	struct file_options options = {.path = path, .read_only = true};
	struct blk_options chain = {.path = path, .backing_ok = settings->backing_ok};
	struct qcow2_header h = {0};
	struct file_desc desc;
	struct stat st;
	bool qcow2;
	int ret;

	if (!format)
		return -EINVAL;
	qcow2 = !strcmp(format, "qcow2");
	ret = file_desc_open(&desc, &options, e);
	if (ret < 0)
		return ret;
	if (qcow2)
		ret = qcow2_read_header(&desc, &h, NULL, e);
	if (!ret && fstat(desc.fd, &st) == 0) {
		uint64_t size = qcow2 ? h.size_bytes : desc.size_bytes;
		uint64_t used = (uint64_t)st.st_blocks * 512;

		if (settings->json) {
			json_t *o = qcow2 ? describe_qcow2(&h) : json_object();

			json_object_set_new(o, "file", disk_json_text(path));
			json_object_set_new(o, "format", json_string(format));
			json_object_set_new(o, "size", json_integer((json_int_t)size));
			json_object_set_new(o, "allocated", json_integer((json_int_t)used));
			json_array_append_new(list, o);
		} else {
			print_one(path, format, size, used, qcow2 ? &h : NULL);
		}
	}
	if (!ret && settings->chain && h.backing_name) {
		ret = qcow2_chain_path(path, h.backing_name, "backing file", &chain, &next->path,
				       e);
		next->format = h.backing_format ? strdup(h.backing_format) : NULL;
	}
	qcow2_header_free(&h);
	file_desc_close(&desc);
	return ret;
}

#define CHAIN_MAX 64

static int run_info(const struct disk_settings *settings, char *const *operands, size_t count,
		    struct err *e)
{
	struct link link = {
		.path = strdup(operands[0]),
		.format = settings->format ? strdup(settings->format) : NULL,
	};
	json_t *list = json_array();
	int ret = 0, depth;

	(void)count;
	for (depth = 0; !ret && link.path; depth++) {
		struct link next = {0};

		if (depth == CHAIN_MAX)
			ret = err_set(e, ELOOP, "disk %s: the chain of backing files has no end",
				      operands[0]);
		else
			ret = show(settings, &link, list, &next, e);
		link_free(&link);
		link = next;
	}
	link_free(&link);
	if (!ret && settings->json) {
		json_dumpf(settings->chain ? list : json_array_get(list, 0), stdout,
			   JSON_INDENT(2));
		printf("\n");
	}
	json_decref(list);
	return ret;
}

const struct disk_verb disk_info = {
	.name = "info",
	.usage = "[-f FORMAT] [--chain] [--json] FILE",
	.options = " format chain json backing-ok ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run_info,
};

static const char *const kind_names[] = {
	[BLK_EXTENT_DATA] = "data", [BLK_EXTENT_ZERO] = "zero", [BLK_EXTENT_HOLE] = "hole"};

static int run_map(const struct disk_settings *settings, char *const *operands, size_t count,
		   struct err *e)
{
	struct blk_options options = {.path = operands[0],
				      .read_only = true,
				      .backing_ok = settings->backing_ok};
	uint64_t at, len, start = 0;
	enum blk_extent_kind kind, last = BLK_EXTENT_DATA;
	bool first = true;
	struct disk disk;
	int ret;

	(void)count;
	options.format = disk_read_format(operands[0], settings->format, e);
	ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
	if (ret < 0)
		return ret;
	printf("%s", settings->json ? "[" : "");
	for (at = 0; !ret && at <= disk.blk->info.capacity_bytes; at += len) {
		bool end = at == disk.blk->info.capacity_bytes;

		len = disk.blk->info.capacity_bytes - at;
		kind = last;
		if (!end)
			ret = blk_extent(disk.blk, at, &len, &kind);
		if (!ret && at && (end || kind != last)) {
			printf(settings->json ? "%s{\"start\": %" PRIu64 ", \"length\": %" PRIu64
						", \"kind\": \"%s\"}"
					      : "%s%14" PRIu64 " %14" PRIu64 " %s\n",
			       settings->json && !first ? ",\n " : "", start, at - start,
			       kind_names[last]);
			first = false;
			start = at;
		}
		last = kind;
		if (end)
			break;
	}
	printf("%s", settings->json ? "]\n" : "");
	disk_close(&disk);
	return ret < 0 ? err_errno(e, -ret, "cannot map disk %s", operands[0]) : 0;
}

const struct disk_verb disk_map = {
	.name = "map",
	.usage = "[-f FORMAT] [--json] FILE",
	.options = " format json backing-ok ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run_map,
};
