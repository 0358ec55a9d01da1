/* The suite of the net library. */
#include "tests.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("net");

	suite_add_tcase(suite, header_cases());
	suite_add_tcase(suite, address_cases());
	suite_add_tcase(suite, limit_cases());
	suite_add_tcase(suite, user_cases());
	suite_add_tcase(suite, capture_cases());
	suite_add_tcase(suite, stream_cases());
	suite_add_tcase(suite, ring_cases());
	suite_add_tcase(suite, tap_cases());
	suite_add_tcase(suite, holder_cases());
	suite_add_tcase(suite, sandbox_cases());
	suite_add_tcase(suite, spawn_cases());
	return suite;
}
