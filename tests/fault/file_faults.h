/* A file whose n-th operation fails, is torn or comes late: in front of any other struct file. */
#ifndef SARANG_FAULT_FILE_FAULTS_H
#define SARANG_FAULT_FILE_FAULTS_H

#include "block/file.h"

enum fault_kind {
	FAULT_FAIL,  /* does nothing and fails with @error */
	FAULT_TORN,  /* does the first @amount bytes of a write, then fails with @error */
	FAULT_DELAY, /* is handed on @amount nanoseconds later */
};

struct fault {
	enum file_op op;
	const char *point; /* only steps of this name (file_req.point); NULL: any */
	unsigned nth;      /* the first one that is hit, counted from 1 */
	unsigned times;    /* how many are hit from there on */
	enum fault_kind kind;
	int error; /* -errno */
	uint64_t amount;
	unsigned seen; /* how many came by; starts as 0 */
};

/* @faults stays the caller's, who may change it between requests. */
struct file_faults {
	struct fault *faults;
	unsigned count;
};

/* A file that owns @below and misbehaves as @plan says. NULL: out of memory, @below untouched. */
struct file *file_faults_new(struct file *below, struct file_faults *plan);

#endif
