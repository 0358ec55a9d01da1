/* The test cases of the probe's two files. */
#ifndef SARANG_TESTS_PROBE_H
#define SARANG_TESTS_PROBE_H

#include "unit.h"

TCase *trial_cases(void);

#endif
