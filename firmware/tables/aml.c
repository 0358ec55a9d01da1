/*
 * The AML writer: see aml.h.
 *
 * AML puts the length of a package in front of its contents, in a form of 1 to 4 bytes that counts
 * itself (20.2.4). The contents are therefore written first, and aml_end opens a gap for the length
 * once it is known. Devices' descriptions are small, so the moving costs nothing that matters.
 * Used by one thread while a machine is built.
 */
#include "tables/aml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 20.3, AML Byte Stream Byte Values. */
enum {
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXT = 0x5b,
	OP_EXT_DEVICE = 0x82,
	OP_NOTIFY = 0x86,
};

/* 20.2.4: two bits of the lead byte count the bytes that follow it. */
#define PKG_LENGTH_MAX ((1u << 28) - 1)

static _Noreturn void misuse(const char *what)
{
	fprintf(stderr, "sarang: error: AML writer: %s\n", what);
	abort();
}

static void add_byte(struct aml *aml, uint8_t byte)
{
	strbuf_add(&aml->out, &byte, 1);
}

/* Opens a gap of @len bytes at @at and fills it. */
static void insert(struct aml *aml, size_t at, const uint8_t *bytes, size_t len)
{
	size_t tail = aml->out.len - at;

	strbuf_add(&aml->out, bytes, len);
	memmove(aml->out.data + at + len, aml->out.data + at, tail);
	memcpy(aml->out.data + at, bytes, len);
}

/* The NameSegs of @path: each letter or underscore first, 4 characters, padded with underscores. */
static void add_segments(struct aml *aml, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, ".");
		char segment[4] = {'_', '_', '_', '_'};

		if (!len || len > sizeof(segment))
			misuse("a name segment has 1 to 4 characters");
		memcpy(segment, path, len);
		strbuf_add(&aml->out, segment, sizeof(segment));
		path += len;
		path += *path == '.';
	}
}

/* NameString (20.2.2). */
static void add_name(struct aml *aml, const char *path)
{
	unsigned segments = 1;
	const char *c;

	while (*path == '\\' || *path == '^')
		add_byte(aml, (uint8_t)*path++);
	for (c = path; *c; c++)
		segments += *c == '.';
	if (!*path)
		add_byte(aml, 0);
	else if (segments == 2)
		add_byte(aml, OP_DUAL_NAME);
	else if (segments > 2) {
		add_byte(aml, OP_MULTI_NAME);
		add_byte(aml, (uint8_t)segments);
	}
	add_segments(aml, path);
}

/* The shortest form of an integer (20.2.3); returns its length. */
static size_t encode_int(uint64_t value, uint8_t bytes[9])
{
	size_t i, size;

	if (value <= 1) { /* ZeroOp, OneOp */
		bytes[0] = (uint8_t)value;
		return 1;
	}
	size = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
	bytes[0] = size == 1 ? OP_BYTE : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD;
	for (i = 0; i < size; i++)
		bytes[1 + i] = (uint8_t)(value >> (8 * i));
	return 1 + size;
}

static size_t encode_pkg_length(size_t contents, uint8_t bytes[4])
{
	size_t size, i, total;

	if (contents + 1 < 1u << 6) {
		bytes[0] = (uint8_t)(contents + 1);
		return 1;
	}
	size = contents + 2 < 1u << 12 ? 2 : contents + 3 < 1u << 20 ? 3 : 4;
	total = contents + size;
	if (total > PKG_LENGTH_MAX)
		misuse("a package is too long");
	bytes[0] = (uint8_t)((size - 1) << 6 | (total & 0xf));
	for (i = 1; i < size; i++)
		bytes[i] = (uint8_t)(total >> (4 + 8 * (i - 1)));
	return size;
}

static void open_package(struct aml *aml, bool sized)
{
	if (aml->depth == AML_DEPTH_MAX)
		misuse("packages nest too deeply");
	aml->open[aml->depth].start = aml->out.len;
	aml->open[aml->depth].sized = sized;
	aml->depth++;
}

void aml_init(struct aml *aml)
{
	memset(aml, 0, sizeof(*aml));
}

void aml_free(struct aml *aml)
{
	strbuf_free(&aml->out);
	memset(aml, 0, sizeof(*aml));
}

void aml_end(struct aml *aml)
{
	static const uint8_t end_tag[2] = {0x79, 0}; /* 6.4.2.9; checksum 0 is "not computed" */
	uint8_t bytes[9];
	size_t start;

	if (!aml->depth)
		misuse("no package is open");
	aml->depth--;
	start = aml->open[aml->depth].start;
	if (aml->open[aml->depth].sized) {
		strbuf_add(&aml->out, end_tag, sizeof(end_tag));
		insert(aml, start, bytes, encode_int(aml->out.len - start, bytes));
	}
	insert(aml, start, bytes, encode_pkg_length(aml->out.len - start, bytes));
}

void aml_begin_scope(struct aml *aml, const char *path)
{
	add_byte(aml, OP_SCOPE);
	open_package(aml, false);
	add_name(aml, path);
}

void aml_begin_device(struct aml *aml, const char *name)
{
	add_byte(aml, OP_EXT);
	add_byte(aml, OP_EXT_DEVICE);
	open_package(aml, false);
	add_name(aml, name);
}

void aml_begin_method(struct aml *aml, const char *name, unsigned args, bool serialized)
{
	if (args > 7)
		misuse("a method has at most 7 arguments");
	add_byte(aml, OP_METHOD);
	open_package(aml, false);
	add_name(aml, name);
	add_byte(aml, (uint8_t)(args | (serialized ? 1u << 3 : 0)));
}

void aml_begin_package(struct aml *aml, const char *name, uint8_t count)
{
	add_byte(aml, OP_NAME);
	add_name(aml, name);
	add_byte(aml, OP_PACKAGE);
	open_package(aml, false);
	add_byte(aml, count);
}

void aml_begin_crs(struct aml *aml)
{
	add_byte(aml, OP_NAME);
	add_name(aml, "_CRS");
	add_byte(aml, OP_BUFFER);
	open_package(aml, true);
}

void aml_int(struct aml *aml, uint64_t value)
{
	uint8_t bytes[9];

	strbuf_add(&aml->out, bytes, encode_int(value, bytes));
}

void aml_string(struct aml *aml, const char *text)
{
	add_byte(aml, OP_STRING);
	for (; *text; text++) /* AsciiChar is 0x01 to 0x7f */
		add_byte(aml, (unsigned char)*text < 0x80 ? (uint8_t)*text : '?');
	add_byte(aml, 0);
}

void aml_name_int(struct aml *aml, const char *name, uint64_t value)
{
	add_byte(aml, OP_NAME);
	add_name(aml, name);
	aml_int(aml, value);
}

void aml_name_string(struct aml *aml, const char *name, const char *text)
{
	add_byte(aml, OP_NAME);
	add_name(aml, name);
	aml_string(aml, text);
}

static unsigned hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	misuse("an EISA id ends in 4 capital hexadecimal digits");
}

/* 19.3.4: three letters of 5 bits, four hexadecimal digits; the most significant byte comes first.
 */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id)
{
	unsigned letters = 0, i;

	if (strlen(id) != 7)
		misuse("an EISA id has 7 characters");
	for (i = 0; i < 3; i++) {
		if (id[i] < 'A' || id[i] > 'Z')
			misuse("an EISA id begins with 3 capital letters");
		letters = letters << 5 | (unsigned)(id[i] - '@');
	}
	add_byte(aml, OP_NAME);
	add_name(aml, name);
	add_byte(aml, OP_DWORD);
	add_byte(aml, (uint8_t)(letters >> 8));
	add_byte(aml, (uint8_t)letters);
	add_byte(aml, (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4])));
	add_byte(aml, (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6])));
}

void aml_notify(struct aml *aml, const char *path, uint64_t value)
{
	add_byte(aml, OP_NOTIFY);
	add_name(aml, path);
	aml_int(aml, value);
}

/* 6.4.3.4, 32-bit Fixed Memory Range Descriptor. */
void aml_res_memory32(struct aml *aml, uint32_t base, uint32_t len, bool writable)
{
	strbuf_add_le(&aml->out, 0x86, 1);
	strbuf_add_le(&aml->out, 9, 2);
	strbuf_add_le(&aml->out, writable, 1);
	strbuf_add_le(&aml->out, base, 4);
	strbuf_add_le(&aml->out, len, 4);
}

/* 6.4.2.5, I/O Port Descriptor: decodes 16 bits; one possible base, so the alignment says nothing.
 */
void aml_res_io(struct aml *aml, uint16_t base, uint8_t len)
{
	strbuf_add_le(&aml->out, 0x47, 1);
	strbuf_add_le(&aml->out, 1, 1);
	strbuf_add_le(&aml->out, base, 2);
	strbuf_add_le(&aml->out, base, 2);
	strbuf_add_le(&aml->out, 1, 1);
	strbuf_add_le(&aml->out, len, 1);
}

/* 6.4.3.6, Extended Interrupt Descriptor, one interrupt. */
void aml_res_irq(struct aml *aml, uint32_t gsi, unsigned flags)
{
	unsigned bits = 1u << 0; /* ResourceConsumer */

	if (flags & AML_IRQ_EDGE)
		bits |= 1u << 1;
	if (flags & AML_IRQ_SHARED)
		bits |= 1u << 3;
	strbuf_add_le(&aml->out, 0x89, 1);
	strbuf_add_le(&aml->out, 6, 2);
	strbuf_add_le(&aml->out, bits, 1);
	strbuf_add_le(&aml->out, 1, 1);
	strbuf_add_le(&aml->out, gsi, 4);
}
