/*
 * What is on disk in a qcow2 image: numbers of the format, and the header as a struct.
 *
 * Specification: QEMU's docs/interop/qcow2.rst. All numbers on disk are big-endian. Names here are
 * the specification's. Plain functions on the caller's bytes, on any thread.
 */
#ifndef SARANG_BLOCK_QCOW2_FORMAT_H
#define SARANG_BLOCK_QCOW2_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI" 0xfb */

/* "Header": its fixed parts. */
#define QCOW2_V2_HEADER_BYTES  72u
#define QCOW2_V3_HEADER_BYTES  104u
#define QCOW2_OUR_HEADER_BYTES 112u /* with compression_type and its padding */

#define QCOW2_CLUSTER_BITS_MIN     9u
#define QCOW2_CLUSTER_BITS_MAX     21u
#define QCOW2_CLUSTER_BITS_DEFAULT 16u
#define QCOW2_EXTENDED_BITS_MIN    14u
#define QCOW2_SUBCLUSTERS          32u
#define QCOW2_BACKING_NAME_MAX     1023u
#define QCOW2_L1_BYTES_MAX         (UINT64_C(32) << 20)
#define QCOW2_REFTABLE_BYTES_MAX   (UINT64_C(8) << 20)
#define QCOW2_REFCOUNT_ORDER_MAX   6u
#define QCOW2_SNAPSHOTS_MAX        65536u
#define QCOW2_SNAPSHOT_EXTRA_MAX   1024u

enum qcow2_incompatible {
	QCOW2_DIRTY = 1 << 0,
	QCOW2_CORRUPT = 1 << 1,
	QCOW2_DATA_FILE = 1 << 2,
	QCOW2_COMPRESSION = 1 << 3,
	QCOW2_EXTENDED_L2 = 1 << 4,
	QCOW2_INCOMPATIBLE_KNOWN = (1 << 5) - 1,
};

enum qcow2_compatible {
	QCOW2_LAZY_REFCOUNTS = 1 << 0,
};

enum qcow2_autoclear {
	QCOW2_BITMAPS = 1 << 0,
	QCOW2_RAW_DATA = 1 << 1,
};

enum qcow2_compression {
	QCOW2_DEFLATE = 0,
	QCOW2_ZSTD = 1,
};

/* "Header extensions" */
#define QCOW2_EXT_END            0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES  0x6803f857u
#define QCOW2_EXT_BITMAPS        0x23852875u
#define QCOW2_EXT_LUKS           0x0537be77u
#define QCOW2_EXT_DATA_FILE      0x44415441u

/* "Cluster mapping": L1 and L2 entries. */
#define QCOW2_COPIED         (UINT64_C(1) << 63)
#define QCOW2_COMPRESSED     (UINT64_C(1) << 62)
#define QCOW2_ZERO           UINT64_C(1)
#define QCOW2_OFFSET_MASK    UINT64_C(0x00fffffffffffe00) /* bits 9 to 55 */
#define QCOW2_L1_RESERVED    (UINT64_C(0x7f00000000000000) | 0x1ff)
#define QCOW2_L2_RESERVED    (UINT64_C(0x3f00000000000000) | 0x1fe)
#define QCOW2_REFTABLE_MASK  (~UINT64_C(0x1ff))
#define QCOW2_HOST_BYTES_MAX (UINT64_C(1) << 56)

struct qcow2_extension {
	uint32_t type;
	uint32_t len_bytes;
	unsigned char *bytes; /* owned */
};

/* The header, decoded. Strings are owned and NUL-terminated; NULL: not there. */
struct qcow2_header {
	uint32_t version;
	uint32_t cluster_bits;
	uint64_t size_bytes;
	uint32_t crypt_method;
	uint32_t l1_entries;
	uint64_t l1_offset;
	uint64_t reftable_offset;
	uint32_t reftable_clusters;
	uint32_t snapshot_count;
	uint64_t snapshots_offset;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order;
	uint32_t header_bytes;
	uint8_t compression;
	char *backing_name, *backing_format, *data_name;
	/* All that there are, known or not, as they were: for writing them back. */
	struct qcow2_extension *extensions;
	unsigned extension_count;
};

/* How many bytes of the file qcow2_header_parse wants, by its first 24: 0 when it is no qcow2. */
uint64_t qcow2_header_cluster_bytes(const unsigned char *bytes, size_t len);

/*
 * Decodes and checks the header of image @path in the first cluster of the file, or as much of it
 * as there is. 0, -EINVAL for what the format forbids, -ENOTSUP for what it allows and sarang does
 * not do, with a sentence. @h is to be freed with qcow2_header_free only after success.
 */
int qcow2_header_parse(struct qcow2_header *h, const unsigned char *bytes, size_t len,
		       const char *path, struct err *e);
void qcow2_header_free(struct qcow2_header *h);

/* Puts the numbers of @h over a header that is in @bytes, leaving all that is unknown there. */
void qcow2_header_patch(const struct qcow2_header *h, unsigned char *bytes);

/*
 * Encodes all of @h, with extensions and backing name, into @bytes of @len zeroes. Returns the
 * bytes used, or -ENOSPC when the cluster is too small for it.
 */
int qcow2_header_write(const struct qcow2_header *h, unsigned char *bytes, size_t len);

/* Where the header in @bytes holds its backing file's name; *@len 0: nowhere. */
void qcow2_header_find_name(const unsigned char *bytes, uint64_t *at, uint64_t *len);

/* Has the header in @bytes name the backing file @name (NULL: none), which it holds at @at. */
void qcow2_header_place_name(unsigned char *bytes, const char *name, uint64_t at);

/* Sets, replaces or (NULL) removes an extension. 0 or -ENOMEM. */
int qcow2_header_set_extension(struct qcow2_header *h, uint32_t type, const void *bytes,
			       uint32_t len);

/* Entries of the L1 table that a disk of @size_bytes needs. */
uint64_t qcow2_l1_entries_for(const struct qcow2_header *h, uint64_t size_bytes);

/* Where a compressed cluster's bytes are, by its descriptor. */
void qcow2_compressed_place(uint64_t entry, uint32_t cluster_bits, uint64_t *offset,
			    uint64_t *len_bytes);

/* One entry of a refcount block; @order is the logarithm of its width in bits. */
uint64_t qcow2_refcount_get(const unsigned char *block, uint64_t index, unsigned order);
void qcow2_refcount_put(unsigned char *block, uint64_t index, unsigned order, uint64_t value);

/* The largest count that fits. */
static inline uint64_t qcow2_refcount_max(unsigned order)
{
	return order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << order)) - 1;
}

#endif
