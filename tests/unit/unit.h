/* The one thing a unit test program provides: its suite. unit_main.c runs it. */
#ifndef SARANG_TESTS_UNIT_H
#define SARANG_TESTS_UNIT_H

#include <check.h>
#include <stdint.h>

/* Returns the program's suite; owned by the runner. */
Suite *unit_suite(void);

/*
 * The seed of this run's random tests: SARANG_SEED when set, else the time. Printed once by the
 * runner, so that a failure can be repeated.
 */
uint64_t unit_seed(void);

/* A small generator (xorshift64*): the same seed gives the same sequence everywhere. */
static inline uint64_t unit_random(uint64_t *state)
{
	uint64_t x = *state ? *state : 0x9e3779b97f4a7c15ull;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

#endif
