/* Sizes as text: see size.h. */
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

static const char unit_letters[] = "KMGTP";

/* Reads a unit ("", "B", "K", "KB", "KiB"); returns its shift, or -1 when it is none. */
static int parse_unit(const char *text)
{
	const char *letter;

	if (!strcasecmp(text, "B"))
		return 0;
	letter = *text ? strchr(unit_letters, toupper((unsigned char)*text)) : NULL;
	if (!letter)
		return -1;
	text++;
	if (*text && strcasecmp(text, "B") != 0 && strcasecmp(text, "iB") != 0)
		return -1;
	return 10 * (int)(letter - unit_letters + 1);
}

/* Adds @digits (a decimal fraction, without its point) of @unit_bytes to *@bytes, cut to a byte. */
static int add_fraction(const char *digits, size_t count, uint64_t unit_bytes, uint64_t *bytes)
{
	__uint128_t numerator = 0, denominator = 1;
	size_t i;

	/* 18 digits of a unit of at most 2^50 stay well inside 128 bits; further ones are noise. */
	for (i = 0; i < count && i < 18; i++) {
		numerator = numerator * 10 + (unsigned)(digits[i] - '0');
		denominator *= 10;
	}
	return add_u64(*bytes, (uint64_t)(numerator * unit_bytes / denominator), bytes) ? 0
											: -ERANGE;
}

int size_parse(const char *text, uint64_t unit_bytes, uint64_t *bytes)
{
	size_t whole_len = strspn(text, "0123456789"), fraction_len = 0, i;
	const char *fraction = NULL, *unit = text + whole_len;
	uint64_t whole = 0;
	int shift;

	if (!whole_len)
		return -EINVAL;
	if (*unit == '.') {
		fraction = unit + 1;
		fraction_len = strspn(fraction, "0123456789");
		if (!fraction_len)
			return -EINVAL;
		unit = fraction + fraction_len;
	}
	if (*unit) {
		shift = parse_unit(unit);
		if (shift < 0)
			return -EINVAL;
		unit_bytes = 1ull << shift;
	}
	for (i = 0; i < whole_len; i++) {
		if (!mul_u64(whole, 10, &whole) ||
		    !add_u64(whole, (unsigned)(text[i] - '0'), &whole))
			return -ERANGE;
	}
	if (!mul_u64(whole, unit_bytes, &whole))
		return -ERANGE;
	*bytes = whole;
	return fraction ? add_fraction(fraction, fraction_len, unit_bytes, bytes) : 0;
}

const char *size_format(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
	int unit = -1;

	while (bytes && !(bytes & 1023) && unit < (int)strlen(unit_letters) - 1) {
		bytes >>= 10;
		unit++;
	}
	snprintf(buf, SIZE_TEXT_MAX, "%llu%c", (unsigned long long)bytes,
		 unit < 0 ? 'B' : unit_letters[unit]);
	return buf;
}
