/* sarang inspect: show the machine that `run` would build from the same options, without KVM. */
#include <stdio.h>

#include "base/util.h"
#include "cli/command.h"
#include "cli/machine_options.h"
#include "machine/machine.h"

/* The machine's options and the command's own land in structs of their own. */
struct inspect_settings {
	bool json;
};

static const struct option inspect_option_list[] = {
	{.name = "json",
	 .help = "for programs: JSON instead of text",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct inspect_settings, json)},
};

static const struct option_table inspect_options = {inspect_option_list,
						    ARRAY_SIZE(inspect_option_list)};

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct inspect_settings settings = {0};
	struct machine_config config;
	int ret;

	(void)self;
	(void)set;
	machine_config_init(&config);
	ret = option_apply(args, &inspect_options, &settings, e);
	if (!ret)
		ret = machine_options_apply(args, &config, e);
	if (!ret)
		ret = machine_inspect(&config, settings.json, stdout, e);
	machine_config_free(&config);
	return ret;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.usage = "[options] [-- guest command line]",
	.summary = "show the machine that `run` would build",
	.text = "Shows the memory map, the devices with their addresses and interrupts, and the "
		"kernel's command line of the machine that `sarang run` would build from the same "
		"options. Nothing is started, and KVM is not needed.",
	.options = {&machine_options, &inspect_options},
	.takes_rest = true,
	.operand_hint = "a kernel is given with --kernel, a disk with --disk",
	.run = run,
};
