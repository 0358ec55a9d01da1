/*
 * A record of what reached a file, in order: for asking afterwards what a power cut would have
 * left.
 *
 * A write counts from when it was submitted, a flush covers the writes that had completed when it
 * was submitted and counts from when it completed: between the two a disk may have any of them.
 */
#ifndef SARANG_FAULT_FILE_RECORD_H
#define SARANG_FAULT_FILE_RECORD_H

#include <stddef.h>

#include "block/file.h"

struct record_entry {
	enum file_op op; /* what changes the file, and FILE_SYNC */
	const char *point;
	uint64_t offset_bytes;
	uint64_t len_bytes;
	unsigned char *bytes; /* of a write */
	bool completed;       /* and with success */
	size_t completed_at;  /* count of entries when it completed */
	size_t stable_at;     /* count of entries when a flush had covered it; SIZE_MAX: none did */
};

/* Zero-initialised is empty. Emptied with file_record_free. */
struct file_record {
	struct record_entry *entries;
	size_t count;
	size_t cap;
};

/* A file that owns @below and notes in @record. NULL: out of memory, @below untouched. */
struct file *file_record_new(struct file *below, struct file_record *record);

/* Does to @image, of @size bytes, what entry @index did to the file. */
void file_record_apply(const struct file_record *record, size_t index, unsigned char *image,
		       size_t size);

void file_record_free(struct file_record *record);

#endif
