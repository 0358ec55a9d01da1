/*
 * Image locks: many readers or one writer, across processes and, with NFS, across hosts.
 *
 * The bytes and their meaning are QEMU's (block/file-posix.c), so that QEMU, qemu-img and sarang
 * refuse what another of them is using.
 */
#ifndef SARANG_BLOCK_LOCK_H
#define SARANG_BLOCK_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Locks the image open as @fd, for writing or for reading only. The lock goes away with the last
 * descriptor of this opening of the file, or with lock_release. 0; -EBUSY with a sentence that
 * names the holder where the host tells who it is. A file system that has no locks is used without,
 * with a warning.
 */
int lock_image(int fd, const char *path, bool writer, struct err *e);

/*
 * Drops all locks of @fd's opening of the file: before closing, since the kernel may hold on to the
 * opening a little longer (io_uring lets go of it in its own time).
 */
void lock_release(int fd);

#endif
