/*
 * The device tree of an aarch64 machine. Its text, as dtc prints it, is held for 1 and 4 vCPUs in
 * golden/; to accept a change, run this program with SARANG_GOLDEN=update and look at the
 * difference.
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "board.h"

static struct board board;
static struct arm64_board description;

static void setup(void)
{
	board_new(&board, GIB(5), 2);
}

static void teardown(void)
{
	board_free(&board);
}

/* All that @command prints, errors too; NUL-terminated, to be freed. */
static char *run(const char *command, int *status)
{
	FILE *pipe = popen(command, "r");
	char *text = NULL;
	size_t len = 0;

	ck_assert_ptr_nonnull(pipe);
	if (getdelim(&text, &len, '\0', pipe) < 0) {
		free(text);
		text = calloc(1, 1);
	}
	*status = pclose(pipe);
	return text;
}

/* The tree in dtc's words. It has none of its own to add: no warning. NULL where there is no dtc.
 */
static char *tree_text(void)
{
	char path[] = "/tmp/sarang-dtb-XXXXXX", command[128], *text;
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;
	int status, fd;

	if (system("command -v dtc > /dev/null")) {
		printf("skipped: dtc is not installed (package device-tree-compiler; see "
		       "scripts/deps)\n");
		return NULL;
	}
	ck_assert_msg(!arm64_tree_build(&description, &fdt, &blob, &len, &e), "%s", e.text);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fdt_dump(blob, len, path, &e), 0);
	fdtb_free(fdt);
	snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null %s 2>&1", path);
	text = run(command, &status);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(!*text, "dtc says: %s", text);
	free(text);
	snprintf(command, sizeof(command), "dtc -I dtb -O dts %s 2>&1", path);
	text = run(command, &status);
	ck_assert_int_eq(status, 0);
	close(fd);
	unlink(path);
	return text;
}

static char *read_golden(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;

	ck_assert_msg(file, "cannot open %s", path);
	ck_assert_int_gt(getdelim(&text, &len, '\0', file), 0);
	fclose(file);
	return text;
}

static void write_golden(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_msg(file, "cannot write %s", path);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(the_tree_is_the_golden_one)
{
	static const unsigned cpus[] = {1, 4};
	const char *mode = getenv("SARANG_GOLDEN");
	char path[256], *text, *golden;

	board_describe(&board, cpus[_i], &description);
	text = tree_text();
	if (!text)
		return;
	snprintf(path, sizeof(path), GOLDEN_DIR "/aarch64-%u.dts", cpus[_i]);
	if (mode && !strcmp(mode, "update"))
		write_golden(path, text);
	golden = read_golden(path);
	ck_assert_msg(!strcmp(text, golden), "not as in %s:\n%s", path, text);
	free(golden);
	free(text);
}
END_TEST

START_TEST(dtc_has_nothing_to_say)
{
	char *text;

	board_describe(&board, _i == 3 ? 300 : 2, &description);
	switch (_i) {
	case 0: /* the board without what is optional */
		description.has_its = false;
		description.initrd_bytes = 0;
		description.device_count = board.plan.count - 2;
		break;
	case 1:
		description.gic_version = 2;
		description.has_its = false;
		break;
	case 2:
		description.cmdline = "quotes \" and \\ and UTF-8 ü";
		break;
	default: /* more redistributors than one window holds */
		description.redists[0].len = 123ull * 0x20000;
		description.redists[1] =
			(struct fdt_window){(1ull << 40) - 177 * 0x20000, 177 * 0x20000};
		description.redist_count = 2;
		break;
	}
	text = tree_text();
	if (text && _i == 1) {
		ck_assert_ptr_nonnull(strstr(text, "arm,cortex-a15-gic"));
		/* Two processors get the private interrupts: mask 3. */
		ck_assert_ptr_nonnull(strstr(text, "<0x01 0x0d 0x304 0x01 0x0e 0x304"));
	}
	if (text && _i == 3)
		ck_assert_ptr_nonnull(strstr(text, "#redistributor-regions = <0x02>"));
	free(text);
}
END_TEST

/* Linux gives the processors the numbers in which it finds them, and takes them by MPIDR. */
START_TEST(every_processor_has_its_node)
{
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;
	unsigned i;

	board_describe(&board, 300, &description);
	ck_assert_int_eq(arm64_tree_build(&description, &fdt, &blob, &len, &e), 0);
	for (i = 0; i < 300; i++) {
		unsigned affinity = (i & 0xf) | (i >> 4) << 8;
		char path[32];
		const void *reg;
		int node, size;

		snprintf(path, sizeof(path), "/cpus/cpu@%x", affinity);
		node = fdt_path_offset(blob, path);
		ck_assert_msg(node >= 0, "there is no %s", path);
		reg = fdt_getprop(blob, node, "reg", &size);
		ck_assert_int_eq(size, 4);
		ck_assert_uint_eq(get_be32(reg), affinity);
	}
	fdtb_free(fdt);
}
END_TEST

START_TEST(a_device_that_cannot_describe_itself_is_named)
{
	struct fdt_builder *fdt;
	struct err e = {0};
	const void *blob;
	size_t len;

	board_describe(&board, 1, &description);
	/* Twice the same GPIO chip: its label would mean two nodes. */
	board.devices[board.plan.count - 1]->class->destroy(board.devices[board.plan.count - 1]);
	board.devices[--board.plan.count] = board.devices[2];
	ck_assert_int_lt(arm64_tree_build(&description, &fdt, &blob, &len, &e), 0);
	ck_assert_msg(strstr(e.text, "gpio"), "%s", e.text);
}
END_TEST

TCase *tree_case(void)
{
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_tree_is_the_golden_one, 0, 2);
	tcase_add_loop_test(tc, dtc_has_nothing_to_say, 0, 4);
	tcase_add_test(tc, every_processor_has_its_node);
	tcase_add_test(tc, a_device_that_cannot_describe_itself_is_named);
	return tc;
}
