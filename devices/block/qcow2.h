/* The qcow2 format, versions 2 and 3: see QEMU's docs/interop/qcow2.rst, and format.h. */
#ifndef SARANG_BLOCK_QCOW2_H
#define SARANG_BLOCK_QCOW2_H

#include "block/blk.h"
#include "block/desc.h"
#include "block/file.h"

/* See struct blk_format. */
int qcow2_open(struct file *file, const struct blk_options *options, struct blk **out,
	       struct err *e);
int qcow2_describe(const struct file_desc *desc, struct blk_info *info, struct err *e);

#endif
