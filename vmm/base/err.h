/*
 * The one error type: a code and a sentence.
 *
 * A function that can fail for reasons a user must read takes a `struct err *` last, fills it and
 * returns a negative errno; one whose callers only branch on the code returns just that. The
 * sentence says what was being done, to what (path, offset, option), why it failed and, where there
 * is one, what to do about it. Only main prints it and exits.
 */
#ifndef SARANG_BASE_ERR_H
#define SARANG_BASE_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX 768

struct err {
	int code; /* negative errno; 0 while nothing has failed */
	char text[ERR_TEXT_MAX];
};

/*
 * Each takes @e, which may be NULL (then only the code survives), and a positive errno in @errnum.
 * Each returns -@errnum, so that `return err_set(...)` reads well. A sentence that is too long is
 * cut, but not what the C library says. Arguments may quote the old sentence; control characters
 * become "?".
 */

/* Sets the sentence. */
int err_set(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sets the sentence and adds ": " and what the C library says of @errnum. */
int err_errno(struct err *e, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "TEXT: " before the sentence that is there; returns e->code (-EINVAL where @e is NULL). */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
