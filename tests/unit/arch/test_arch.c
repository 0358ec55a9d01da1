/* Unit tests of vmm/arch/aarch64: what needs no KVM. */
#include "board.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("arch");

	suite_add_tcase(suite, plan_case());
	suite_add_tcase(suite, tree_case());
	return suite;
}
