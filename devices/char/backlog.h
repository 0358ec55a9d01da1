/*
 * What a user typed and the guest has not taken yet: bytes and breaks, in their order. A growing
 * queue with an upper bound. No lock: the loop's own.
 */
#ifndef SARANG_CHAR_BACKLOG_H
#define SARANG_CHAR_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes and breaks that it holds at the most. */
#define BACKLOG_MAX ((size_t)4 << 20)

#define BACKLOG_BREAK 0x100u

/* Zero-initialised is empty. */
struct backlog {
	uint16_t *items; /* a byte, or BACKLOG_BREAK */
	size_t start, end, cap;
};

/* Adds one item; false when it is full or there is no memory: nothing was added. */
bool backlog_add(struct backlog *backlog, uint16_t item);

/* How many items could still be added, short of memory running out. */
size_t backlog_room(const struct backlog *backlog);

/* Takes up to @max bytes from the front, up to the next break; returns how many. */
size_t backlog_take(struct backlog *backlog, uint8_t *bytes, size_t max);

/* Takes a break from the front; false when something else or nothing is there. */
bool backlog_take_break(struct backlog *backlog);

bool backlog_empty(const struct backlog *backlog);
void backlog_free(struct backlog *backlog);

#endif
