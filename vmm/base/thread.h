/* Threads as everything here starts them. */
#ifndef SARANG_BASE_THREAD_H
#define SARANG_BASE_THREAD_H

#include <pthread.h>

/*
 * As pthread_create, for a thread in which all signals are blocked: the main thread takes them. All
 * but those of a crash, which must reach the handler that restores the terminal. @attr may be NULL.
 * Returns 0 or a positive errno.
 */
int thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *opaque),
		  void *opaque);

#endif
