/* The nearest name: see suggest.h. Three rows of the classic distance table. */
#include "cli/suggest.h"

#include <stdint.h>
#include <string.h>

#include "base/util.h"

#define NAME_MAX_LEN 63

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t ab = MIN(a, b);

	return MIN(ab, c);
}

size_t suggest_distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LEN + 1];
	size_t a_len = strlen(a), b_len = strlen(b), i, j;

	if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
		return SIZE_MAX;
	for (j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const size_t *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			size_t other = a[i - 1] != b[j - 1];

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + other);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *suggest_better(const char *wrong, const char *best, const char *name)
{
	/* A third of the letters wrong is a typo, more is another word. */
	size_t limit = MIN((strlen(wrong) + 2) / 3, (size_t)3);
	size_t distance = suggest_distance(wrong, name);

	if (distance > limit || distance >= strlen(name))
		return best;
	return best && suggest_distance(wrong, best) <= distance ? best : name;
}
