/* The parts of checking an image: see qcow2_check.c. Private to the files qcow2_check*.c. */
#ifndef SARANG_BLOCK_QCOW2_CHECK_H
#define SARANG_BLOCK_QCOW2_CHECK_H

#include "block/qcow2_tools.h"

/* Of one host cluster. */
struct qcow2_count {
	uint64_t refs;   /* that were found */
	uint64_t tables; /* of them: as an L2 table, by L1 tables */
	bool seen;       /* that L2 table has been read */
};

struct qcow2_check {
	struct qcow2 *q;
	struct qcow2_check_report *report;
	uint64_t clusters; /* in the file */
	struct qcow2_count **pieces;
	unsigned char *table; /* a cluster to read into */
	struct qcow2_snapshots snapshots;
	uint64_t bad_blocks; /* entries of the refcount table that lead nowhere: corruptions */
};

void qcow2_check_say(struct qcow2_check *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void qcow2_check_corrupt(struct qcow2_check *c, const char *what, uint64_t where);
/* Counts @times references to each cluster of @run; @what is wrong where it is outside the file. */
int qcow2_check_refer(struct qcow2_check *c, const char *what, struct qcow2_run run,
		      uint64_t times);
uint64_t qcow2_check_count(const struct qcow2_check *c, uint64_t cluster);
/*
 * The next cluster from @cluster on that may have references, or @end: a file can be sparse, and
 * have far more clusters than anybody can look at.
 */
uint64_t qcow2_check_next(const struct qcow2_check *c, uint64_t cluster, uint64_t end);

/* Takes back what was counted for the refcount table and its blocks, which move elsewhere. */
void qcow2_check_unrefer_tables(struct qcow2_check *c);

/* What the bitmaps extension refers to. */
int qcow2_check_bitmaps(struct qcow2_check *c);
/* Refcounts against what was counted. */
int qcow2_check_compare(struct qcow2_check *c, enum qcow2_repair repair);
/* Whether refcount blocks are lost, so that repairing needs new ones. */
bool qcow2_check_needs_rebuild(struct qcow2_check *c);
/* Compares, and makes new refcount blocks, and a table of them, from what was counted. */
int qcow2_check_rebuild(struct qcow2_check *c);
/* COPIED bits of the active tables. */
int qcow2_check_copied(struct qcow2_check *c, enum qcow2_repair repair);
/* Writes repairs and clears the bits that ask for them. */
int qcow2_check_finish(struct qcow2_check *c, enum qcow2_repair repair);

#endif
