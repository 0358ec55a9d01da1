/* A directory with qcow2 images in it, opened behind layers that inject faults and record. */
#ifndef SARANG_TESTS_QCOW2_CASE_H
#define SARANG_TESTS_QCOW2_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "block/blk.h"
#include "block/file.h"
#include "fault/file_faults.h"
#include "fault/file_record.h"
#include "unit.h"

struct qcow2_case {
	struct loop *loop;
	char dir[32];
	struct file *file;
	struct blk *blk;
	bool direct, threads;
	struct file_faults plan;
	struct file_record record;
};

/* @on_disk: where direct I/O may work. */
void qcow2_case_make(struct qcow2_case *c, bool on_disk);
void qcow2_case_free(struct qcow2_case *c);

/* Opens the image @name for writing. 0 or -errno with @e set. */
int qcow2_case_try(struct qcow2_case *c, const char *name, struct err *e);
void qcow2_case_open(struct qcow2_case *c, const char *name);
void qcow2_case_close(struct qcow2_case *c);

/* Whether qemu-img is there; says so once when it is not. */
bool qcow2_have_qemu(void);

/* Runs a command line in the directory; its exit status. What it prints is dropped. */
int qcow2_run(const struct qcow2_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The contents of a file in the directory, to be freed. */
unsigned char *qcow2_slurp(const struct qcow2_case *c, const char *name, size_t *len);

/* Checks @name with qemu-img: the exit status is 0, or 3 where @leaks are allowed. */
void qcow2_qemu_check(const struct qcow2_case *c, const char *name, bool leaks);

#endif
