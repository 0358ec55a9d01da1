/* sarang version. */
#include <stdio.h>

#include "cli/command.h"

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	(void)self;
	(void)set;
	(void)args;
	(void)e;
	puts("sarang " SARANG_VERSION);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.usage = "",
	.summary = "show the version",
	.text = "Shows the version of sarang.",
	.run = run,
};
