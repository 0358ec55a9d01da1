/* sarang help: all commands, or one of them. */
#include <errno.h>
#include <stdio.h>

#include "cli/command.h"

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	const struct command *command;
	struct strbuf text = {0};

	(void)self;
	if (args->operand_count) {
		command = command_find(set, args->operands[0], e);
		if (!command)
			return -EINVAL;
		command_add_help(&text, command);
	} else {
		command_add_overview(&text, set);
	}
	fputs(text.data, stdout);
	strbuf_free(&text);
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.usage = "[COMMAND]",
	.summary = "show help, of all commands or of one",
	.text = "Shows what COMMAND does and which options it takes; without COMMAND, what "
		"commands "
		"there are.",
	.operands_max = 1,
	.run = run,
};
