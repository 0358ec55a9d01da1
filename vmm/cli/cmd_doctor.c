/* sarang doctor: measure what this host's KVM can do, and say it in words. */
#include <stdio.h>

#include "base/util.h"
#include "cli/command.h"
#include "machine/doctor.h"

struct doctor_settings {
	bool json;
};

static const struct option doctor_option_list[] = {
	{.name = "json",
	 .help = "for programs: JSON instead of text",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct doctor_settings, json)},
};

static const struct option_table doctor_options = {doctor_option_list,
						   ARRAY_SIZE(doctor_option_list)};

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct doctor_settings settings = {0};
	int ret = option_apply(args, &doctor_options, &settings, e);

	(void)self;
	(void)set;
	return ret < 0 ? ret : doctor_run(settings.json, stdout, e);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.usage = "[options]",
	.summary = "tell what this host's KVM can do",
	.text = "Measures what KVM on this host can do for a guest, tells what is missing, and "
		"what "
		"to do about it.",
	.options = {&doctor_options},
	.run = run,
};
