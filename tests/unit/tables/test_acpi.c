/* The table set: places of fields by the tables of ACPI Specification 6.5, chapter 5. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "tests.h"

static void build(struct acpi_tables *tables, const struct acpi_board *board)
{
	struct aml dsdt;
	struct err e = {0};
	int ret;

	aml_init(&dsdt);
	sample_dsdt(&dsdt);
	ret = acpi_build(board, &dsdt, tables, &e);
	aml_free(&dsdt);
	ck_assert_msg(!ret, "%s", e.text);
}

static void build_sample(struct acpi_tables *tables, unsigned cpus)
{
	struct acpi_board board;

	sample_board(&board, cpus);
	build(tables, &board);
}

static const struct acpi_table *find(const struct acpi_tables *tables, const char *file)
{
	unsigned i;

	for (i = 0; i < tables->count; i++) {
		if (!strcmp(tables->tables[i].file, file))
			return &tables->tables[i];
	}
	ck_abort_msg("there is no table %s", file);
}

static unsigned sum(const uint8_t *bytes, size_t len)
{
	unsigned total = 0;

	while (len--)
		total += *bytes++;
	return total & 0xff;
}

/* The table at guest address @gpa, checked as an operating system would. */
static const uint8_t *table_at(const struct acpi_tables *tables, uint64_t gpa,
			       const char *signature)
{
	const uint8_t *t;
	uint32_t len;

	ck_assert(range_inside(gpa - tables->gpa, 36, tables->len));
	t = tables->blob + (gpa - tables->gpa);
	ck_assert_mem_eq(t, signature, 4);
	len = get_le32(t + 4);
	ck_assert(range_inside(gpa - tables->gpa, len, tables->len));
	ck_assert_uint_eq(sum(t, len), 0);
	ck_assert_mem_eq(t + 10, "SARANG", 6);
	return t;
}

/* From the RSDP on, each pointer leads to a table with a right checksum. */
START_TEST(every_table_is_reached_from_the_rsdp)
{
	struct acpi_tables tables;
	const uint8_t *rsdp, *xsdt, *fadt;

	build_sample(&tables, 4);
	ck_assert_uint_eq(tables.rsdp_gpa % 16, 0);
	rsdp = tables.blob + (tables.rsdp_gpa - tables.gpa);
	ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
	ck_assert_uint_eq(rsdp[15], 2);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(sum(rsdp, get_le32(rsdp + 20)), 0);
	ck_assert_uint_eq(get_le32(rsdp + 20), 36);
	ck_assert_uint_eq(get_le32(rsdp + 16), 0); /* no RSDT */
	xsdt = table_at(&tables, get_le64(rsdp + 24), "XSDT");
	ck_assert_uint_eq(get_le32(xsdt + 4), 36 + 2 * 8);
	fadt = table_at(&tables, get_le64(xsdt + 36), "FACP");
	table_at(&tables, get_le64(xsdt + 44), "APIC");
	table_at(&tables, get_le64(fadt + 140), "DSDT");
	ck_assert_uint_eq(get_le32(fadt + 40), get_le64(fadt + 140));
	acpi_free(&tables);
}
END_TEST

START_TEST(fadt_is_hardware_reduced_and_resets)
{
	struct acpi_tables tables;
	const uint8_t *t;
	uint32_t flags;

	build_sample(&tables, 1);
	t = find(&tables, "facp.dat")->data;
	ck_assert_uint_eq(get_le32(t + 4), 276);
	ck_assert_uint_eq(t[8], 6);
	flags = get_le32(t + 112);
	ck_assert_uint_ne(flags & 1u << 20, 0);
	ck_assert_uint_ne(flags & 1u << 10, 0);
	ck_assert_mem_eq(t + 116, ((uint8_t[]){1, 8, 0, 1, 0x02, 0x06, 0, 0, 0, 0, 0, 0, 1}), 13);
	ck_assert_mem_eq(t + 244, ((uint8_t[]){1, 8, 0, 1, 0x00, 0x06, 0, 0, 0, 0, 0, 0}), 12);
	ck_assert_mem_eq(t + 256, ((uint8_t[]){1, 8, 0, 1, 0x01, 0x06, 0, 0, 0, 0, 0, 0}), 12);
	ck_assert_mem_eq(t + 268, "SARANG\0", 8);
	ck_assert_uint_eq(get_le32(t + 36), 0); /* no FACS */
	ck_assert_uint_eq(get_le16(t + 109), 1u << 2);
	acpi_free(&tables);
}
END_TEST

/* What a board lacks must not be claimed: a guest would touch what is not there. */
START_TEST(fadt_says_what_is_missing)
{
	struct acpi_board board;
	struct acpi_tables tables;
	const uint8_t *t;

	sample_board(&board, 1);
	board.reset.addr = 0;
	board.sleep_control.addr = 0;
	board.has_rtc = false;
	board.has_i8042 = true;
	build(&tables, &board);
	t = find(&tables, "facp.dat")->data;
	ck_assert_uint_eq(get_le32(t + 112) & 1u << 10, 0);
	ck_assert_uint_eq(sum(t + 116, 12), 0);
	ck_assert_uint_eq(sum(t + 244, 12), 0);
	ck_assert_uint_eq(get_le16(t + 109), 1u << 1 | 1u << 2 | 1u << 5);
	ck_assert_uint_eq(t[108], 0);
	acpi_free(&tables);
}
END_TEST

struct madt_count {
	unsigned by_type[256];
};

/* Walks the structures of the MADT; every one has a length that fits. */
static void walk_madt(const struct acpi_table *table, struct madt_count *count)
{
	size_t at = 44;

	memset(count, 0, sizeof(*count));
	while (at < table->len) {
		ck_assert_uint_ge(table->len - at, 2);
		ck_assert_uint_ge(table->data[at + 1], 2);
		ck_assert_uint_le(table->data[at + 1], table->len - at);
		count->by_type[table->data[at]]++;
		at += table->data[at + 1];
	}
	ck_assert_uint_eq(at, table->len);
}

START_TEST(madt_lists_every_cpu_once)
{
	static const struct {
		unsigned cpus, lapics, x2apics;
	} examples[] = {{1, 1, 0}, {64, 64, 0}, {255, 255, 0}, {256, 255, 1}, {1024, 255, 769}};
	struct acpi_tables tables;
	struct madt_count count;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(examples); i++) {
		build_sample(&tables, examples[i].cpus);
		walk_madt(find(&tables, "apic.dat"), &count);
		ck_assert_uint_eq(count.by_type[0], examples[i].lapics);
		ck_assert_uint_eq(count.by_type[9], examples[i].x2apics);
		ck_assert_uint_eq(count.by_type[1], 1);
		ck_assert_uint_eq(count.by_type[4], 1);
		ck_assert_uint_eq(count.by_type[10], examples[i].x2apics ? 1 : 0);
		ck_assert_uint_eq(count.by_type[2], 0);
		acpi_free(&tables);
	}
}
END_TEST

/* APIC ids are not the processors' numbers when a topology has holes; 0xff is the xAPIC broadcast.
 */
START_TEST(madt_takes_sparse_apic_ids)
{
	static const uint32_t ids[] = {0, 2, 0xfe, 0xff, 0x12345};
	struct acpi_board board;
	struct acpi_tables tables;
	const uint8_t *t;

	sample_board(&board, 0);
	board.cpus = ARRAY_SIZE(ids);
	board.apic_ids = ids;
	build(&tables, &board);
	t = find(&tables, "apic.dat")->data + 36;
	ck_assert_mem_eq(t, ((uint8_t[]){0, 0, 0xe0, 0xfe, 0, 0, 0, 0}), 8);
	t += 8;
	ck_assert_mem_eq(t, ((uint8_t[]){0, 8, 0, 0, 1, 0, 0, 0}), 8);
	ck_assert_mem_eq(t + 8, ((uint8_t[]){0, 8, 1, 2, 1, 0, 0, 0}), 8);
	ck_assert_mem_eq(t + 16, ((uint8_t[]){0, 8, 2, 0xfe, 1, 0, 0, 0}), 8);
	ck_assert_mem_eq(t + 24, ((uint8_t[]){9, 16, 0, 0, 0xff, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}),
			 16);
	ck_assert_mem_eq(t + 40,
			 ((uint8_t[]){9, 16, 0, 0, 0x45, 0x23, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0}), 16);
	ck_assert_mem_eq(t + 56, ((uint8_t[]){1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}), 12);
	acpi_free(&tables);
}
END_TEST

START_TEST(madt_has_the_overrides_asked_for)
{
	struct acpi_board board;
	struct acpi_tables tables;
	struct madt_count count;
	const uint8_t *t;

	sample_board(&board, 1);
	board.override_count = 2;
	board.overrides[0] = (struct acpi_irq_override){.isa_irq = 0, .gsi = 2};
	board.overrides[1] = (struct acpi_irq_override){.isa_irq = 9,
							.gsi = 9,
							.level = true,
							.active_low = true};
	build(&tables, &board);
	walk_madt(find(&tables, "apic.dat"), &count);
	ck_assert_uint_eq(count.by_type[2], 2);
	t = find(&tables, "apic.dat")->data + 44 + 8 + 12;
	ck_assert_mem_eq(t, ((uint8_t[]){2, 10, 0, 0, 2, 0, 0, 0, 0x05, 0}), 10);
	ck_assert_mem_eq(t + 10, ((uint8_t[]){2, 10, 0, 9, 9, 0, 0, 0, 0x0f, 0}), 10);
	acpi_free(&tables);
}
END_TEST

START_TEST(tables_that_do_not_fit_are_refused)
{
	struct acpi_board board;
	struct acpi_tables tables;
	struct aml dsdt;
	struct err e = {0};

	sample_board(&board, 1024);
	board.tables_max = 4096;
	aml_init(&dsdt);
	ck_assert_int_eq(acpi_build(&board, &dsdt, &tables, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "1024 vCPUs"));
	ck_assert_ptr_null(tables.blob);
	acpi_free(&tables);
	aml_begin_scope(&dsdt, "_SB");
	ck_assert_int_eq(acpi_build(&board, &dsdt, &tables, &e), -EINVAL);
	aml_free(&dsdt);
}
END_TEST

/* A kernel scans 0xe0000 to 0xfffff for the RSDP: the most vCPUs of any host must still fit there.
 */
START_TEST(the_largest_machine_fits_below_1_mib)
{
	struct acpi_tables tables;

	build_sample(&tables, SAMPLE_CPUS_MAX);
	ck_assert_uint_le(tables.len, 0x20000);
	acpi_free(&tables);
}
END_TEST

START_TEST(dump_says_what_is_wrong_with_the_directory)
{
	char path[] = "/tmp/sarang-acpi-XXXXXX";
	struct acpi_tables tables;
	struct err e = {0};
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	build_sample(&tables, 1);
	ck_assert_int_eq(acpi_dump(&tables, path, &e), -ENOTDIR);
	ck_assert_ptr_nonnull(strstr(e.text, path));
	ck_assert_int_eq(acpi_dump(&tables, "/nonexistent/tables", &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/tables"));
	acpi_free(&tables);
	unlink(path);
}
END_TEST

/* The host's disk is full after the first tables. */
START_TEST(a_dump_that_fails_leaves_nothing)
{
	struct rlimit limit = {256, RLIM_INFINITY};
	char folder[] = "/tmp/sarang-acpi-XXXXXX";
	struct acpi_tables tables;
	struct err e = {0};
	int ret;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	build_sample(&tables, 64);
	signal(SIGXFSZ, SIG_IGN);
	/* Nothing is asserted under the limit: Check writes to a file too. */
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	ret = acpi_dump(&tables, "tables", &e);
	limit.rlim_cur = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(ret, -EFBIG);
	ck_assert_ptr_nonnull(strstr(e.text, "tables/"));
	ck_assert_int_lt(access("tables", F_OK), 0);
	ck_assert_int_eq(acpi_dump(&tables, folder, &e), 0);
	ck_assert_int_eq(access("dsdt.dat", F_OK), 0);
	while (tables.count)
		ck_assert_int_eq(unlink(tables.tables[--tables.count].file), 0);
	acpi_free(&tables);
	ck_assert(!chdir("/") && !rmdir(folder));
}
END_TEST

TCase *acpi_case(void)
{
	TCase *tc = tcase_create("acpi");

	tcase_add_test(tc, every_table_is_reached_from_the_rsdp);
	tcase_add_test(tc, fadt_is_hardware_reduced_and_resets);
	tcase_add_test(tc, fadt_says_what_is_missing);
	tcase_add_test(tc, madt_lists_every_cpu_once);
	tcase_add_test(tc, madt_takes_sparse_apic_ids);
	tcase_add_test(tc, madt_has_the_overrides_asked_for);
	tcase_add_test(tc, tables_that_do_not_fit_are_refused);
	tcase_add_test(tc, the_largest_machine_fits_below_1_mib);
	tcase_add_test(tc, dump_says_what_is_wrong_with_the_directory);
	tcase_add_test(tc, a_dump_that_fails_leaves_nothing);
	return tc;
}
