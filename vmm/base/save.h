/* A file that is written as a whole or not at all: see save.c. */
#ifndef SARANG_BASE_SAVE_H
#define SARANG_BASE_SAVE_H

#include <stddef.h>

#include "base/err.h"

struct save {
	/* The caller's: where it goes, what messages call it ("the device tree"), and its bytes. */
	const char *path, *what;
	const void *data;
	size_t len;
	/* save.c's, 0 before save_begin. */
	char *real, *temporary;
};

/*
 * Writes the bytes under a temporary name beside the file; what is no regular file (a pipe,
 * /dev/null) is written to at once. 0, or -errno with a sentence; then nothing of it is left.
 * -EBUSY for a disk image in use. Followed by one of the next two.
 */
int save_begin(struct save *save, struct err *e);

/* Puts it in place of what was there. 0, or -errno with a sentence, and nothing of it is left. */
int save_commit(struct save *save, struct err *e);

/* Takes it back, unless it has been put in place. Repeatable; harmless on one not begun. */
void save_abandon(struct save *save);

#endif
