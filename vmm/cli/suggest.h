/* "Did you mean": which of the names that exist is nearest to one that does not. */
#ifndef SARANG_CLI_SUGGEST_H
#define SARANG_CLI_SUGGEST_H

#include <stddef.h>

/*
 * How many single-letter changes (one letter more, less or other, two neighbours swapped) make @a
 * into
 * @b: the Damerau-Levenshtein distance in its "optimal string alignment" form. Names longer than 63
 * bytes are as far apart as can be (SIZE_MAX).
 */
size_t suggest_distance(const char *a, const char *b);

/* The better of @best (NULL: none so far) and @name for @wrong; neither when both are too far off.
 */
const char *suggest_better(const char *wrong, const char *best, const char *name);

#endif
