/* Unit tests of firmware/tables: the AML writer, the x86 ACPI table set, device trees. */
#include "tests.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("tables");

	suite_add_tcase(suite, aml_case());
	suite_add_tcase(suite, acpi_case());
	suite_add_tcase(suite, iasl_case());
	suite_add_tcase(suite, fdt_case());
	return suite;
}
