/* Unit tests of firmware/boot: kernel files, boot protocols, the memory map. */
#include "tests.h"
#include "unit.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("boot");

	suite_add_tcase(suite, kernel_case());
	suite_add_tcase(suite, unpack_case());
	suite_add_tcase(suite, bzimage_case());
	suite_add_tcase(suite, elf_case());
	suite_add_tcase(suite, arm64_case());
	suite_add_tcase(suite, e820_case());
	suite_add_tcase(suite, hostile_case());
	suite_add_tcase(suite, hardware_case());
	return suite;
}
