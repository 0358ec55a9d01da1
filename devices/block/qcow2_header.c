/*
 * The qcow2 header: see qcow2_format.h; specification sections "Header" to "Feature name table".
 *
 * What comes from the file is hostile: nothing here is believed before it is checked, and what is
 * checked once (offsets, sizes, limits) the rest of the format relies on.
 */
#include "block/qcow2_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define EXTENSIONS_MAX     64u
#define FEATURE_NAME_BYTES 48u

/* Offsets of the header's fields. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_BACKING_OFFSET = 8,
	AT_BACKING_SIZE = 16,
	AT_CLUSTER_BITS = 20,
	AT_SIZE = 24,
	AT_CRYPT_METHOD = 32,
	AT_L1_SIZE = 36,
	AT_L1_OFFSET = 40,
	AT_REFTABLE_OFFSET = 48,
	AT_REFTABLE_CLUSTERS = 56,
	AT_SNAPSHOT_COUNT = 60,
	AT_SNAPSHOTS_OFFSET = 64,
	AT_INCOMPATIBLE = 72,
	AT_COMPATIBLE = 80,
	AT_AUTOCLEAR = 88,
	AT_REFCOUNT_ORDER = 96,
	AT_HEADER_LENGTH = 100,
	AT_COMPRESSION = 104,
};

uint64_t qcow2_header_cluster_bytes(const unsigned char *bytes, size_t len)
{
	uint32_t bits;

	if (len < QCOW2_V2_HEADER_BYTES || get_be32(bytes + AT_MAGIC) != QCOW2_MAGIC)
		return 0;
	bits = get_be32(bytes + AT_CLUSTER_BITS);
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		return len;
	return UINT64_C(1) << bits;
}

static void decode(struct qcow2_header *h, const unsigned char *bytes)
{
	h->version = get_be32(bytes + AT_VERSION);
	h->cluster_bits = get_be32(bytes + AT_CLUSTER_BITS);
	h->size_bytes = get_be64(bytes + AT_SIZE);
	h->crypt_method = get_be32(bytes + AT_CRYPT_METHOD);
	h->l1_entries = get_be32(bytes + AT_L1_SIZE);
	h->l1_offset = get_be64(bytes + AT_L1_OFFSET);
	h->reftable_offset = get_be64(bytes + AT_REFTABLE_OFFSET);
	h->reftable_clusters = get_be32(bytes + AT_REFTABLE_CLUSTERS);
	h->snapshot_count = get_be32(bytes + AT_SNAPSHOT_COUNT);
	h->snapshots_offset = get_be64(bytes + AT_SNAPSHOTS_OFFSET);
	h->header_bytes = QCOW2_V2_HEADER_BYTES;
	h->refcount_order = 4;
}

static int decode_v3(struct qcow2_header *h, const unsigned char *bytes, size_t len,
		     const char *path, struct err *e)
{
	if (len < QCOW2_V3_HEADER_BYTES)
		return err_set(e, EINVAL, "disk %s: its qcow2 header is cut short", path);
	h->incompatible = get_be64(bytes + AT_INCOMPATIBLE);
	h->compatible = get_be64(bytes + AT_COMPATIBLE);
	h->autoclear = get_be64(bytes + AT_AUTOCLEAR);
	h->refcount_order = get_be32(bytes + AT_REFCOUNT_ORDER);
	h->header_bytes = get_be32(bytes + AT_HEADER_LENGTH);
	if (h->header_bytes < QCOW2_V3_HEADER_BYTES || h->header_bytes % 8 || h->header_bytes > len)
		return err_set(e, EINVAL, "disk %s: a qcow2 header of %u bytes is not valid", path,
			       h->header_bytes);
	if (h->header_bytes > AT_COMPRESSION)
		h->compression = bytes[AT_COMPRESSION];
	return 0;
}

/* What the image itself calls a feature that we do not know. */
static void feature_name(const struct qcow2_header *h, unsigned bit, char name[FEATURE_NAME_BYTES])
{
	unsigned i;
	uint32_t at;

	strcpy(name, "unnamed");
	for (i = 0; i < h->extension_count; i++) {
		const struct qcow2_extension *x = &h->extensions[i];

		for (at = 0; x->type == QCOW2_EXT_FEATURE_NAMES && at + 48 <= x->len_bytes;
		     at += 48)
			if (x->bytes[at] == 0 && x->bytes[at + 1] == bit) {
				memcpy(name, x->bytes + at + 2, 46);
				name[46] = '\0';
				text_make_printable(name);
			}
	}
}

static int check_features(const struct qcow2_header *h, const char *path, struct err *e)
{
	uint64_t unknown = h->incompatible & ~(uint64_t)QCOW2_INCOMPATIBLE_KNOWN;
	bool compressed = h->incompatible & QCOW2_COMPRESSION;
	char name[FEATURE_NAME_BYTES];

	if (unknown) {
		unsigned bit = (unsigned)__builtin_ctzll(unknown);

		feature_name(h, bit, name);
		return err_set(e, ENOTSUP,
			       "disk %s needs the qcow2 feature \"%s\" (incompatible bit %u), "
			       "which sarang does not have",
			       path, name, bit);
	}
	if (h->crypt_method)
		return err_set(e, ENOTSUP,
			       "disk %s is encrypted (%s), which sarang does not support", path,
			       h->crypt_method == 1   ? "AES"
			       : h->crypt_method == 2 ? "LUKS"
						      : "unknown method");
	if (h->compression > QCOW2_ZSTD)
		return err_set(e, ENOTSUP, "disk %s: compression type %u is unknown", path,
			       h->compression);
	if (compressed != (h->compression != QCOW2_DEFLATE))
		return err_set(e, EINVAL,
			       "disk %s: its compression type and feature bit contradict", path);
	if ((h->autoclear & QCOW2_RAW_DATA) &&
	    (!(h->incompatible & QCOW2_DATA_FILE) || h->backing_name))
		return err_set(e, EINVAL,
			       "disk %s: raw external data without a data file, or with a backing "
			       "file, is not valid",
			       path);
	return 0;
}

static int check_table(const struct qcow2_header *h, uint64_t offset, uint64_t bytes,
		       const char *what, const char *path, struct err *e)
{
	uint64_t mask = (UINT64_C(1) << h->cluster_bits) - 1;

	if ((offset & mask) || !range_inside(offset, bytes, QCOW2_HOST_BYTES_MAX))
		return err_set(e, EINVAL, "disk %s: its %s at offset %llu is not valid", path, what,
			       (unsigned long long)offset);
	return 0;
}

static int check_geometry(const struct qcow2_header *h, const char *path, struct err *e)
{
	uint64_t reftable = (uint64_t)h->reftable_clusters << h->cluster_bits;
	int ret;

	if ((h->incompatible & QCOW2_EXTENDED_L2) && h->cluster_bits < QCOW2_EXTENDED_BITS_MIN)
		return err_set(e, EINVAL,
			       "disk %s: clusters of %u bytes are too small for subclusters", path,
			       1u << h->cluster_bits);
	if (h->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
		return err_set(e, EINVAL, "disk %s: a refcount width of 2^%u bits is not valid",
			       path, h->refcount_order);
	if (h->size_bytes > INT64_MAX)
		return err_set(e, EFBIG, "disk %s: a size of %llu bytes is not possible", path,
			       (unsigned long long)h->size_bytes);
	if (!reftable || reftable > QCOW2_REFTABLE_BYTES_MAX || !h->reftable_offset)
		return err_set(e, EINVAL,
			       "disk %s: a refcount table of %llu bytes is not valid (1 cluster to "
			       "8 MiB are)",
			       path, (unsigned long long)reftable);
	if (h->l1_entries > QCOW2_L1_BYTES_MAX / 8)
		return err_set(e, EFBIG, "disk %s: an L1 table of %u entries is too large", path,
			       h->l1_entries);
	if (h->l1_entries < qcow2_l1_entries_for(h, h->size_bytes))
		return err_set(e, EINVAL,
			       "disk %s: an L1 table of %u entries is too small for %llu bytes",
			       path, h->l1_entries, (unsigned long long)h->size_bytes);
	if (h->snapshot_count > QCOW2_SNAPSHOTS_MAX)
		return err_set(e, EINVAL, "disk %s: %u snapshots are too many", path,
			       h->snapshot_count);
	ret = check_table(h, h->reftable_offset, reftable, "refcount table", path, e);
	if (!ret)
		ret = check_table(h, h->l1_offset, (uint64_t)h->l1_entries * 8, "L1 table", path,
				  e);
	if (!ret && h->snapshot_count)
		ret = check_table(h, h->snapshots_offset, 1, "snapshot table", path, e);
	return ret;
}

static char *text_from(const unsigned char *bytes, size_t len)
{
	char *text = malloc(len + 1);

	if (text) {
		memcpy(text, bytes, len);
		text[len] = '\0';
	}
	return text;
}

static int add_extension(struct qcow2_header *h, uint32_t type, const void *bytes, uint32_t len)
{
	struct qcow2_extension *list;
	unsigned char *copy = malloc(len + 1u);

	list = reallocarray(h->extensions, h->extension_count + 1, sizeof(*list));
	if (list)
		h->extensions = list;
	if (!copy || !list) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, bytes, len);
	list[h->extension_count++] = (struct qcow2_extension){type, len, copy};
	return 0;
}

static int note_extension(struct qcow2_header *h, uint32_t type, const unsigned char *bytes,
			  uint32_t len)
{
	char **text = NULL;

	if (type == QCOW2_EXT_BACKING_FORMAT)
		text = &h->backing_format;
	else if (type == QCOW2_EXT_DATA_FILE)
		text = &h->data_name;
	if (text) {
		/* Twice the same is an error that shows as the last one counting. */
		free(*text);
		*text = text_from(bytes, len);
		if (!*text)
			return -ENOMEM;
	}
	return add_extension(h, type, bytes, len);
}

static int parse_extensions(struct qcow2_header *h, const unsigned char *bytes, size_t end,
			    const char *path, struct err *e)
{
	uint64_t at = h->header_bytes;

	while (at + 8 <= end) {
		uint32_t type = get_be32(bytes + at), len = get_be32(bytes + at + 4);

		if (type == QCOW2_EXT_END)
			return 0;
		at += 8;
		if (len > end - at)
			return err_set(e, EINVAL,
				       "disk %s: header extension 0x%08x of %u bytes is longer "
				       "than its cluster",
				       path, type, len);
		if (h->extension_count == EXTENSIONS_MAX)
			return err_set(e, EINVAL, "disk %s: more than %u header extensions", path,
				       EXTENSIONS_MAX);
		if (note_extension(h, type, bytes + at, len) < 0)
			return err_set(e, ENOMEM, "out of memory");
		at = align_up(at + len, 8);
	}
	return 0;
}

/* Reads the backing name; *@end becomes where the extensions must have ended. */
static int parse_backing(struct qcow2_header *h, const unsigned char *bytes, size_t len,
			 size_t *end, struct err *e, const char *path)
{
	uint64_t offset = get_be64(bytes + AT_BACKING_OFFSET);
	uint32_t size = get_be32(bytes + AT_BACKING_SIZE);

	if (!offset)
		return 0;
	if (size > QCOW2_BACKING_NAME_MAX || !range_inside(offset, size, len) ||
	    offset < h->header_bytes)
		return err_set(e, EINVAL,
			       "disk %s: the place of its backing file's name is not valid", path);
	if (!size)
		return 0;
	*end = (size_t)offset;
	h->backing_name = text_from(bytes + offset, size);
	if (!h->backing_name)
		return err_set(e, ENOMEM, "out of memory");
	if (strlen(h->backing_name) != size)
		return err_set(e, EINVAL, "disk %s: its backing file's name holds a NUL", path);
	return 0;
}

int qcow2_header_parse(struct qcow2_header *h, const unsigned char *bytes, size_t len,
		       const char *path, struct err *e)
{
	size_t end;
	int ret = 0;

	*h = (struct qcow2_header){0};
	if (len < QCOW2_V2_HEADER_BYTES || get_be32(bytes) != QCOW2_MAGIC)
		return err_set(e, EINVAL, "disk %s is not a qcow2 image", path);
	decode(h, bytes);
	if (h->version != 2 && h->version != 3)
		return err_set(e, ENOTSUP, "disk %s: qcow2 version %u is unknown", path,
			       h->version);
	if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
		return err_set(e, EINVAL,
			       "disk %s: clusters of 2^%u bytes are not valid (2^9 to 2^21 are)",
			       path, h->cluster_bits);
	len = MIN(len, (size_t)1 << h->cluster_bits);
	if (h->version == 3)
		ret = decode_v3(h, bytes, len, path, e);
	end = len;
	if (!ret)
		ret = parse_backing(h, bytes, len, &end, e, path);
	if (!ret)
		ret = parse_extensions(h, bytes, end, path, e);
	if (!ret)
		ret = check_features(h, path, e);
	if (!ret)
		ret = check_geometry(h, path, e);
	if (ret < 0)
		qcow2_header_free(h);
	return ret;
}

void qcow2_header_free(struct qcow2_header *h)
{
	unsigned i;

	for (i = 0; i < h->extension_count; i++)
		free(h->extensions[i].bytes);
	free(h->extensions);
	free(h->backing_name);
	free(h->backing_format);
	free(h->data_name);
	*h = (struct qcow2_header){0};
}

void qcow2_header_patch(const struct qcow2_header *h, unsigned char *bytes)
{
	put_be32(bytes + AT_MAGIC, QCOW2_MAGIC);
	put_be32(bytes + AT_VERSION, h->version);
	put_be32(bytes + AT_CLUSTER_BITS, h->cluster_bits);
	put_be64(bytes + AT_SIZE, h->size_bytes);
	put_be32(bytes + AT_CRYPT_METHOD, h->crypt_method);
	put_be32(bytes + AT_L1_SIZE, h->l1_entries);
	put_be64(bytes + AT_L1_OFFSET, h->l1_offset);
	put_be64(bytes + AT_REFTABLE_OFFSET, h->reftable_offset);
	put_be32(bytes + AT_REFTABLE_CLUSTERS, h->reftable_clusters);
	put_be32(bytes + AT_SNAPSHOT_COUNT, h->snapshot_count);
	put_be64(bytes + AT_SNAPSHOTS_OFFSET, h->snapshots_offset);
	if (h->version < 3)
		return;
	put_be64(bytes + AT_INCOMPATIBLE, h->incompatible);
	put_be64(bytes + AT_COMPATIBLE, h->compatible);
	put_be64(bytes + AT_AUTOCLEAR, h->autoclear);
	put_be32(bytes + AT_REFCOUNT_ORDER, h->refcount_order);
	put_be32(bytes + AT_HEADER_LENGTH, h->header_bytes);
	if (h->header_bytes > AT_COMPRESSION)
		bytes[AT_COMPRESSION] = h->compression;
}

int qcow2_header_write(const struct qcow2_header *h, unsigned char *bytes, size_t len)
{
	size_t at = h->header_bytes, name = h->backing_name ? strlen(h->backing_name) : 0;
	unsigned i;

	if (at > len)
		return -ENOSPC;
	qcow2_header_patch(h, bytes);
	for (i = 0; i < h->extension_count; i++) {
		const struct qcow2_extension *x = &h->extensions[i];

		if (x->len_bytes > len || at + 16 + align_up(x->len_bytes, 8) > len)
			return -ENOSPC;
		put_be32(bytes + at, x->type);
		put_be32(bytes + at + 4, x->len_bytes);
		memcpy(bytes + at + 8, x->bytes, x->len_bytes);
		at += 8 + align_up(x->len_bytes, 8);
	}
	/* The end of the extensions: 8 bytes of zeroes, which are there. */
	at += 8;
	if (name > QCOW2_BACKING_NAME_MAX || at + name > len)
		return -ENOSPC;
	qcow2_header_place_name(bytes, h->backing_name, at);
	return (int)(at + name);
}

void qcow2_header_find_name(const unsigned char *bytes, uint64_t *at, uint64_t *len)
{
	*at = get_be64(bytes + AT_BACKING_OFFSET);
	*len = *at ? get_be32(bytes + AT_BACKING_SIZE) : 0;
}

void qcow2_header_place_name(unsigned char *bytes, const char *name, uint64_t at)
{
	size_t len = name ? strlen(name) : 0;

	put_be64(bytes + AT_BACKING_OFFSET, len ? at : 0);
	put_be32(bytes + AT_BACKING_SIZE, (uint32_t)len);
	if (len)
		memcpy(bytes + at, name, len);
}

int qcow2_header_set_extension(struct qcow2_header *h, uint32_t type, const void *bytes,
			       uint32_t len)
{
	unsigned i, kept = 0;

	for (i = 0; i < h->extension_count; i++) {
		if (h->extensions[i].type == type)
			free(h->extensions[i].bytes);
		else
			h->extensions[kept++] = h->extensions[i];
	}
	h->extension_count = kept;
	return bytes ? add_extension(h, type, bytes, len) : 0;
}

uint64_t qcow2_l1_entries_for(const struct qcow2_header *h, uint64_t size_bytes)
{
	unsigned entry_bits = h->incompatible & QCOW2_EXTENDED_L2 ? 4 : 3;
	unsigned shift = 2 * h->cluster_bits - entry_bits;
	uint64_t whole = size_bytes >> shift;

	return whole + ((size_bytes & ((UINT64_C(1) << shift) - 1)) != 0);
}

void qcow2_compressed_place(uint64_t entry, uint32_t cluster_bits, uint64_t *offset,
			    uint64_t *len_bytes)
{
	unsigned x = 62 - (cluster_bits - 8);
	uint64_t sectors = (entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> x;

	*offset = entry & ((UINT64_C(1) << x) - 1);
	*len_bytes = (sectors + 1) * 512 - (*offset & 511);
}
