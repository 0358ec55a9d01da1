/* L2 entries, decoded: shared by the files that look at them (qcow2_map.c) and change them. */
#ifndef SARANG_BLOCK_QCOW2_ENTRY_H
#define SARANG_BLOCK_QCOW2_ENTRY_H

#include "base/bytes.h"
#include "block/qcow2_image.h"

enum qcow2_entry_kind {
	QCOW2_ENTRY_NONE,
	QCOW2_ENTRY_ZERO,
	QCOW2_ENTRY_DATA,
	QCOW2_ENTRY_COMPRESSED,
	QCOW2_ENTRY_EXTENDED, /* see its bitmap */
};

struct qcow2_entry {
	enum qcow2_entry_kind kind;
	uint64_t word;
	uint64_t bitmap; /* of subclusters */
	uint64_t host;
	bool copied; /* ours alone: may be written in place */
	bool placed; /* has a host cluster; an external file's is at offset 0 for guest 0 */
};

static inline uint64_t qcow2_entry_word(const struct qcow2 *q, const struct qcow2_table *t,
					uint64_t index)
{
	return get_be64(t->bytes + index * q->entry_bytes);
}

static inline uint64_t qcow2_entry_bitmap(const struct qcow2 *q, const struct qcow2_table *t,
					  uint64_t index)
{
	return get_be64(t->bytes + index * q->entry_bytes + 8);
}

static inline void qcow2_entry_put(struct qcow2_table *t, uint64_t index, uint64_t word,
				   uint64_t bitmap)
{
	const struct qcow2 *q = t->q;

	put_be64(t->bytes + index * q->entry_bytes, word);
	if (q->extended)
		put_be64(t->bytes + index * q->entry_bytes + 8, bitmap);
	qcow2_table_dirty(t, index * q->entry_bytes, q->entry_bytes);
}

/* Decodes entry @index of @t. 0, or -EIO where it is not valid, which is in the log then. */
int qcow2_entry_classify(struct qcow2 *q, const struct qcow2_table *t, uint64_t index,
			 struct qcow2_entry *entry);

/* What subcluster @sub of an extended entry is. */
enum qcow2_extent_kind qcow2_subcluster_kind(const struct qcow2_entry *entry, unsigned sub);

#endif
