/* The test cases of the machine library, one file each. */
#ifndef SARANG_TESTS_MACHINE_TESTS_H
#define SARANG_TESTS_MACHINE_TESTS_H

#include "unit.h"

TCase *memory_cases(void);
TCase *signal_cases(void);

#endif
