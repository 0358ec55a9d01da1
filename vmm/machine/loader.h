/* Loads a kernel on a thread of its own while the rest of the machine is built. */
#ifndef SARANG_MACHINE_LOADER_H
#define SARANG_MACHINE_LOADER_H

#include <pthread.h>
#include <stdbool.h>

#include "arch/arch.h"

/* Zero-initialised but for @load, whose memory, kernel and strings outlive the loading. */
struct loader {
	struct arch_load load;
	struct boot_entry entry; /* valid after loader_finish has returned 0 */
	pthread_t thread;
	bool running;
	int ret;
	struct err err;
};

/* Begins. 0, or -errno when there is no thread to be had. */
int loader_start(struct loader *loader, struct err *e);

/* Waits for the end: 0, or -errno with the sentence of what went wrong. */
int loader_finish(struct loader *loader, struct err *e);

/* Waits too, for a machine that failed elsewhere; repeatable, harmless when it never began. */
void loader_cancel(struct loader *loader);

#endif
