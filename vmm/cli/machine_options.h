/* The options that describe a machine: what `run` and `inspect` take, and a config file may hold.
 */
#ifndef SARANG_CLI_MACHINE_OPTIONS_H
#define SARANG_CLI_MACHINE_OPTIONS_H

#include "cli/option.h"
#include "machine/config.h"

/* For a struct machine_config. */
extern const struct option_table machine_options;

/*
 * Fills @config, initialised by machine_config_init, from a command line: options, config files,
 * and what follows "--", which is added to the guest's command line; then checks it. 0 or -errno
 * with a sentence; the caller frees @config either way.
 */
int machine_options_apply(const struct option_args *args, struct machine_config *config,
			  struct err *e);

#endif
