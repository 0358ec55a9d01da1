/*
 * A machine: built by one constructor from its configuration, run until its guest ends.
 *
 * Threads: the caller's thread is the main thread; it builds, runs the main loop (console, timers,
 * signals), stops and frees. Each vCPU and each device with a data path has a thread of its own.
 */
#ifndef SARANG_MACHINE_MACHINE_H
#define SARANG_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "machine/config.h"

/* Exit statuses of `sarang run`; a contract with scripts. */
enum machine_status {
	MACHINE_STATUS_OK = 0,     /* powered off, rebooted, or ended by its user */
	MACHINE_STATUS_FAILED = 1, /* sarang could not do what was asked */
	MACHINE_STATUS_TIMEOUT = 124,
	MACHINE_STATUS_DIED = 255, /* the guest panicked or died */
};

/*
 * Builds the machine that @config describes, runs it, and frees it. Returns 0 with *@exit_status
 * once the guest has ended, or -errno with a sentence when the machine could not be built or run. A
 * signal that asks the process to end (TERM, INT, HUP) ends the guest in order and is then
 * delivered to this process again, so that its parent sees what happened.
 */
int machine_run_config(const struct machine_config *config, int *exit_status, struct err *e);

/*
 * Prints the machine that would be built: memory map, devices, interrupts, command line. 0 or
 * -errno with a sentence; that @out took it all is for the caller to check.
 */
int machine_inspect(const struct machine_config *config, bool json, FILE *out, struct err *e);

#endif
