/* The device tree writer: what it writes is read back with libfdt, and shown to dtc. */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tables/fdt.h"
#include "tests.h"

static struct fdt_builder *fdt;
static struct err e;

static void setup(void)
{
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(fdtb_new(FDT_IRQ_GIC, &fdt, &e), 0);
}

static void teardown(void)
{
	fdtb_free(fdt);
}

static const void *finish(size_t *len)
{
	const void *blob = NULL;

	ck_assert_msg(!fdtb_finish(fdt, &blob, len, &e), "%s", e.text);
	return blob;
}

static void refused(const char *part)
{
	const void *blob;
	size_t len;

	ck_assert_int_lt(fdtb_finish(fdt, &blob, &len, &e), 0);
	ck_assert_msg(strstr(e.text, part), "no \"%s\" in: %s", part, e.text);
}

static const uint8_t *property(const void *blob, const char *path, const char *name, int len)
{
	int node = fdt_path_offset(blob, path), found;
	const uint8_t *value;

	ck_assert_msg(node >= 0, "there is no %s", path);
	value = fdt_getprop(blob, node, name, &found);
	ck_assert_msg(value, "%s has no %s", path, name);
	ck_assert_int_eq(found, len);
	return value;
}

START_TEST(numbers_are_big_endian)
{
	static const uint8_t expected[] = {1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd};
	const void *blob;
	size_t len;

	fdtb_begin(fdt, "a");
	fdtb_u32(fdt, "one", 0x01020304);
	fdtb_u64(fdt, "two", 0x01020304aabbccdd);
	FDTB_CELLS(fdt, "cells", 0x01020304, 0xaabbccdd);
	fdtb_end(fdt);
	blob = finish(&len);
	ck_assert_mem_eq(property(blob, "/a", "one", 4), expected, 4);
	ck_assert_mem_eq(property(blob, "/a", "two", 8), expected, 8);
	ck_assert_mem_eq(property(blob, "/a", "cells", 8), expected, 8);
}
END_TEST

START_TEST(texts_lists_and_flags_have_their_lengths)
{
	const void *blob;
	size_t len;

	fdtb_begin(fdt, "a");
	fdtb_text(fdt, "text", "word");
	fdtb_texts(fdt, "list", "first\0second");
	fdtb_flag(fdt, "flag");
	fdtb_end(fdt);
	blob = finish(&len);
	ck_assert_mem_eq(property(blob, "/a", "text", 5), "word", 5);
	ck_assert_mem_eq(property(blob, "/a", "list", 13), "first\0second", 13);
	property(blob, "/a", "flag", 0);
}
END_TEST

START_TEST(windows_have_two_cells_each)
{
	const struct fdt_window windows[] = {{0x8000000, 0x10000}, {0x1234567890, 0xf60000}};
	const uint8_t *reg;
	const void *blob;
	size_t len;

	fdtb_begin(fdt, "gic@8000000");
	fdtb_windows(fdt, windows, 2);
	fdtb_end(fdt);
	blob = finish(&len);
	reg = property(blob, "/gic@8000000", "reg", 32);
	ck_assert_uint_eq(get_be64(reg), 0x8000000);
	ck_assert_uint_eq(get_be64(reg + 8), 0x10000);
	ck_assert_uint_eq(get_be64(reg + 16), 0x1234567890);
	ck_assert_uint_eq(get_be64(reg + 24), 0xf60000);
}
END_TEST

START_TEST(interrupts_follow_the_controller)
{
	struct fdt_builder *ioapic;
	const uint8_t *cells;
	const void *blob;
	size_t len;

	fdtb_begin(fdt, "edge");
	fdtb_interrupt(fdt, 16, FDT_EDGE_RISING);
	fdtb_end(fdt);
	fdtb_begin(fdt, "level");
	fdtb_interrupt(fdt, 1, FDT_LEVEL_HIGH);
	fdtb_end(fdt);
	blob = finish(&len);
	/* arm,gic.yaml: 0 is an SPI; 1 rising edge, 4 high level */
	cells = property(blob, "/edge", "interrupts", 12);
	ck_assert_uint_eq(get_be32(cells), 0);
	ck_assert_uint_eq(get_be32(cells + 4), 16);
	ck_assert_uint_eq(get_be32(cells + 8), 1);
	cells = property(blob, "/level", "interrupts", 12);
	ck_assert_uint_eq(get_be32(cells + 8), 4);

	ck_assert_int_eq(fdtb_new(FDT_IRQ_IOAPIC, &ioapic, &e), 0);
	fdtb_begin(ioapic, "edge");
	fdtb_interrupt(ioapic, 4, FDT_EDGE_RISING);
	fdtb_end(ioapic);
	ck_assert_int_eq(fdtb_finish(ioapic, &blob, &len, &e), 0);
	cells = property(blob, "/edge", "interrupts", 8);
	ck_assert_uint_eq(get_be32(cells), 4);
	ck_assert_uint_eq(get_be32(cells + 4), 0);
	fdtb_free(ioapic);
}
END_TEST

/* IEEE 1275's ISA: an address is <space port>; the bus says that port 0 is port 0. */
START_TEST(ports_are_on_an_isa_bus)
{
	static const uint32_t ranges[] = {1, 0, 0, 0, 0x10000}, reg[] = {1, 0x3f8, 8};
	const uint8_t *cells;
	const void *blob;
	size_t len, i;

	fdtb_u32(fdt, "#address-cells", 2);
	fdtb_u32(fdt, "#size-cells", 2);
	fdtb_begin_isa(fdt);
	fdtb_begin(fdt, "serial@3f8");
	fdtb_ports(fdt, 0x3f8, 8);
	fdtb_end(fdt);
	fdtb_end(fdt);
	blob = finish(&len);
	cells = property(blob, "/isa@0,0", "ranges", sizeof(ranges));
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(get_be32(cells + 4 * i), ranges[i]);
	cells = property(blob, "/isa@0,0/serial@3f8", "reg", sizeof(reg));
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(get_be32(cells + 4 * i), reg[i]);
}
END_TEST

START_TEST(labels_work_in_either_order)
{
	const void *blob;
	size_t len;

	fdtb_begin(fdt, "before");
	fdtb_u32(fdt, "refers", fdtb_phandle(fdt, "clock"));
	fdtb_end(fdt);
	fdtb_begin(fdt, "it");
	fdtb_own_phandle(fdt, "clock");
	fdtb_end(fdt);
	fdtb_begin(fdt, "after");
	fdtb_u32(fdt, "refers", fdtb_phandle(fdt, "clock"));
	fdtb_end(fdt);
	fdtb_begin(fdt, "other");
	fdtb_own_phandle(fdt, "gpio");
	fdtb_end(fdt);
	blob = finish(&len);
	ck_assert_mem_eq(property(blob, "/before", "refers", 4),
			 property(blob, "/it", "phandle", 4), 4);
	ck_assert_mem_eq(property(blob, "/after", "refers", 4), property(blob, "/it", "phandle", 4),
			 4);
	ck_assert_mem_ne(property(blob, "/other", "phandle", 4),
			 property(blob, "/it", "phandle", 4), 4);
	ck_assert_int_eq(fdt_node_offset_by_phandle(blob,
						    get_be32(property(blob, "/it", "phandle", 4))),
			 fdt_path_offset(blob, "/it"));
}
END_TEST

START_TEST(a_tree_grows_without_an_end_in_sight)
{
	char big[10000];
	const void *blob;
	char path[16];
	size_t len;
	unsigned i;

	memset(big, 'x', sizeof(big));
	for (i = 0; i < 3000; i++) {
		fdtb_begin(fdt, "node@%x", i);
		fdtb_u32(fdt, "reg", i);
		fdtb_end(fdt);
	}
	fdtb_begin(fdt, "big");
	fdtb_bytes(fdt, "bytes", big, sizeof(big));
	fdtb_end(fdt);
	blob = finish(&len);
	ck_assert_uint_gt(len, 3000 * 16 + sizeof(big));
	for (i = 0; i < 3000; i += 77) {
		snprintf(path, sizeof(path), "/node@%x", i);
		ck_assert_uint_eq(get_be32(property(blob, path, "reg", 4)), i);
	}
	ck_assert_mem_eq(property(blob, "/big", "bytes", sizeof(big)), big, sizeof(big));
}
END_TEST

START_TEST(mistakes_are_named_and_stick)
{
	char name[100];

	switch (_i) {
	case 0:
		fdtb_begin(fdt, "open");
		refused("not closed");
		break;
	case 1:
		fdtb_end(fdt);
		fdtb_end(fdt);
		refused("not opened");
		break;
	case 2:
		fdtb_u32(fdt, "interrupt-parent", fdtb_phandle(fdt, "nobody"));
		refused("nobody");
		break;
	case 3:
		fdtb_begin(fdt, "a");
		fdtb_own_phandle(fdt, "twice");
		fdtb_end(fdt);
		fdtb_begin(fdt, "b");
		fdtb_own_phandle(fdt, "twice");
		fdtb_end(fdt);
		refused("twice");
		break;
	case 4:
		memset(name, 'n', sizeof(name));
		fdtb_begin(fdt, "%.*s", (int)sizeof(name), name);
		ck_assert_int_eq(fdtb_error(fdt), -EINVAL);
		/* What follows does nothing; the first error is the one that counts. */
		fdtb_end(fdt);
		fdtb_end(fdt);
		fdtb_end(fdt);
		refused("too long");
		break;
	default:
		fdtb_begin(fdt, "child");
		fdtb_end(fdt);
		fdtb_u32(fdt, "late", 1);
		refused("after a child");
		break;
	}
}
END_TEST

START_TEST(trees_that_are_cut_or_damaged_are_not_valid)
{
	const void *blob;
	uint8_t *copy;
	size_t len;

	fdtb_begin(fdt, "a");
	fdtb_text(fdt, "text", "word");
	fdtb_end(fdt);
	blob = finish(&len);
	ck_assert_int_eq(fdt_validate(blob, len, &e), 0);
	ck_assert_int_lt(fdt_validate(blob, len - 1, &e), 0);
	ck_assert_int_lt(fdt_validate(blob, 8, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "not valid"));
	copy = malloc(len);
	memcpy(copy, blob, len);
	/* The last END token of the structure block. */
	copy[fdt_off_dt_struct(blob) + fdt_size_dt_struct(blob) - 1] ^= 1;
	ck_assert_int_lt(fdt_validate(copy, len, &e), 0);
	free(copy);
}
END_TEST

START_TEST(a_tree_is_dumped_to_a_file)
{
	char path[] = "/tmp/sarang-fdt-XXXXXX";
	uint8_t back[4096];
	const void *blob;
	size_t len;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	fdtb_text(fdt, "model", "sample");
	blob = finish(&len);
	close(fd);
	ck_assert_int_eq(fdt_dump(blob, len, path, &e), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, back, sizeof(back)), (ssize_t)len);
	ck_assert_mem_eq(back, blob, len);
	close(fd);
	unlink(path);
	ck_assert_int_eq(fdt_dump(blob, len, "/nonesuch/tree", &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonesuch/tree"));
}
END_TEST

TCase *fdt_case(void)
{
	TCase *tc = tcase_create("fdt");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, numbers_are_big_endian);
	tcase_add_test(tc, texts_lists_and_flags_have_their_lengths);
	tcase_add_test(tc, windows_have_two_cells_each);
	tcase_add_test(tc, interrupts_follow_the_controller);
	tcase_add_test(tc, ports_are_on_an_isa_bus);
	tcase_add_test(tc, labels_work_in_either_order);
	tcase_add_test(tc, a_tree_grows_without_an_end_in_sight);
	tcase_add_loop_test(tc, mistakes_are_named_and_stick, 0, 6);
	tcase_add_test(tc, trees_that_are_cut_or_damaged_are_not_valid);
	tcase_add_test(tc, a_tree_is_dumped_to_a_file);
	return tc;
}
