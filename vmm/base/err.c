/* struct err: see err.h. Plain functions on the caller's struct, on any thread. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/*
 * Sets "TEXT" or "TEXT: @tail". Formats aside first, as an argument may be the old sentence, and
 * cuts TEXT rather than @tail, which says why.
 */
__attribute__((format(printf, 3, 0))) static void set_text(struct err *e, const char *tail,
							   const char *fmt, va_list args)
{
	char text[ERR_TEXT_MAX];
	size_t tail_len = tail ? strlen(tail) + 2 : 0, used;

	vsnprintf(text, sizeof(text), fmt, args);
	used = strlen(text);
	if (tail_len < sizeof(text))
		used = MIN(used, sizeof(text) - 1 - tail_len);
	if (tail)
		snprintf(text + used, sizeof(text) - used, ": %s", tail);
	text_make_printable(text);
	memcpy(e->text, text, sizeof(text));
}

int err_set(struct err *e, int errnum, const char *fmt, ...)
{
	va_list args;

	if (!e)
		return -errnum;
	e->code = -errnum;
	va_start(args, fmt);
	set_text(e, NULL, fmt, args);
	va_end(args);
	return -errnum;
}

int err_errno(struct err *e, int errnum, const char *fmt, ...)
{
	char buf[128];
	va_list args;

	if (!e)
		return -errnum;
	e->code = -errnum;
	va_start(args, fmt);
	set_text(e, strerror_r(errnum, buf, sizeof(buf)), fmt, args);
	va_end(args);
	return -errnum;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list args;

	if (!e)
		return -EINVAL;
	memcpy(old, e->text, sizeof(old));
	va_start(args, fmt);
	set_text(e, old, fmt, args);
	va_end(args);
	return e->code;
}
