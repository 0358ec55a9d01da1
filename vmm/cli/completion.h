/* Shell completion, written from the tables of commands and options. */
#ifndef SARANG_CLI_COMPLETION_H
#define SARANG_CLI_COMPLETION_H

#include "base/strbuf.h"
#include "cli/command.h"

/* Add a script to be sourced by bash, or to be put on zsh's fpath as "_sarang". */
void completion_add_bash(struct strbuf *out, const struct command_set *set);
void completion_add_zsh(struct strbuf *out, const struct command_set *set);

#endif
