/* The suite of the virtio library. */
#include "tests.h"

Suite *unit_suite(void)
{
	Suite *suite = suite_create("virtio");

	suite_add_tcase(suite, chain_cases());
	suite_add_tcase(suite, chain_model_cases());
	suite_add_tcase(suite, queue_cases());
	suite_add_tcase(suite, mmio_cases());
	suite_add_tcase(suite, blk_cases());
	suite_add_tcase(suite, blk_io_cases());
	suite_add_tcase(suite, blk_pause_cases());
	suite_add_tcase(suite, rng_console_cases());
	suite_add_tcase(suite, net_cases());
	suite_add_tcase(suite, net_rx_cases());
	suite_add_tcase(suite, net_thread_cases());
	suite_add_tcase(suite, nap_cases());
	suite_add_tcase(suite, thread_cases());
	return suite;
}
