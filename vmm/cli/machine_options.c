/* The table of a machine's options: see machine_options.h. */
#include "cli/machine_options.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/suggest.h"

static const char *const formats[] = {"raw", "qcow2", NULL};
static const char *const on_error_choices[] = {"report", "pause", NULL};
static const char *const backing_choices[] = {"ok", NULL};

static const struct option disk_option_list[] = {
	{.name = "file",
	 .argument = "FILE",
	 .help = "the image or block device",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct disk_config, path)},
	{.name = "format",
	 .argument = "raw|qcow2",
	 .help = "how the file is laid out; it is never guessed",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct disk_config, format),
	 .choices = formats},
	{.name = "ro",
	 .help = "the guest cannot write to it",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct disk_config, read_only)},
	{.name = "serial",
	 .argument = "TEXT",
	 .help = "serial number, up to 20 characters, for /dev/disk/by-id in the guest",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct disk_config, serial)},
	{.name = "direct",
	 .help = "past the host's page cache (O_DIRECT)",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct disk_config, direct)},
	{.name = "ephemeral",
	 .help = "what the guest writes goes to a temporary file and is gone when it ends; many "
		 "guests can share FILE",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct disk_config, ephemeral)},
	{.name = "iops",
	 .argument = "N",
	 .help = "at most so many reads and writes a second",
	 .kind = OPTION_NUMBER,
	 .min = 1,
	 .max = UINT_MAX,
	 .offset = offsetof(struct disk_config, iops)},
	{.name = "iops-max",
	 .argument = "N",
	 .help = "and so many at once after a silence (default: a tenth of iops)",
	 .kind = OPTION_NUMBER,
	 .min = 1,
	 .max = UINT_MAX,
	 .offset = offsetof(struct disk_config, iops_max)},
	{.name = "bps",
	 .argument = "SIZE",
	 .help = "at most so many bytes a second, for example 20M",
	 .kind = OPTION_SIZE,
	 .unit_bytes = 1,
	 .min = 1,
	 .max = MACHINE_DISK_BPS_MAX,
	 .offset = offsetof(struct disk_config, bps)},
	{.name = "bps-max",
	 .argument = "SIZE",
	 .help = "and so many at once after a silence (default: a tenth of bps)",
	 .kind = OPTION_SIZE,
	 .unit_bytes = 1,
	 .min = 1,
	 .max = MACHINE_DISK_BPS_MAX,
	 .offset = offsetof(struct disk_config, bps_max)},
	{.name = "on-error",
	 .argument = "report|pause",
	 .help = "what an error of the host's does: the guest gets an I/O error (report, the "
		 "default), or is paused until the cause is gone and it is told to go on",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct disk_config, on_error),
	 .choices = on_error_choices},
	{.name = "backing",
	 .argument = "ok",
	 .help = "ok: files that a qcow2 image names may lie outside of its own folder",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct disk_config, backing),
	 .choices = backing_choices},
};

static const struct option_table disk_options = {disk_option_list, ARRAY_SIZE(disk_option_list)};

static const struct option_list disk_list = {
	.table = &disk_options,
	.count_offset = offsetof(struct machine_config, disk_count),
	.element_bytes = sizeof(struct disk_config),
	.max = MACHINE_DISKS_MAX,
};

static const char *const net_kinds[] = {"user", "tap", "passt", "none", NULL};

static const struct option net_option_list[] = {
	{.name = "kind",
	 .argument = "KIND",
	 .help = "user: through this user's own sockets, no privileges needed; tap: a tap device "
		 "of the host; passt: the program "
		 "of that name; none: no card",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_config, kind),
	 .choices = net_kinds},
	{.name = "hostfwd",
	 .argument = "RULE",
	 .help = "a port of the host that leads to the guest: "
		 "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport (may be repeated)",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_JOINS,
	 .offset = offsetof(struct net_config, forwards)},
	{.name = "restrict",
	 .help = "the guest reaches nothing; only what is forwarded reaches it",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct net_config, restricted)},
	{.name = "mtu",
	 .argument = "BYTES",
	 .help = "the longest packet (default for user: 32768, for passt: 65520)",
	 .kind = OPTION_NUMBER,
	 .min = MACHINE_MTU_MIN,
	 .max = MACHINE_MTU_MAX,
	 .offset = offsetof(struct net_config, mtu)},
	{.name = "hostname",
	 .argument = "NAME",
	 .help = "what DHCP tells the guest it is called",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_config, hostname)},
	{.name = "ifname",
	 .argument = "NAME",
	 .help = "the tap device, an interface that is there (see sarang help net)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_config, ifname)},
	{.name = "fd",
	 .argument = "N",
	 .help = "a descriptor of a tap device that is open already",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_NUMBER,
	 .offset = offsetof(struct net_config, fd)},
	{.name = "vhost",
	 .help = "the host's kernel moves the frames of a tap device, through /dev/vhost-net",
	 .kind = OPTION_FLAG,
	 .offset = offsetof(struct net_config, vhost)},
	{.name = "queues",
	 .argument = "N",
	 .help = "pairs of queues of a tap device made with --multi-queue, 1 to 4 (default 1)",
	 .kind = OPTION_NUMBER,
	 .min = 1,
	 .max = MACHINE_QUEUES_MAX,
	 .offset = offsetof(struct net_config, queues)},
	{.name = "path",
	 .argument = "FILE",
	 .help = "the socket of a passt that runs already (default: passt is started)",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct net_config, path)},
	{.name = "bps",
	 .argument = "RATE",
	 .help = "at most so many bits a second in each direction, for example 10M",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_NUMBER,
	 .offset = offsetof(struct net_config, bps)},
	{.name = "pps",
	 .argument = "N",
	 .help = "at most so many frames a second in each direction",
	 .kind = OPTION_NUMBER,
	 .min = 1,
	 .max = UINT_MAX,
	 .offset = offsetof(struct net_config, pps)},
	{.name = "mac",
	 .argument = "ADDRESS",
	 .help = "the card's address (default: made from the guest's name)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct net_config, mac)},
};

static const struct option_table net_options = {net_option_list, ARRAY_SIZE(net_option_list)};

static const struct option_list net_list = {
	.table = &net_options,
	.count_offset = offsetof(struct machine_config, net_count),
	.element_bytes = sizeof(struct net_config),
	.max = MACHINE_NETS_MAX,
	.first = "user",
};

static const struct {
	const char *name;
	enum chr_kind kind;
	bool has_path;
} console_kinds[] = {
	{"stdio", CHR_STDIO, false}, {"none", CHR_NONE, false}, {"pty", CHR_PTY, false},
	{"file", CHR_FILE, true},    {"unix", CHR_UNIX, true},
};

static const char *const console_choices[] = {"stdio", "none", "pty", "file=", "unix=", NULL};

static int unknown_console(const char *text, size_t len, const char *label, struct err *e)
{
	const char *best = NULL;
	char *name = strndup(text, len);
	size_t i;

	if (!name)
		return err_set(e, ENOMEM, "out of memory");
	for (i = 0; i < ARRAY_SIZE(console_kinds); i++)
		best = suggest_better(name, best, console_kinds[i].name);
	err_set(e, EINVAL, "%s \"%s\" is none of stdio, none, pty, file=PATH and unix=PATH%s%s%s",
		label, name, best ? "; did you mean " : "", best ? best : "", best ? "?" : "");
	free(name);
	return -EINVAL;
}

static int console_set(void *into, const char *text, const char *label,
		       const struct option_origin *origin, struct err *e)
{
	struct console_config *console = into;
	size_t len = strcspn(text, "="), i;
	bool has_path = text[len] && text[len + 1];

	for (i = 0; i < ARRAY_SIZE(console_kinds); i++)
		if (strlen(console_kinds[i].name) == len &&
		    !strncmp(console_kinds[i].name, text, len))
			break;
	if (i == ARRAY_SIZE(console_kinds))
		return unknown_console(text, len, label, e);
	if (console_kinds[i].has_path && !has_path)
		return err_set(e, EINVAL, "%s %s needs a path: %s=PATH", label,
			       console_kinds[i].name, console_kinds[i].name);
	if (!console_kinds[i].has_path && text[len])
		return err_set(e, EINVAL, "%s %s takes no path", label, console_kinds[i].name);
	free(console->path);
	console->path = has_path ? option_resolve_path(text + len + 1, origin) : NULL;
	console->kind = console_kinds[i].kind;
	return 0;
}

static char *console_get(const void *from)
{
	const struct console_config *console = from;
	struct strbuf text = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(console_kinds); i++)
		if (console_kinds[i].kind == console->kind)
			strbuf_addstr(&text, console_kinds[i].name);
	if (console->path)
		strbuf_addf(&text, "=%s", console->path);
	return strbuf_take(&text);
}

static const struct option_custom console_custom = {console_set, console_get};

/* In the order of enum hardware. */
static const char *const hardware_choices[] = {"auto", "acpi", "fdt", NULL};

static int hardware_set(void *into, const char *text, const char *label,
			const struct option_origin *origin, struct err *e)
{
	enum hardware *hardware = into;
	unsigned i;

	(void)origin;
	for (i = 0; hardware_choices[i]; i++)
		if (!strcmp(hardware_choices[i], text)) {
			*hardware = (enum hardware)i;
			return 0;
		}
	return err_set(e, EINVAL, "%s \"%s\" is none of auto, acpi and fdt", label, text);
}

static char *hardware_get(const void *from)
{
	const enum hardware *hardware = from;

	return strdup(hardware_choices[*hardware]);
}

static const struct option_custom hardware_custom = {hardware_set, hardware_get};

static const struct option machine_option_list[] = {
	{.name = "kernel",
	 .letter = 'k',
	 .argument = "FILE",
	 .help = "the guest's kernel: a bzImage or an ELF vmlinux, as it is or compressed with "
		 "gzip "
		 "or zstd",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct machine_config, kernel)},
	{.name = "initrd",
	 .letter = 'i',
	 .argument = "FILE",
	 .help = "the initial RAM disk for the kernel",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct machine_config, initrd)},
	{.name = "append",
	 .letter = 'a',
	 .argument = "TEXT",
	 .help = "added to the kernel's command line, which has a working default: console, "
		 "reboot, and the first disk as root",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_JOINS,
	 .offset = offsetof(struct machine_config, append)},
	{.name = "cpus",
	 .letter = 'c',
	 .argument = "N",
	 .help = "virtual CPUs (default: 1)",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct machine_config, cpus)},
	{.name = "memory",
	 .letter = 'm',
	 .argument = "SIZE",
	 .help = "RAM, for example 512M or 4G; a plain number counts MiB (default: 512M)",
	 .kind = OPTION_SIZE,
	 .unit_bytes = MIB(1),
	 .offset = offsetof(struct machine_config, memory_bytes)},
	{.name = "hardware",
	 .argument = "HOW",
	 .help = "how the guest is told of its devices: acpi, fdt (a device tree), or auto, what "
		 "its kernel can use (default: auto)",
	 .kind = OPTION_CUSTOM,
	 .choices = hardware_choices,
	 .offset = offsetof(struct machine_config, hardware),
	 .custom = &hardware_custom},
	{.name = "disk",
	 .letter = 'd',
	 .help = "a disk; may be repeated, the first is /dev/vda; a comma in FILE is written as "
		 "two",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct machine_config, disks),
	 .list = &disk_list},
	{.name = "net",
	 .letter = 'n',
	 .help = "a network card: user (where only settings are given), tap, passt or none; may be "
		 "repeated",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct machine_config, nets),
	 .list = &net_list},
	{.name = "name",
	 .argument = "NAME",
	 .help = "what the guest is called on the host (default: after its first disk, else its "
		 "kernel)",
	 .kind = OPTION_TEXT,
	 .offset = offsetof(struct machine_config, name)},
	{.name = "console",
	 .argument = "WHERE",
	 .help = "the guest's console: stdio, none, pty, file=PATH or unix=PATH, a socket "
		 "(default: stdio)",
	 .kind = OPTION_CUSTOM,
	 .choices = console_choices,
	 .offset = offsetof(struct machine_config, console),
	 .custom = &console_custom},
	{.name = "hvc",
	 .argument = "WHERE",
	 .help = "add a virtio console, /dev/hvc0 in the guest; WHERE as for --console",
	 .kind = OPTION_CUSTOM,
	 .choices = console_choices,
	 .offset = offsetof(struct machine_config, hvc),
	 .custom = &console_custom},
	{.name = "timeout",
	 .argument = "SECONDS",
	 .help = "end the guest after that time, with exit status 124",
	 .kind = OPTION_SECONDS,
	 .offset = offsetof(struct machine_config, timeout_ns)},
	{.name = "dump-acpi",
	 .argument = "DIR",
	 .help = "write the ACPI tables the guest gets into this folder",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FOLDER,
	 .offset = offsetof(struct machine_config, dump_acpi)},
	{.name = "dump-dtb",
	 .argument = "FILE",
	 .help = "write the device tree the guest gets into this file",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct machine_config, dump_dtb)},
	{.name = "pcap",
	 .argument = "FILE",
	 .help = "write all that goes over the network cards into this file, for Wireshark",
	 .kind = OPTION_TEXT,
	 .flags = OPTION_IS_FILE,
	 .offset = offsetof(struct machine_config, pcap)},
	{.name = "config",
	 .argument = "FILE",
	 .help = "the same settings from a JSON file; options on the command line win",
	 .kind = OPTION_CONFIG,
	 .flags = OPTION_IS_FILE},
};

const struct option_table machine_options = {machine_option_list, ARRAY_SIZE(machine_option_list)};

int machine_options_apply(const struct option_args *args, struct machine_config *config,
			  struct err *e)
{
	struct strbuf append = {0};
	size_t i;
	int ret = option_apply(args, &machine_options, config, e);

	if (ret < 0)
		return ret;
	if (args->rest_count) {
		strbuf_addstr(&append, config->append ? config->append : "");
		for (i = 0; i < args->rest_count; i++)
			strbuf_addf(&append, "%s%s", append.len ? " " : "", args->rest[i]);
		free(config->append);
		config->append = strbuf_take(&append);
	}
	ret = machine_config_finish(config, e);
	for (i = 0; i < args->item_count && !ret; i++)
		if (args->items[i].option->kind == OPTION_CONFIG)
			ret = machine_config_check_source(config, args->items[i].text, e);
	return ret;
}
