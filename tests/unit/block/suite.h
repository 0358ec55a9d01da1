/* The cases of this program, one function a file. */
#ifndef SARANG_TESTS_BLOCK_SUITE_H
#define SARANG_TESTS_BLOCK_SUITE_H

#include "unit.h"

TCase *faults_case(void);
TCase *file_case(void);
TCase *lock_case(void);
TCase *open_case(void);
TCase *overlay_case(void);
TCase *raw_case(void);
TCase *requests_case(void);
TCase *throttle_case(void);

#endif
