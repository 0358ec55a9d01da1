/* sarang run: build the machine that the options describe, and run its guest to the end. */
#include "cli/command.h"
#include "cli/machine_options.h"
#include "machine/machine.h"

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct machine_config config;
	int ret, status = 0;

	(void)self;
	(void)set;
	machine_config_init(&config);
	ret = machine_options_apply(args, &config, e);
	if (!ret)
		ret = machine_run_config(&config, &status, e);
	machine_config_free(&config);
	return ret < 0 ? ret : status;
}

const struct command cmd_run = {
	.name = "run",
	.usage = "[options] [-- guest command line]",
	.summary = "run a guest",
	.text = "Boots a Linux kernel in a virtual machine with its console on this terminal. What "
		"follows -- is added to the kernel's command line.\n"
		"On a terminal, Ctrl-A x ends the guest, Ctrl-A h shows the other keys.\n"
		"Exit status: 0 when the guest powered off or rebooted, 1 when sarang could not do "
		"what was asked, 124 after --timeout, 255 when the guest panicked or died.",
	.options = {&machine_options},
	.takes_rest = true,
	.operand_hint = "a kernel is given with --kernel, a disk with --disk, and the guest's "
			"command line follows --",
	.run = run,
};
