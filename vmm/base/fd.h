/* File descriptors: whole reads and writes, closing that is safe to repeat, and what file it is. */
#ifndef SARANG_BASE_FD_H
#define SARANG_BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Closes *@fd unless it is negative, and sets it to -1. */
void fd_close(int *fd);

/*
 * Opens /dev/null where standard input, output or error is closed, before anything else could get
 * their numbers: a message would go into a disk otherwise. 0 or -errno.
 */
int fd_fill_standard(void);

/* Sets or clears O_NONBLOCK. Returns 0 or -errno. */
int fd_set_nonblock(int fd, _Bool on);

/*
 * Reads up to @len bytes at @offset, going on after short reads. Returns the bytes read (less than
 * @len only at the end of the file) or -errno.
 */
ssize_t fd_pread_full(int fd, void *buf, size_t len, uint64_t offset);

/* Writes all @len bytes at the file position, going on after short writes. 0 or -errno. */
int fd_write_full(int fd, const void *buf, size_t len);

/* Adds 1 to an eventfd. Cannot fail on one that is open and not saturated. */
void fd_event_signal(int fd);

/* Empties a non-blocking eventfd; returns what was in it, 0 for nothing. */
uint64_t fd_event_clear(int fd);

/*
 * Whether stat(2) told twice of one file: of two names of it, or of a name and a descriptor. Two
 * nodes of one block device are one file too.
 */
_Bool fd_same_file(const struct stat *a, const struct stat *b);

/*
 * Whether another opening of the file holds a lock on any of its bytes: then it is a disk image in
 * use, by whatever name it is known here, and is neither emptied nor replaced.
 */
_Bool fd_locked_elsewhere(int fd);

#endif
