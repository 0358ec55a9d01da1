/* The error sentence and the growing text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "suite.h"

START_TEST(err_carries_code_and_sentence)
{
	struct err e = {0};

	ck_assert_int_eq(err_set(&e, EINVAL, "option %d", 7), -EINVAL);
	ck_assert_int_eq(e.code, -EINVAL);
	ck_assert_str_eq(e.text, "option 7");
	ck_assert_int_eq(err_errno(&e, ENOENT, "cannot open %s", "x"), -ENOENT);
	ck_assert_str_eq(e.text, "cannot open x: No such file or directory");
	ck_assert_int_eq(err_prefix(&e, "disk %d", 2), -ENOENT);
	ck_assert_str_eq(e.text, "disk 2: cannot open x: No such file or directory");
}
END_TEST

START_TEST(err_without_a_place_gives_the_code)
{
	ck_assert_int_eq(err_set(NULL, EIO, "x"), -EIO);
	ck_assert_int_eq(err_errno(NULL, EIO, "x"), -EIO);
	ck_assert_int_eq(err_prefix(NULL, "x"), -EINVAL);
}
END_TEST

START_TEST(err_may_quote_itself)
{
	struct err e = {0};

	err_set(&e, EIO, "inner");
	err_set(&e, EINVAL, "outer (%s)", e.text);
	ck_assert_str_eq(e.text, "outer (inner)");
	err_errno(&e, EIO, "again %s", e.text);
	ck_assert_str_eq(e.text, "again outer (inner): Input/output error");
	err_prefix(&e, "<%s>", e.text);
	ck_assert_str_eq(e.text, "<again outer (inner): Input/output error>: "
				 "again outer (inner): Input/output error");
}
END_TEST

START_TEST(err_keeps_the_reason_after_a_long_path)
{
	static const char reason[] = ": Permission denied";
	struct err e = {0};
	char path[4096];
	size_t len;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	err_errno(&e, EACCES, "cannot open %s", path);
	len = strlen(e.text);
	ck_assert_uint_lt(len, ERR_TEXT_MAX);
	ck_assert_str_eq(e.text + len - strlen(reason), reason);
	ck_assert_int_eq(strncmp(e.text, "cannot open ppp", 15), 0);
	err_set(&e, EACCES, "cannot open %s", path);
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
END_TEST

START_TEST(err_is_one_line_without_control_characters)
{
	struct err e = {0};
	const char *p;

	err_set(&e, EINVAL, "file %s", "a\nb\x1b[31mc\x7f");
	for (p = e.text; *p; p++)
		ck_assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	ck_assert_str_eq(e.text, "file a?b?[31mc?");
	err_errno(&e, EIO, "\r");
	ck_assert_str_eq(e.text, "?: Input/output error");
	err_prefix(&e, "\t");
	ck_assert_str_eq(e.text, "?: ?: Input/output error");
	err_set(&e, EINVAL, "gr\xc3\xbc\xc3\x9f");
	ck_assert_str_eq(e.text, "gr\xc3\xbc\xc3\x9f");
}
END_TEST

START_TEST(strbuf_grows_as_a_plain_array_would)
{
	uint64_t state = unit_seed();
	static char reference[200000];
	struct strbuf b = {0};
	size_t len = 0;

	while (len < sizeof(reference) - 600) {
		char piece[600];
		size_t n = unit_random(&state) % sizeof(piece), i;

		for (i = 0; i < n; i++)
			piece[i] = (char)unit_random(&state);
		strbuf_add(&b, piece, n);
		memcpy(reference + len, piece, n);
		len += n;
		ck_assert_uint_eq(b.len, len);
		ck_assert_int_eq(b.data[len], 0);
	}
	ck_assert_int_eq(memcmp(b.data, reference, len), 0);
	strbuf_free(&b);
	ck_assert_ptr_null(b.data);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(strbuf_adding_nothing_still_terminates)
{
	struct strbuf b = {0};

	strbuf_addf(&b, "%s", "");
	ck_assert_ptr_nonnull(b.data);
	ck_assert_str_eq(b.data, "");
	strbuf_free(&b);
	strbuf_addstr(&b, "");
	ck_assert_str_eq(b.data, "");
	strbuf_free(&b);
}
END_TEST

START_TEST(strbuf_formats_and_hands_over)
{
	struct strbuf b = {0};
	char *text;

	strbuf_addf(&b, "%d-%s", 12, "x");
	strbuf_addf(&b, "%0100d", 7);
	ck_assert_uint_eq(b.len, 104);
	text = strbuf_take(&b);
	ck_assert_int_eq(strncmp(text, "12-x000", 7), 0);
	ck_assert_ptr_null(b.data);
	free(text);
	text = strbuf_take(&b);
	ck_assert_str_eq(text, "");
	free(text);
	strbuf_add_le(&b, 0x0102030405060708ull, 4);
	strbuf_add_le(&b, 0xaa, 1);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_int_eq(memcmp(b.data, "\x08\x07\x06\x05\xaa", 5), 0);
	strbuf_free(&b);
}
END_TEST

TCase *case_text(void)
{
	TCase *c = tcase_create("text");

	tcase_add_test(c, err_carries_code_and_sentence);
	tcase_add_test(c, err_without_a_place_gives_the_code);
	tcase_add_test(c, err_may_quote_itself);
	tcase_add_test(c, err_keeps_the_reason_after_a_long_path);
	tcase_add_test(c, err_is_one_line_without_control_characters);
	tcase_add_test(c, strbuf_grows_as_a_plain_array_would);
	tcase_add_test(c, strbuf_adding_nothing_still_terminates);
	tcase_add_test(c, strbuf_formats_and_hands_over);
	return c;
}
