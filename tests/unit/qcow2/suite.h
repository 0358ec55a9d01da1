/* The cases of this program, one function a file. */
#ifndef SARANG_TESTS_QCOW2_SUITE_H
#define SARANG_TESTS_QCOW2_SUITE_H

#include "unit.h"

TCase *model_case(void);
TCase *power_case(void);

#endif
