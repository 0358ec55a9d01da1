#include "qcow2_case.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "block/qcow2.h"

void qcow2_case_make(struct qcow2_case *c, bool on_disk)
{
	struct err e;

	*c = (struct qcow2_case){0};
	ck_assert_int_eq(loop_new(&c->loop, &e), 0);
	/* In memory where there is no need for a disk: what is tested flushes a lot. */
	snprintf(c->dir, sizeof(c->dir), "/dev/shm/qcow2-XXXXXX");
	if (on_disk || !mkdtemp(c->dir)) {
		snprintf(c->dir, sizeof(c->dir), "qcow2-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(c->dir));
	}
}

void qcow2_case_free(struct qcow2_case *c)
{
	qcow2_case_close(c);
	file_record_free(&c->record);
	loop_free(c->loop);
	ck_assert_int_eq(qcow2_run(c, "rm -f ./*"), 0);
	ck_assert_int_eq(rmdir(c->dir), 0);
}

int qcow2_case_try(struct qcow2_case *c, const char *name, struct err *e)
{
	char path[96];
	struct blk_options options = {.path = path, .direct = c->direct};
	struct file_options file_options = {.path = path, .direct = c->direct};
	struct file_desc desc;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	ret = file_desc_open(&desc, &file_options, e);
	if (ret < 0)
		return ret;
	ret = file_attach(&desc, c->loop, c->threads ? FILE_ENGINE_THREADS : FILE_ENGINE_URING,
			  &c->file, e);
	ck_assert_msg(ret == 0, "%s", e->text);
	c->file = file_faults_new(c->file, &c->plan);
	ck_assert_ptr_nonnull(c->file);
	c->file = file_record_new(c->file, &c->record);
	ck_assert_ptr_nonnull(c->file);
	ret = qcow2_open(c->file, &options, &c->blk, e);
	if (ret < 0)
		file_close(c->file);
	return ret;
}

void qcow2_case_open(struct qcow2_case *c, const char *name)
{
	struct err e = {0};
	int ret = qcow2_case_try(c, name, &e);

	ck_assert_msg(ret == 0, "%s", e.text);
}

void qcow2_case_close(struct qcow2_case *c)
{
	blk_close(c->blk);
	c->blk = NULL;
}

bool qcow2_have_qemu(void)
{
	bool have = system("qemu-img --version >/dev/null 2>&1") == 0;

	if (!have)
		fprintf(stderr, "SKIPPED: no qemu-img to compare with\n");
	return have;
}

int qcow2_run(const struct qcow2_case *c, const char *fmt, ...)
{
	char command[1024], line[1200];
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "cd %s && (%s) >out.txt 2>&1", c->dir, command);
	status = system(line);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

unsigned char *qcow2_slurp(const struct qcow2_case *c, const char *name, size_t *len)
{
	unsigned char *bytes;
	char path[96];
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fstat(fileno(file), &st), 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, *len, file), *len);
	bytes[*len] = 0;
	fclose(file);
	return bytes;
}

void qcow2_qemu_check(const struct qcow2_case *c, const char *name, bool leaks)
{
	int status = qcow2_run(c, "qemu-img check -f qcow2 %s", name);
	size_t len;

	if (status == 0 || (leaks && status == 3))
		return;
	ck_abort_msg("qemu-img check gives %d: %.400s", status,
		     (char *)qcow2_slurp(c, "out.txt", &len));
}
