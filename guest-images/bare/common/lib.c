/* The guests' C library: start, end, options, memory. Runs at CPL 3. */
#include "bare.h"

static struct {
	const char *cmdline;
} guest;

void guest_start(const struct start_info *start)
{
	if (start->magic != START_INFO_MAGIC)
		panic("the loader passed no PVH start info (magic %x)", start->magic);
	guest.cmdline = start->cmdline ? (const char *)start->cmdline : "";
	guest_main(start);
	finish();
}

void finish(void)
{
	enum { SLEEP_TYPE_S5 = 5, SLEEP_ENABLE = 1 << 5 };

	out8(PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | SLEEP_ENABLE);
	for (;;)
		relax(); /* HLT is not for CPL 3 */
}

/* @text begins with "NAME=": what follows, else NULL. */
static const char *value_of(const char *text, const char *name)
{
	while (*name) {
		if (*text++ != *name++)
			return NULL;
	}
	return *text == '=' ? text + 1 : NULL;
}

static const char *option(const char *name)
{
	const char *word = guest.cmdline;

	while (*word) {
		const char *value = value_of(word, name);

		if (value)
			return value;
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	return NULL;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

uint64_t option_u64(const char *name, uint64_t otherwise)
{
	const char *text = option(name);
	uint64_t number = 0;
	int base = 10;

	if (!text)
		return otherwise;
	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	do {
		int digit = digit_of(*text++);

		if (digit >= base || __builtin_mul_overflow(number, (uint64_t)base, &number) ||
		    __builtin_add_overflow(number, (uint64_t)digit, &number))
			panic("option %s= takes a number", name);
	} while (*text && *text != ' ');
	return number;
}

bool option_is(const char *name, const char *value, bool otherwise)
{
	const char *text = option(name);

	if (!text)
		return otherwise;
	while (*value) {
		if (*text++ != *value++)
			return false;
	}
	return !*text || *text == ' ';
}

bool is_ram(const struct start_info *start, uint64_t address, uint64_t bytes)
{
	const struct memory_map_entry *map = (const void *)start->memory_map;

	for (uint32_t i = 0; start->version >= 1 && i < start->memory_map_count; i++) {
		if (map[i].type == 1 && address >= map[i].address &&
		    address - map[i].address <= map[i].bytes &&
		    bytes <= map[i].bytes - (address - map[i].address))
			return true;
	}
	return false;
}

void *memset(void *to, int byte, size_t len)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(byte) : "memory");
	return start;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len)::"memory");
	return start;
}
