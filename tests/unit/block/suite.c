#include "suite.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("block");

	suite_add_tcase(suite, open_case());
	suite_add_tcase(suite, lock_case());
	suite_add_tcase(suite, requests_case());
	suite_add_tcase(suite, file_case());
	suite_add_tcase(suite, faults_case());
	suite_add_tcase(suite, raw_case());
	suite_add_tcase(suite, overlay_case());
	suite_add_tcase(suite, throttle_case());
	return suite;
}
