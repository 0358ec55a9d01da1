/* sarang: the table of its sub-commands. */
#include <signal.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/command.h"

static const struct command *const commands[] = {
	&cmd_run, &cmd_inspect, &cmd_disk, &cmd_doctor,
	&cmd_net, &cmd_version, &cmd_help, &cmd_completion,
};

int main(int argc, char **argv)
{
	static const struct command_set set = {commands, ARRAY_SIZE(commands)};

	if (fd_fill_standard() < 0)
		return EXIT_FAILURE; /* and nowhere to say it */
	/* A file that must not grow (RLIMIT_FSIZE) is an error like a full disk, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	return command_main(&set, argc, argv);
}
