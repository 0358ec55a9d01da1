/* The test cases of this program, one file each. */
#ifndef SARANG_TESTS_CHIP_SUITE_H
#define SARANG_TESTS_CHIP_SUITE_H

#include <check.h>

TCase *uart_regs_case(void);
TCase *uart_case(void);
TCase *rtc_case(void);
TCase *small_case(void);
TCase *pl011_case(void);
TCase *pl031_case(void);
TCase *pl061_case(void);

#endif
