/* What signals do to a process that has them taken, before and after its loop runs. */
#include <signal.h>
#include <unistd.h>

#include "machine/private.h"
#include "tests.h"

/* A power button that is pressed while the machine is taken down must not end the process. */
START_TEST(power_button_pressed_too_late_is_moot)
{
	struct signals signals = {0};

	signals_block(&signals);
	ck_assert_int_eq(kill(getpid(), SIGPWR), 0);
	ck_assert_int_eq(raise(SIGPWR), 0);
	signals_unwatch(&signals);
	signals_restore(&signals);
}
END_TEST

/* ... while those that end a guest end the process once all is cleaned up. */
START_TEST(ending_signal_ends_the_process_afterwards)
{
	struct signals signals = {0};

	signals_block(&signals);
	ck_assert_int_eq(raise(SIGTERM), 0);
	signals_unwatch(&signals);
	signals_restore(&signals);
}
END_TEST

/* The mask that the caller had comes back. */
START_TEST(mask_is_restored)
{
	struct signals signals = {0};
	sigset_t before, after;
	int signo;

	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	signals_block(&signals);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	ck_assert(sigismember(&after, SIGTERM) && sigismember(&after, SIGPWR));
	signals_unwatch(&signals);
	signals_restore(&signals);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (signo = 1; signo < SIGRTMIN; signo++)
		ck_assert_int_eq(sigismember(&before, signo), sigismember(&after, signo));
}
END_TEST

TCase *signal_cases(void)
{
	TCase *tc = tcase_create("signals");

	tcase_add_test(tc, power_button_pressed_too_late_is_moot);
	tcase_add_test_raise_signal(tc, ending_signal_ends_the_process_afterwards, SIGTERM);
	tcase_add_test(tc, mask_is_restored);
	return tc;
}
