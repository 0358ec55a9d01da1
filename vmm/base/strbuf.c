/* A growing run of bytes: see strbuf.h. */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void strbuf_reserve(struct strbuf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 64;
	char *data;

	while (cap - b->len < more + 1)
		cap *= 2;
	if (cap == b->cap)
		return;
	data = realloc(b->data, cap);
	if (!data) {
		fputs("sarang: error: out of memory\n", stderr);
		abort();
	}
	b->data = data;
	b->cap = cap;
}

void strbuf_add(struct strbuf *b, const void *bytes, size_t len)
{
	strbuf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void strbuf_addstr(struct strbuf *b, const char *text)
{
	strbuf_add(b, text, strlen(text));
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len >= 0) {
		strbuf_reserve(b, (size_t)len);
		vsnprintf(b->data + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

void strbuf_add_le(struct strbuf *b, uint64_t value, size_t size)
{
	unsigned char bytes[8];
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	strbuf_add(b, bytes, size);
}

void strbuf_free(struct strbuf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

char *strbuf_take(struct strbuf *b)
{
	char *data;

	strbuf_reserve(b, 0);
	b->data[b->len] = '\0';
	data = b->data;
	memset(b, 0, sizeof(*b));
	return data;
}
