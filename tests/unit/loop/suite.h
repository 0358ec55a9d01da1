/* The parts of this program's suite. */
#ifndef SARANG_TESTS_UNIT_LOOP_SUITE_H
#define SARANG_TESTS_UNIT_LOOP_SUITE_H

#include "unit.h"

TCase *case_threads(void);
TCase *case_workers(void);

#endif
