/* Sizes as users write them: "512M", "4G", "1.5G", "4096", "64KiB". Units are powers of 1024. */
#ifndef SARANG_BASE_SIZE_H
#define SARANG_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Parses @text: digits, an optional decimal fraction, an optional unit of B, K, M, G, T, P (any
 * case, also KiB, MiB ... and KB, MB ...). A number without a unit counts @unit_bytes each. Returns
 * 0 with *@bytes, -EINVAL when it is not a size, -ERANGE when it does not fit 64 bits.
 */
int size_parse(const char *text, uint64_t unit_bytes, uint64_t *bytes);

/* Room for any text size_format writes. */
#define SIZE_TEXT_MAX 24

/* Writes @bytes in the largest unit that divides it evenly ("512M", "1G", "1000B"); returns @buf.
 */
const char *size_format(uint64_t bytes, char buf[SIZE_TEXT_MAX]);

#endif
