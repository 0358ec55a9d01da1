/*
 * A growing run of bytes, for texts and for binary tables.
 *
 * Running out of memory for these few kilobytes ends the process with a message: nothing a guest
 * supplies decides their size.
 */
#ifndef SARANG_BASE_STRBUF_H
#define SARANG_BASE_STRBUF_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. @data is NUL-terminated once anything was added (len does not count
 * it). */
struct strbuf {
	char *data;
	size_t len;
	size_t cap;
};

void strbuf_add(struct strbuf *b, const void *bytes, size_t len);
void strbuf_addstr(struct strbuf *b, const char *text);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds the low @size bytes (1, 2, 4 or 8) of @value, least significant first. */
void strbuf_add_le(struct strbuf *b, uint64_t value, size_t size);

/* Frees the bytes; @b is empty again. */
void strbuf_free(struct strbuf *b);

/* Hands the bytes over: never NULL, to be freed by the caller; @b is empty again. */
char *strbuf_take(struct strbuf *b);

#endif
