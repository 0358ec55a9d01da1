/* sarang completion: scripts that teach a shell sarang's commands and options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/command.h"
#include "cli/completion.h"

static const char *const shells[] = {"bash", "zsh", NULL};

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct strbuf text = {0};

	(void)self;
	if (!args->operand_count)
		return err_set(e, EINVAL, "completion needs the name of a shell: bash or zsh");
	if (!strcmp(args->operands[0], "bash"))
		completion_add_bash(&text, set);
	else if (!strcmp(args->operands[0], "zsh"))
		completion_add_zsh(&text, set);
	else
		return err_set(e, EINVAL, "there is no completion for %s, only for bash and zsh",
			       args->operands[0]);
	fputs(text.data, stdout);
	strbuf_free(&text);
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.usage = "bash|zsh",
	.summary = "write a completion script for a shell",
	.text = "Writes a script to standard output that makes the shell complete sarang's "
		"commands "
		"and options. For bash, put `source <(sarang completion bash)` into ~/.bashrc; for "
		"zsh, write it to a file _sarang in a folder of $fpath.",
	.operands = shells,
	.operands_max = 1,
	.run = run,
};
