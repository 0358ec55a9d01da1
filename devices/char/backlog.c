/* What was typed and not taken yet: see backlog.h. */
#include "char/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

bool backlog_empty(const struct backlog *backlog)
{
	return backlog->start == backlog->end;
}

size_t backlog_room(const struct backlog *backlog)
{
	return BACKLOG_MAX - (backlog->end - backlog->start);
}

/* Makes room behind the end: by moving everything to the front, or with more memory. */
static bool grow(struct backlog *backlog)
{
	size_t used = backlog->end - backlog->start, cap;
	uint16_t *items;

	if (backlog->start >= backlog->cap / 2 && backlog->start) {
		memmove(backlog->items, backlog->items + backlog->start, used * sizeof(*items));
		backlog->start = 0;
		backlog->end = used;
		return true;
	}
	cap = MAX(backlog->cap * 2, (size_t)256);
	items = reallocarray(backlog->items, cap, sizeof(*items));
	if (!items)
		return false;
	backlog->items = items;
	backlog->cap = cap;
	return true;
}

bool backlog_add(struct backlog *backlog, uint16_t item)
{
	if (!backlog_room(backlog))
		return false;
	if (backlog->end == backlog->cap && !grow(backlog))
		return false;
	backlog->items[backlog->end++] = item;
	return true;
}

/* The memory of a big paste is given back once it has been taken. */
static void shrink(struct backlog *backlog)
{
	if (backlog_empty(backlog))
		backlog_free(backlog);
}

size_t backlog_take(struct backlog *backlog, uint8_t *bytes, size_t max)
{
	size_t count = 0;

	while (count < max && !backlog_empty(backlog) &&
	       backlog->items[backlog->start] != BACKLOG_BREAK)
		bytes[count++] = (uint8_t)backlog->items[backlog->start++];
	shrink(backlog);
	return count;
}

bool backlog_take_break(struct backlog *backlog)
{
	if (backlog_empty(backlog) || backlog->items[backlog->start] != BACKLOG_BREAK)
		return false;
	backlog->start++;
	shrink(backlog);
	return true;
}

void backlog_free(struct backlog *backlog)
{
	free(backlog->items);
	*backlog = (struct backlog){0};
}
