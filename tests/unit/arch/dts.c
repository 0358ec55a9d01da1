/* A device tree in the words of dtc: see dts.h. */
#include "dts.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tables/fdt.h"

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

char *dts_text(const void *blob, size_t len)
{
	char path[] = "/tmp/sarang-dtb-XXXXXX", command[128], *text;
	struct err e = {0};
	int status, fd;

	if (system("command -v dtc > /dev/null")) {
		printf("skipped: dtc is not installed (package device-tree-compiler; see "
		       "scripts/deps)\n");
		return NULL;
	}
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fdt_dump(blob, len, path, &e), 0);
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

void dts_check_golden(const char *text, const char *name)
{
	const char *mode = getenv("SARANG_GOLDEN");
	char path[256], *golden;

	snprintf(path, sizeof(path), GOLDEN_DIR "/%s", name);
	if (mode && !strcmp(mode, "update"))
		write_golden(path, text);
	golden = read_golden(path);
	ck_assert_msg(!strcmp(text, golden), "not as in %s:\n%s", path, text);
	free(golden);
}
