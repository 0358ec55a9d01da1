/*
 * What a disk format is to blk.c: a name, and how to open it on a file that is open and locked.
 *
 * A new format (qcow2) is one more row in the table of blk.c; front-ends and tools see struct blk.
 */
#ifndef SARANG_BLOCK_FORMAT_H
#define SARANG_BLOCK_FORMAT_H

#include "block/blk.h"
#include "block/desc.h"
#include "block/file.h"

struct blk_format {
	const char *name;
	/*
	 * Makes the back-end over @file, which it owns from then on; on failure @file stays the
	 * caller's. 0 or -errno with @e set.
	 */
	int (*open)(struct file *file, const struct blk_options *options, struct blk **out,
		    struct err *e);
	/* What the disk would be, or why it cannot be opened. Blocking; nothing is changed. */
	int (*describe)(const struct file_desc *desc, struct blk_info *info, struct err *e);
};

#endif
