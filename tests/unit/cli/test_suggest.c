/* Distances between names, and which is offered. */
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "cli/suggest.h"
#include "suite.h"

static const struct {
	const char *a, *b;
	size_t distance;
} distances[] = {
	{"", "", 0},
	{"", "abc", 3},
	{"abc", "", 3},
	{"abc", "abc", 0},
	{"abc", "abd", 1},
	{"abc", "ab", 1},
	{"abc", "abcd", 1},
	{"abc", "acb", 1},
	{"memroy", "memory", 1},
	{"kitten", "sitting", 3},
	{"ca", "abc", 3},
	{"abcdef", "badcfe", 3},
	{"flaw", "lawn", 2},
};

START_TEST(distances_both_ways)
{
	ck_assert_uint_eq(suggest_distance(distances[_i].a, distances[_i].b),
			  distances[_i].distance);
	ck_assert_uint_eq(suggest_distance(distances[_i].b, distances[_i].a),
			  distances[_i].distance);
}
END_TEST

/* One change moves a word by at most one, whatever the change and the word it is compared with. */
START_TEST(one_change_moves_by_at_most_one)
{
	uint64_t state = unit_seed();
	int i;

	for (i = 0; i < 20000; i++) {
		char a[16] = {0}, b[16] = {0}, changed[16];
		size_t n = 2 + unit_random(&state) % 10, m = unit_random(&state) % 12, j, d, c;

		for (j = 0; j < n; j++)
			a[j] = (char)('a' + unit_random(&state) % 3);
		for (j = 0; j < m; j++)
			b[j] = (char)('a' + unit_random(&state) % 3);
		memcpy(changed, a, sizeof(a));
		changed[unit_random(&state) % n] = 'z';
		d = suggest_distance(a, b);
		c = suggest_distance(changed, b);
		ck_assert_uint_le(d > c ? d - c : c - d, 1);
		ck_assert_uint_le(d, MAX(n, m));
		ck_assert_uint_ge(d, n > m ? n - m : m - n);
		ck_assert_uint_le(suggest_distance(a, changed), 1);
	}
}
END_TEST

START_TEST(long_names_are_far_from_everything)
{
	char name[65];

	memset(name, 'a', 64);
	name[64] = '\0';
	ck_assert_uint_eq(suggest_distance(name, name), SIZE_MAX);
	name[63] = '\0';
	ck_assert_uint_eq(suggest_distance(name, name), 0);
}
END_TEST

START_TEST(the_nearest_is_offered_if_it_is_near)
{
	static const char *const names[] = {"run", "doctor", "inspect", "version", "help"};
	static const struct {
		const char *wrong, *best;
	} cases[] = {
		{"rnu", "run"},       {"inspct", "inspect"},
		{"doktor", "doctor"}, {"versoin", "version"},
		{"hepl", "help"},     {"xyz", NULL},
		{"r", NULL},          {"", NULL},
		{"migrate", NULL},
	};
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *best = NULL;

		for (j = 0; j < ARRAY_SIZE(names); j++)
			best = suggest_better(cases[i].wrong, best, names[j]);
		if (cases[i].best)
			ck_assert_str_eq(best, cases[i].best);
		else
			ck_assert_msg(!best, "\"%s\" gives %s", cases[i].wrong, best);
	}
}
END_TEST

TCase *case_suggest(void)
{
	TCase *c = tcase_create("suggest");

	tcase_add_loop_test(c, distances_both_ways, 0, ARRAY_SIZE(distances));
	tcase_add_test(c, one_change_moves_by_at_most_one);
	tcase_add_test(c, long_names_are_far_from_everything);
	tcase_add_test(c, the_nearest_is_offered_if_it_is_near);
	return c;
}
