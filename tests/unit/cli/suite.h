/* The parts of this program's suite, and what they share. */
#ifndef SARANG_TESTS_UNIT_CLI_SUITE_H
#define SARANG_TESTS_UNIT_CLI_SUITE_H

#include "cli/machine_options.h"
#include "unit.h"

TCase *case_json(void);
TCase *case_config(void);
TCase *case_command(void);
TCase *case_suggest(void);

/* Applies the words of a command line, up to a NULL, to an initialised @config. 0 or -errno. */
int parse_words(char *const *words, struct machine_config *config, struct err *e);

/* The same for one text with blanks between the words; "~" in a word stands for a blank. */
int parse_line(const char *line, struct machine_config *config, struct err *e);

/* Fails unless @e holds one sentence: some text, one line, no control character. */
void check_sentence(const struct err *e);

#endif
