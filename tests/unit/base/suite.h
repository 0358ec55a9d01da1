/* The parts of this program's suite. */
#ifndef SARANG_TESTS_UNIT_BASE_SUITE_H
#define SARANG_TESTS_UNIT_BASE_SUITE_H

#include "unit.h"

TCase *case_bucket(void);
TCase *case_text(void); /* err, strbuf */
TCase *case_log(void);
TCase *case_save(void);

#endif
