/*
 * The tables as Intel's compiler sees them: each disassembles, and what comes out compiles again,
 * without an error, a warning or a remark, into the bytes it came from.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests.h"

/* Runs @command in a shell; its output goes to @out. Returns the exit status. */
static int run(const char *command, char *out, size_t size)
{
	FILE *pipe = popen(command, "r");
	size_t len;

	ck_assert_ptr_nonnull(pipe);
	len = fread(out, 1, size - 1, pipe);
	out[len] = '\0';
	return pclose(pipe);
}

static void must_be_clean(const char *file, const char *text)
{
	static const char *const bad[] = {"Warning  ",    "Error  ",   "Remark  ", "ACPI Error",
					  "ACPI Warning", "Could not", "Invalid"};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!strstr(text, bad[i]), "iasl on %s:\n%s", file, text);
}

/* Disassembles one dumped table and compiles the result under another name. */
static void round_trip(const char *dir, const struct acpi_table *table)
{
	char command[512], out[65536], stem[16] = {0};

	memcpy(stem, table->file, 4);
	snprintf(command, sizeof(command), "cd %s && iasl -d %s 2>&1", dir, table->file);
	ck_assert_msg(!run(command, out, sizeof(out)), "%s", out);
	must_be_clean(table->file, out);
	snprintf(command, sizeof(command), "cd %s && iasl -oa -p again %s.dsl 2>&1", dir, stem);
	ck_assert_msg(!run(command, out, sizeof(out)), "%s", out);
	must_be_clean(table->file, out);
	if (!strcmp(stem, "dsdt"))
		ck_assert_ptr_nonnull(strstr(out, "0 Errors, 0 Warnings, 0 Remarks"));
	/* All but the header, in which iasl names itself as the creator (-oa: names as they were).
	 */
	snprintf(command, sizeof(command), "cd %s && cmp -i 36 again.aml %s", dir, table->file);
	ck_assert_msg(!run(command, out, sizeof(out)), "%s: %s", table->file, out);
}

START_TEST(iasl_takes_every_table_there_and_back)
{
	static const unsigned cpus[] = {1, 4, 300};
	char dir[] = "/tmp/sarang-iasl-XXXXXX", command[64], out[256];
	struct acpi_board board;
	struct acpi_tables tables;
	struct aml dsdt;
	struct err e = {0};
	unsigned i;

	if (run("command -v iasl", out, sizeof(out))) {
		printf("skipped: iasl is not installed (package acpica-tools; see scripts/deps)\n");
		return;
	}
	ck_assert_ptr_nonnull(mkdtemp(dir));
	sample_board(&board, cpus[_i]);
	aml_init(&dsdt);
	sample_dsdt(&dsdt);
	ck_assert_int_eq(acpi_build(&board, &dsdt, &tables, &e), 0);
	ck_assert_msg(!acpi_dump(&tables, dir, &e), "%s", e.text);
	for (i = 0; i < tables.count; i++)
		round_trip(dir, &tables.tables[i]);
	acpi_free(&tables);
	aml_free(&dsdt);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(run(command, out, sizeof(out)), 0);
}
END_TEST

TCase *iasl_case(void)
{
	TCase *tc = tcase_create("iasl");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, iasl_takes_every_table_there_and_back, 0, 3);
	return tc;
}
