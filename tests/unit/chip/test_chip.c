/* Unit tests of the small chips. */
#include "suite.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("chip");

	suite_add_tcase(suite, uart_regs_case());
	suite_add_tcase(suite, uart_case());
	suite_add_tcase(suite, rtc_case());
	suite_add_tcase(suite, small_case());
	suite_add_tcase(suite, pl011_case());
	suite_add_tcase(suite, pl031_case());
	suite_add_tcase(suite, pl061_case());
	return suite;
}
