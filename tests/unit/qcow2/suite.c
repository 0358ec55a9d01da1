#include "suite.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("qcow2");

	suite_add_tcase(suite, model_case());
	suite_add_tcase(suite, power_case());
	return suite;
}
