/* The AML writer, byte by byte: ACPI Specification 6.5, chapter 20 and 6.4. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "tests.h"

/* What was written is exactly @bytes, and nothing is open. */
static void expect(struct aml *aml, const uint8_t *bytes, size_t len)
{
	ck_assert_uint_eq(aml->depth, 0);
	ck_assert_uint_eq(aml->out.len, len);
	ck_assert_mem_eq(aml->out.data, bytes, len);
	aml_free(aml);
	aml_init(aml);
}

#define EXPECT(aml, ...) \
	expect(aml, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

START_TEST(integers_take_their_shortest_form)
{
	struct aml aml;

	aml_init(&aml);
	aml_int(&aml, 0);
	EXPECT(&aml, 0x00);
	aml_int(&aml, 1);
	EXPECT(&aml, 0x01);
	aml_int(&aml, 2);
	EXPECT(&aml, 0x0a, 2);
	aml_int(&aml, 0xff);
	EXPECT(&aml, 0x0a, 0xff);
	aml_int(&aml, 0x100);
	EXPECT(&aml, 0x0b, 0x00, 0x01);
	aml_int(&aml, 0xffff);
	EXPECT(&aml, 0x0b, 0xff, 0xff);
	aml_int(&aml, 0x10000);
	EXPECT(&aml, 0x0c, 0, 0, 1, 0);
	aml_int(&aml, 0xffffffff);
	EXPECT(&aml, 0x0c, 0xff, 0xff, 0xff, 0xff);
	aml_int(&aml, 0x100000000);
	EXPECT(&aml, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
	aml_int(&aml, UINT64_MAX);
	EXPECT(&aml, 0x0e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
}
END_TEST

START_TEST(names_are_padded_and_prefixed)
{
	struct aml aml;

	aml_init(&aml);
	aml_name_int(&aml, "A", 0);
	EXPECT(&aml, 0x08, 'A', '_', '_', '_', 0);
	aml_name_int(&aml, "\\_S5", 1);
	EXPECT(&aml, 0x08, '\\', '_', 'S', '5', '_', 1);
	aml_name_int(&aml, "\\_SB.GED0", 0);
	EXPECT(&aml, 0x08, '\\', 0x2e, '_', 'S', 'B', '_', 'G', 'E', 'D', '0', 0);
	aml_name_int(&aml, "^AB.CD.EF", 0);
	EXPECT(&aml, 0x08, '^', 0x2f, 3, 'A', 'B', '_', '_', 'C', 'D', '_', '_', 'E', 'F', '_', '_',
	       0);
	aml_begin_scope(&aml, "\\");
	aml_end(&aml);
	EXPECT(&aml, 0x10, 3, '\\', 0);
}
END_TEST

START_TEST(strings_are_ascii_and_terminated)
{
	struct aml aml;

	aml_init(&aml);
	aml_name_string(&aml, "_HID", "LNRO0005");
	EXPECT(&aml, 0x08, '_', 'H', 'I', 'D', 0x0d, 'L', 'N', 'R', 'O', '0', '0', '0', '5', 0);
	aml_string(&aml, "");
	EXPECT(&aml, 0x0d, 0);
	aml_string(&aml, "\xc3\xa9t");
	EXPECT(&aml, 0x0d, '?', '?', 't', 0);
}
END_TEST

START_TEST(eisa_ids_are_compressed)
{
	struct aml aml;

	aml_init(&aml);
	aml_name_eisaid(&aml, "_HID", "PNP0501");
	EXPECT(&aml, 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01);
	aml_name_eisaid(&aml, "_HID", "PNP0C0C");
	EXPECT(&aml, 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0c, 0x0c);
	aml_name_eisaid(&aml, "_CID", "ABZ12EF");
	EXPECT(&aml, 0x08, '_', 'C', 'I', 'D', 0x0c, 0x04, 0x5a, 0x12, 0xef);
}
END_TEST

START_TEST(nested_packages_get_their_lengths)
{
	struct aml aml;

	aml_init(&aml);
	aml_begin_scope(&aml, "_SB");
	aml_begin_device(&aml, "DEV");
	aml_begin_method(&aml, "_EVT", 1, true);
	aml_notify(&aml, "P", 0x80);
	aml_end(&aml);
	aml_end(&aml);
	aml_end(&aml);
	EXPECT(&aml, 0x10, 26, '_', 'S', 'B', '_', 0x5b, 0x82, 19, 'D', 'E', 'V', '_', 0x14, 13,
	       '_', 'E', 'V', 'T', 0x09, 0x86, 'P', '_', '_', '_', 0x0a, 0x80);
	aml_begin_package(&aml, "_S5", 2);
	aml_int(&aml, 5);
	aml_int(&aml, 0);
	aml_end(&aml);
	EXPECT(&aml, 0x08, '_', 'S', '5', '_', 0x12, 5, 2, 0x0a, 5, 0);
}
END_TEST

START_TEST(resources_are_a_buffer_with_an_end_tag)
{
	struct aml aml;

	aml_init(&aml);
	aml_begin_crs(&aml);
	aml_res_memory32(&aml, 0xfeb00000, 0x200, true);
	aml_res_io(&aml, 0x3f8, 8);
	aml_res_irq(&aml, 5, AML_IRQ_EDGE);
	aml_end(&aml);
	EXPECT(&aml, 0x08, '_', 'C', 'R', 'S', 0x11, 34, 0x0a, 31, /* Buffer(31) */
	       0x86, 9, 0, 1, 0, 0, 0xb0, 0xfe, 0, 2, 0, 0,        /* Memory32Fixed */
	       0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8,                    /* IO */
	       0x89, 6, 0, 0x03, 1, 5, 0, 0, 0,                    /* Interrupt */
	       0x79, 0);
	aml_begin_crs(&aml);
	aml_res_irq(&aml, 0x12345, AML_IRQ_LEVEL | AML_IRQ_SHARED);
	aml_end(&aml);
	EXPECT(&aml, 0x08, '_', 'C', 'R', 'S', 0x11, 14, 0x0a, 11, 0x89, 6, 0, 0x09, 1, 0x45, 0x23,
	       1, 0, 0x79, 0);
}
END_TEST

/* Reads a PkgLength (20.2.4) as the specification says, and how many bytes it takes. */
static size_t decode_pkg_length(const uint8_t *at, size_t *size)
{
	size_t follow = at[0] >> 6, value, i;

	*size = 1 + follow;
	if (!follow)
		return at[0] & 0x3f;
	ck_assert_uint_eq(at[0] & 0x30, 0);
	value = at[0] & 0xf;
	for (i = 1; i <= follow; i++)
		value |= (size_t)at[i] << (4 + 8 * (i - 1));
	return value;
}

/* On both sides of every border between the forms of a package length. */
START_TEST(package_lengths_cross_their_borders)
{
	static const size_t centres[] = {0x3f, 0xfff, 0xfffff};
	struct aml aml;
	size_t i, len, size, body;

	for (i = 0; i < ARRAY_SIZE(centres); i++) {
		for (len = centres[i] - 12; len < centres[i] + 4; len++) {
			aml_init(&aml);
			aml_begin_scope(&aml, "A");
			for (body = 4; body < len; body++)
				aml_int(&aml, 1);
			aml_end(&aml);
			ck_assert_uint_eq((uint8_t)aml.out.data[0], 0x10);
			ck_assert_uint_eq(decode_pkg_length((uint8_t *)aml.out.data + 1, &size),
					  aml.out.len - 1);
			ck_assert_uint_eq(aml.out.len, 1 + size + len);
			ck_assert_mem_eq(aml.out.data + 1 + size, "A___", 4);
			aml_free(&aml);
		}
	}
}
END_TEST

/* A package that is not closed, or closed twice, is a mistake of ours: it ends the process. */
START_TEST(closing_what_is_not_open_aborts)
{
	struct aml aml;

	aml_init(&aml);
	aml_end(&aml);
}
END_TEST

START_TEST(nesting_past_the_limit_aborts)
{
	struct aml aml;
	int i;

	aml_init(&aml);
	for (i = 0; i <= AML_DEPTH_MAX; i++)
		aml_begin_scope(&aml, "A");
}
END_TEST

TCase *aml_case(void)
{
	TCase *tc = tcase_create("aml");

	tcase_add_test(tc, integers_take_their_shortest_form);
	tcase_add_test(tc, names_are_padded_and_prefixed);
	tcase_add_test(tc, strings_are_ascii_and_terminated);
	tcase_add_test(tc, eisa_ids_are_compressed);
	tcase_add_test(tc, nested_packages_get_their_lengths);
	tcase_add_test(tc, resources_are_a_buffer_with_an_end_tag);
	tcase_add_test(tc, package_lengths_cross_their_borders);
	tcase_add_test_raise_signal(tc, closing_what_is_not_open_aborts, SIGABRT);
	tcase_add_test_raise_signal(tc, nesting_past_the_limit_aborts, SIGABRT);
	return tc;
}
