/*
 * The system calls under the engines, as a kernel may answer them on a bad day.
 *
 * Linked in front of preadv and pwritev (threads) and of io_uring's submission and completion. What
 * is set here holds for the process; Check runs each test in one of its own.
 */
#ifndef SARANG_TESTS_BLOCK_WRAPPED_CALLS_H
#define SARANG_TESTS_BLOCK_WRAPPED_CALLS_H

#include <stdint.h>

/*
 * From now on, by turns: transfers move at most about half, in whole units of @unit bytes (0: as
 * they are), are interrupted (EINTR) or put off (EAGAIN).
 */
void wrapped_make_erratic(uint32_t unit);

/* How often a transfer was made shorter, interrupted or put off. */
unsigned wrapped_erratic_count(void);

/* The next @times io_uring submissions fail with @error (-errno). */
void wrapped_fail_submit(int error, unsigned times);

/* Submissions that failed so. */
unsigned wrapped_submit_failures(void);

/* No ring can be made from now on: @error (-errno), as with kernel.io_uring_disabled. */
void wrapped_refuse_rings(int error);

#endif
