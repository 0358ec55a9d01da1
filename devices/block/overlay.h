/*
 * Ephemeral disks: what a guest writes goes into a private file without a name, and is gone with
 * the process, however that ends. The base is opened for reading, under a shared lock, so that any
 * number of guests start from one image.
 *
 * The private file is a qcow2 image over the base: thin, with discard and zeroes. It is never made
 * stable (nobody could read it after a power cut), so a flush costs nothing.
 */
#ifndef SARANG_BLOCK_OVERLAY_H
#define SARANG_BLOCK_OVERLAY_H

#include "block/blk.h"

/* Takes over @base, which is open for reading only; on failure it stays the caller's. 0 or -errno.
 */
int overlay_open(struct blk *base, const char *base_path, struct blk **out, struct err *e);

#endif
