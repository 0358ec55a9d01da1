/* A device tree in the words of dtc, and the golden ones in golden/. */
#ifndef SARANG_TESTS_ARCH_DTS_H
#define SARANG_TESTS_ARCH_DTS_H

#include <stddef.h>

/*
 * The text of the tree @blob, to be freed. Fails if dtc has a word of its own to add: no warning is
 * accepted. NULL where there is no dtc.
 */
char *dts_text(const void *blob, size_t len);

/*
 * Compares @text with golden/@name. To accept a change, run the program with SARANG_GOLDEN=update
 * and look at the difference.
 */
void dts_check_golden(const char *text, const char *name);

#endif
