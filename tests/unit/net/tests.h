/* The test cases of the net library, one file each. */
#ifndef SARANG_TESTS_NET_TESTS_H
#define SARANG_TESTS_NET_TESTS_H

#include "unit.h"

TCase *header_cases(void);
TCase *address_cases(void);
TCase *limit_cases(void);
TCase *user_cases(void);
TCase *capture_cases(void);
TCase *stream_cases(void);
TCase *ring_cases(void);
TCase *tap_cases(void);
TCase *holder_cases(void);
TCase *sandbox_cases(void);
TCase *spawn_cases(void);

#endif
