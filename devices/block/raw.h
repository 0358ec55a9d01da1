/* The raw format: the bytes of the disk are the bytes of the file or block device. See format.h. */
#ifndef SARANG_BLOCK_RAW_H
#define SARANG_BLOCK_RAW_H

#include "block/blk.h"
#include "block/desc.h"
#include "block/file.h"

/* See struct blk_format; @options may be NULL. */
int raw_open(struct file *file, const struct blk_options *options, struct blk **out, struct err *e);
int raw_describe(const struct file_desc *desc, struct blk_info *info, struct err *e);

#endif
