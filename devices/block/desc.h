/*
 * Opening an image: the descriptor, the lock, and what the host says about direct I/O.
 *
 * This is where every sentence about a missing, unreadable, unsuitable or locked image comes from.
 * Blocking; called while a machine is built or checked, on any thread.
 */
#ifndef SARANG_BLOCK_DESC_H
#define SARANG_BLOCK_DESC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct file_options {
	const char *path;
	bool read_only; /* also: shared lock in place of the exclusive one */
	bool direct;    /* O_DIRECT */
};

struct file_desc {
	int fd;
	char *path;
	bool read_only;
	bool direct;
	bool block_device;
	bool temporary;          /* has no name: gone with its last descriptor, never made stable */
	uint64_t size_bytes;     /* when it was opened */
	uint32_t mem_align;      /* what buffer addresses must be multiples of; 1: anything */
	uint32_t offset_align;   /* the same of offsets and of the length of each buffer */
	uint32_t physical_bytes; /* what the storage writes without reading, at least 512 */
	uint32_t optimal_bytes;  /* preferred I/O size; 0 unknown */
	uint32_t discard_bytes;  /* granularity of discard; 0: there is none */
};

/* Opens and locks a regular file or block device. 0 or -errno with a sentence in @e. */
int file_desc_open(struct file_desc *desc, const struct file_options *options, struct err *e);

/*
 * Makes an empty file without a name, for what a guest writes over @base and nobody keeps: in
 * $TMPDIR, or /var/tmp where that is not set. However the process ends, the file ends with it. 0 or
 * -errno with a sentence in @e.
 */
int file_desc_temporary(struct file_desc *desc, const char *base, struct err *e);

/* Closes the descriptor, which also drops the lock. */
void file_desc_close(struct file_desc *desc);

#endif
