/* Images as a power cut may have left them, made from what was recorded of a run. */
#ifndef SARANG_TESTS_QCOW2_CUT_H
#define SARANG_TESTS_QCOW2_CUT_H

#include "qcow2_case.h"

struct cut {
	const unsigned char *before; /* the image when the record begins */
	size_t before_len;
	size_t at; /* how many entries of the record were submitted by then */
	uint64_t *random;
};

/*
 * Writes the image into file @name of @c's directory: all that a flush had made stable by then, and
 * any of what had been submitted besides.
 */
void cut_write(const struct qcow2_case *c, const struct cut *cut, const char *name);

#endif
