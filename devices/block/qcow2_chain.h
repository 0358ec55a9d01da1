/* The files that a qcow2 image names: where they may be, and opening them. */
#ifndef SARANG_BLOCK_QCOW2_CHAIN_H
#define SARANG_BLOCK_QCOW2_CHAIN_H

#include "block/blk.h"
#include "block/file.h"
#include "block/qcow2_format.h"

/*
 * Finds file @name, a @what ("backing file") of @image, and checks that it may be opened. *@out is
 * the caller's to free. 0 or -errno with a sentence.
 */
int qcow2_chain_path(const char *image, const char *name, const char *what,
		     const struct blk_options *options, char **out, struct err *e);

/* Opens the backing file, read-only, with its own ones. 0 or -errno with a sentence. */
int qcow2_chain_open(const char *image, const struct qcow2_header *h,
		     const struct blk_options *options, struct loop *loop, struct blk **out,
		     struct err *e);

/* Opens the external data file. 0 or -errno with a sentence. */
int qcow2_chain_data(const char *image, const struct qcow2_header *h,
		     const struct blk_options *options, struct loop *loop, struct file **out,
		     struct err *e);

#endif
