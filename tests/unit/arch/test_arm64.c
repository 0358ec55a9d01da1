/* Unit tests of vmm/arch/aarch64: what needs no KVM. */
#include "arm64.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("arch");

	suite_add_tcase(suite, arm64_plan_case());
	suite_add_tcase(suite, arm64_tree_case());
	return suite;
}
