/* Unit tests of vmm/arch/x86_64: what needs no KVM. */
#include "unit.h"
#include "x86.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("arch-x86_64");

	suite_add_tcase(suite, x86_plan_case());
	suite_add_tcase(suite, x86_tree_case());
	return suite;
}
