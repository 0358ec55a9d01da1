/* Unit tests of the character back-ends. */
#include "suite.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("char");

	suite_add_tcase(suite, parts_case());
	suite_add_tcase(suite, pipes_case());
	suite_add_tcase(suite, file_case());
	suite_add_tcase(suite, socket_case());
	suite_add_tcase(suite, pty_case());
	suite_add_tcase(suite, terminal_case());
	return suite;
}
