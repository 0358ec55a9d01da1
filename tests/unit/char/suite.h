/* The test cases of this program, one file each. */
#ifndef SARANG_TESTS_CHAR_SUITE_H
#define SARANG_TESTS_CHAR_SUITE_H

#include <check.h>

TCase *parts_case(void);
TCase *pipes_case(void);
TCase *file_case(void);
TCase *socket_case(void);
TCase *pty_case(void);
TCase *terminal_case(void);

#endif
