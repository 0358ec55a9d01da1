/*
 * Sub-commands: each is one `struct command`, stands in the table of main.c, and has a file of its
 * own.
 *
 * Exit status: 0 done, 1 not done, with one sentence on stderr; `run` has more, see
 * docs/command-line.md.
 */
#ifndef SARANG_CLI_COMMAND_H
#define SARANG_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "cli/option.h"

#define COMMAND_TABLES_MAX 2

/* What struct command's run returns to fail with another exit status than 1. */
#define COMMAND_FAILED(status) (-(0x10000 + (status)))

struct command_set;

struct command {
	const char *name;
	const char *usage;   /* what follows "sarang NAME" in the usage line */
	const char *summary; /* one line for the list of commands */
	const char *text;    /* paragraphs, separated by newlines, for `sarang help NAME` */
	const struct option_table *options[COMMAND_TABLES_MAX]; /* besides the common ones */
	const char *const *operands; /* NULL-ended words it takes, for completion; or NULL */
	bool takes_rest;             /* "-- ..." means something to it */
	unsigned operands_max;
	const char *operand_hint; /* what to do instead of giving too many; or NULL */

	/* Does it. Returns the exit status, or -errno with a sentence, which becomes status 1, or
	 * COMMAND_FAILED(status) with a sentence. */
	int (*run)(const struct command *self, const struct command_set *set,
		   const struct option_args *args, struct err *e);
};

/* All there are, in the order in which help lists them. */
struct command_set {
	const struct command *const *commands;
	size_t count;
};

extern const struct command cmd_disk, cmd_run, cmd_inspect, cmd_doctor, cmd_net, cmd_version,
	cmd_help, cmd_completion;

/* What every command takes: -h, -v, -q. */
extern const struct option_table common_options;

/* What stands before the command: those and --version. */
extern const struct option_table global_options;

/* Runs `sarang` with its arguments; returns the exit status. */
int command_main(const struct command_set *set, int argc, char *const *argv);

/* The command of that name; or NULL with a sentence that suggests the nearest. */
const struct command *command_find(const struct command_set *set, const char *name, struct err *e);

/* Add the help of all of sarang, or of one command. */
void command_add_overview(struct strbuf *out, const struct command_set *set);
void command_add_help(struct strbuf *out, const struct command *command);

#endif
