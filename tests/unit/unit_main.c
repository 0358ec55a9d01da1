/* main() of every unit test program: prints the seed, runs the suite, exits 0 when all passed. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

uint64_t unit_seed(void)
{
	const char *text = getenv("SARANG_SEED");

	return text ? strtoull(text, NULL, 0) : 0;
}

int main(void)
{
	char text[32];
	SRunner *runner;
	int failed;

	if (!getenv("SARANG_SEED")) {
		snprintf(text, sizeof(text), "%lld", (long long)time(NULL));
		setenv("SARANG_SEED", text, 1);
	}
	printf("seed: %s (repeat with SARANG_SEED=%s)\n", getenv("SARANG_SEED"),
	       getenv("SARANG_SEED"));
	fflush(stdout);
	runner = srunner_create(unit_suite());
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
