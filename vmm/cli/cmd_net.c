/* sarang net: what networking needs a privilege for, once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/command.h"
#include "net/tap.h"

struct net_settings {
	char *bridge;
	char *user;
	bool multi_queue;
};

static const struct option net_option_list[] = {
	{.name = "bridge",
	 .argument = "BRIDGE",
	 .help = "put the new tap device on this bridge",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_settings, bridge)},
	{.name = "user",
	 .argument = "UID",
	 .help = "the user, by number, who may use it (default: the one who runs this, also "
		 "through sudo)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_settings, user)},
	{.name = "multi-queue",
	 .help = "for guests that are given it with queues=N",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct net_settings, multi_queue)},
};

static const struct option_table net_table = {net_option_list, ARRAY_SIZE(net_option_list)};

static int choose_user(const struct net_settings *settings, uid_t *user, struct err *e)
{
	const char *text = settings->user ? settings->user : getenv("SUDO_UID");
	unsigned long value;
	char *end;

	*user = getuid();
	if (!text)
		return 0;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value > UINT32_MAX - 1)
		return err_set(e, EINVAL, "--user %s is not the number of a user", text);
	*user = (uid_t)value;
	return 0;
}

static int create(const struct net_settings *settings, const char *ifname, struct err *e)
{
	struct net_tap_create wanted = {
		.ifname = ifname,
		.bridge = settings->bridge,
		.multi_queue = settings->multi_queue,
	};
	int ret = choose_user(settings, &wanted.user, e);

	if (!ret)
		ret = net_tap_create(&wanted, e);
	if (ret < 0)
		return ret;
	printf("made the tap device %s for user %u%s%s, and set it up\n", ifname, wanted.user,
	       wanted.bridge ? ", put it on the bridge " : "", wanted.bridge ? wanted.bridge : "");
	return 0;
}

static int delete (const struct net_settings *settings, const char *ifname, struct err *e)
{
	bool lasts;
	int ret;

	if (settings->bridge || settings->user || settings->multi_queue)
		return err_set(e, EINVAL, "sarang net tap delete takes a name and no options");
	ret = net_tap_delete(ifname, &lasts, e);
	if (!ret && lasts)
		printf("the tap device %s is in use: it goes when that ends\n", ifname);
	else if (!ret)
		printf("removed the tap device %s\n", ifname);
	return ret;
}

static int run(const struct command *self, const struct command_set *set,
	       const struct option_args *args, struct err *e)
{
	struct net_settings settings = {0};
	char *const *words = args->operands;
	int ret;

	(void)self;
	(void)set;
	if (args->operand_count != 3 || strcmp(words[0], "tap") != 0)
		return err_set(e, EINVAL,
			       "use: sarang net tap create NAME, or: sarang net tap delete NAME");
	ret = option_apply(args, &net_table, &settings, e);
	if (!ret && !strcmp(words[1], "create"))
		ret = create(&settings, words[2], e);
	else if (!ret && !strcmp(words[1], "delete"))
		ret = delete (&settings, words[2], e);
	else if (!ret)
		ret = err_set(e, EINVAL, "sarang net tap does create or delete, not %s", words[1]);
	option_free_fields(&net_table, &settings);
	return ret;
}

static const char *const words[] = {"tap", "create", "delete", NULL};

const struct command cmd_net = {
	.name = "net",
	.usage = "tap create|delete NAME [options]",
	.summary = "make or remove tap devices",
	.text = "Makes a tap device, an interface of this host that a guest can be put on with "
		"--net tap,ifname=NAME, or removes one. This needs root once; the user it is made "
		"for then needs nothing more.",
	.options = {&net_table},
	.operands = words,
	.operands_max = 3,
	.run = run,
};
