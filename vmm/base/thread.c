/* Threads: see thread.h. The new thread inherits the mask that its creator has for that moment. */
#include "base/thread.h"

#include <signal.h>

#include "base/util.h"

int thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *opaque),
		  void *opaque)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t blocked, old;
	size_t i;
	int ret;

	sigfillset(&blocked);
	for (i = 0; i < ARRAY_SIZE(crashes); i++)
		sigdelset(&blocked, crashes[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	ret = pthread_create(thread, attr, run, opaque);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ret;
}
