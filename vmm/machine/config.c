/*
 * A machine's configuration: defaults, and every check that needs nothing of the host but to know
 * which names are one file: see config.h. What else only the host can tell (how many vCPUs KVM
 * allows, whether a file is there) is found out when the machine is built.
 */
#include "machine/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "machine/network.h"

/* Room for a kernel to be loaded at all. */
#define MEMORY_MIN_BYTES MIB(4)
/* 46 bits, the physical address space of the smaller current processors. */
#define MEMORY_MAX_BYTES (1ull << 46)
/* The largest page size that a host may have. */
#define MEMORY_ALIGN_BYTES KIB(64)
/* More than any KVM allows. */
#define CPUS_MAX 4096

static const char *const disk_formats[] = {"raw", "qcow2"};

void machine_config_init(struct machine_config *config)
{
	memset(config, 0, sizeof(*config));
	config->cpus = 1;
	config->memory_bytes = MIB(512);
	config->console.kind = CHR_STDIO;
	config->hvc.kind = CHR_NONE;
}

struct blk_options disk_config_options(const struct disk_config *disk)
{
	return (struct blk_options){
		.path = disk->path,
		.format = disk->format,
		.read_only = disk->read_only,
		.direct = disk->direct,
		.ephemeral = disk->ephemeral,
		.limits = {.iops = disk->iops,
			   .iops_max = disk->iops_max,
			   .bps = disk->bps,
			   .bps_max = disk->bps_max},
		.backing_ok = disk->backing != NULL,
	};
}

void machine_config_free(struct machine_config *config)
{
	unsigned i;

	free(config->name);
	free(config->kernel);
	free(config->initrd);
	free(config->append);
	for (i = 0; i < config->disk_count; i++) {
		free(config->disks[i].path);
		free(config->disks[i].format);
		free(config->disks[i].serial);
		free(config->disks[i].backing);
		free(config->disks[i].on_error);
	}
	machine_nets_free(config);
	free(config->console.path);
	free(config->hvc.path);
	free(config->dump_acpi);
	free(config->dump_dtb);
	free(config->pcap);
	memset(config, 0, sizeof(*config));
}

static int check_cpus(const struct machine_config *config, struct err *e)
{
	if (config->cpus >= 1 && config->cpus <= CPUS_MAX)
		return 0;
	return err_set(e, EINVAL, "a guest cannot have %u vCPUs: --cpus is from 1 to %u",
		       config->cpus, CPUS_MAX);
}

static int check_memory(struct machine_config *config, struct err *e)
{
	char got[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];

	if (config->memory_bytes < MEMORY_MIN_BYTES)
		return err_set(e, EINVAL,
			       "a guest cannot have %s of memory: --memory is at least %s",
			       size_format(config->memory_bytes, got),
			       size_format(MEMORY_MIN_BYTES, limit));
	if (config->memory_bytes > MEMORY_MAX_BYTES)
		return err_set(e, EINVAL,
			       "a guest cannot have %s of memory: --memory is at most %s",
			       size_format(config->memory_bytes, got),
			       size_format(MEMORY_MAX_BYTES, limit));
	config->memory_bytes = align_up(config->memory_bytes, MEMORY_ALIGN_BYTES);
	return 0;
}

/* The kernel takes its command line up to a NUL; a newline in it is a mistake or an attack. */
static int check_append(const struct machine_config *config, struct err *e)
{
	const char *p;

	for (p = config->append ? config->append : ""; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return err_set(e, EINVAL,
				       "the text for the guest's command line (--append) holds the "
				       "control character 0x%02x at byte %zu",
				       (unsigned char)*p, (size_t)(p - config->append));
	return 0;
}

static int check_serial(const struct disk_config *disk, struct err *e)
{
	const char *p;

	if (!disk->serial)
		return 0;
	if (!*disk->serial || strlen(disk->serial) > MACHINE_SERIAL_MAX)
		return err_set(e, EINVAL,
			       "disk %s: a serial number has 1 to %d characters, \"%s\" has %zu",
			       disk->path, MACHINE_SERIAL_MAX, disk->serial, strlen(disk->serial));
	for (p = disk->serial; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return err_set(e, EINVAL,
				       "disk %s: the serial number holds the byte 0x%02x, which is "
				       "not printable ASCII",
				       disk->path, (unsigned char)*p);
	return 0;
}

/* As QEMU has it: what may go at once is no less than what may go in a second. */
static int check_limit(const struct disk_config *disk, const char *name, uint64_t rate,
		       uint64_t max, struct err *e)
{
	if (max && !rate)
		return err_set(e, EINVAL, "disk %s: %s-max says nothing without %s", disk->path,
			       name, name);
	if (max && max < rate)
		return err_set(e, EINVAL, "disk %s: %s-max=%llu is less than %s=%llu", disk->path,
			       name, (unsigned long long)max, name, (unsigned long long)rate);
	return 0;
}

static int check_disk(const struct disk_config *disk, struct err *e)
{
	size_t i;
	int ret;

	if (!disk->path || !*disk->path)
		return err_set(e, EINVAL, "a disk has no file: use --disk FILE");
	for (i = 0; disk->format && i < ARRAY_SIZE(disk_formats); i++)
		if (!strcmp(disk->format, disk_formats[i]))
			break;
	if (disk->format && i == ARRAY_SIZE(disk_formats))
		return err_set(e, EINVAL, "disk %s: unknown format %s; known: raw, qcow2",
			       disk->path, disk->format);
	if (disk->backing && strcmp(disk->backing, "ok"))
		return err_set(e, EINVAL, "disk %s: backing=%s means nothing; there is backing=ok",
			       disk->path, disk->backing);
	if (disk->on_error && strcmp(disk->on_error, "report") && strcmp(disk->on_error, "pause"))
		return err_set(e, EINVAL,
			       "disk %s: on-error=%s means nothing; known: report, pause",
			       disk->path, disk->on_error);
	if (disk->ephemeral && disk->read_only)
		return err_set(e, EINVAL,
			       "disk %s: ro and ephemeral contradict each other: one lets the "
			       "guest write nothing, the other lets it write for nothing",
			       disk->path);
	ret = check_limit(disk, "iops", disk->iops, disk->iops_max, e);
	if (!ret)
		ret = check_limit(disk, "bps", disk->bps, disk->bps_max, e);
	return ret ? ret : check_serial(disk, e);
}

static bool console_has_path(const struct console_config *console)
{
	return console->kind == CHR_FILE || console->kind == CHR_UNIX;
}

static int check_console(const struct console_config *console, const char *option, struct err *e)
{
	const char *path = console->path;
	size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);

	if (console_has_path(console) && (!path || !*path))
		return err_set(e, EINVAL, "%s has no path: use %s file=PATH or %s unix=PATH",
			       option, option, option);
	if (console->kind == CHR_UNIX && strlen(path) >= room)
		return err_set(e, EINVAL, "%s unix=%s: the path of a socket has at most %zu bytes",
			       option, path, room - 1);
	return 0;
}

static int check_consoles(const struct machine_config *config, struct err *e)
{
	int ret = check_console(&config->console, "--console", e);

	if (!ret)
		ret = check_console(&config->hvc, "--hvc", e);
	if (!ret && config->console.kind == CHR_STDIO && config->hvc.kind == CHR_STDIO)
		ret = err_set(
			e, EINVAL,
			"--hvc stdio: the serial console has standard input and output already; "
			"add --console none");
	return ret;
}

/* All but the disks are there once. */
#define PATHS_MAX (6 + MACHINE_DISKS_MAX)

/* A file of the host that the machine uses. */
struct used_path {
	const char *what;
	const char *path; /* NULL: not used */
	bool written;
};

/* Takes the next name of @path, skipping what names nothing. */
static size_t next_name(const char **path)
{
	for (;;) {
		size_t len;

		*path += strspn(*path, "/");
		len = strcspn(*path, "/");
		if (len != 1 || **path != '.')
			return len;
		*path += len;
	}
}

/* Whether two paths are the same text but for "//" and "/./". */
static bool same_path(const char *a, const char *b)
{
	size_t len;

	if ((*a == '/') != (*b == '/'))
		return false;
	do {
		len = next_name(&a);
		if (len != next_name(&b) || strncmp(a, b, len) != 0)
			return false;
		a += len;
		b += len;
	} while (len);
	return true;
}

/* Whether two names lead to one file, by links of whatever kind. Two disks are for their locks. */
static bool same_file(const struct used_path *a, const struct used_path *b)
{
	struct stat x, y;

	if (!strcmp(a->what, b->what) || stat(a->path, &x) < 0 || stat(b->path, &y) < 0)
		return false;
	return (S_ISREG(x.st_mode) || S_ISBLK(x.st_mode)) && fd_same_file(&x, &y);
}

static int check_pair(const struct used_path *a, const struct used_path *b, struct err *e)
{
	if (!a->path || !b->path || (!a->written && !b->written) || same_path(a->path, "/dev/null"))
		return 0;
	if (!same_path(a->path, b->path)) {
		if (!same_file(a, b))
			return 0;
		return err_set(e, EINVAL,
			       "%s %s and %s %s are the same file, and the machine would write to "
			       "it",
			       a->what, a->path, b->what, b->path);
	}
	if (!strcmp(a->what, b->what))
		return err_set(e, EINVAL,
			       "%s %s is given twice: that needs ro or ephemeral on both of them",
			       a->what, a->path);
	return err_set(e, EINVAL,
		       "%s and %s are the same file, %s, and the machine would write to it",
		       a->what, b->what, a->path);
}

/* Fills in what the machine uses; returns how many there are. */
static size_t list_paths(const struct machine_config *config, struct used_path paths[PATHS_MAX])
{
	const struct used_path single[PATHS_MAX - MACHINE_DISKS_MAX] = {
		{"--kernel", config->kernel, false},
		{"--initrd", config->initrd, false},
		{"--console", console_has_path(&config->console) ? config->console.path : NULL,
		 true},
		{"--hvc", console_has_path(&config->hvc) ? config->hvc.path : NULL, true},
		{"--dump-dtb", config->dump_dtb, true},
		{"--pcap", config->pcap, true},
	};
	size_t count = ARRAY_SIZE(single);
	unsigned i;

	memcpy(paths, single, sizeof(single));
	for (i = 0; i < config->disk_count; i++)
		paths[count++] = (struct used_path){"--disk", config->disks[i].path,
						    !config->disks[i].read_only &&
							    !config->disks[i].ephemeral};
	return count;
}

int machine_config_check_source(const struct machine_config *config, const char *path,
				struct err *e)
{
	const struct used_path source = {"--config", path, false};
	struct used_path paths[PATHS_MAX];
	size_t count = list_paths(config, paths), i;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = check_pair(&source, &paths[i], e);
	return ret;
}

/* No file is both written and used for something else: a console's log must not replace a disk. */
static int check_paths(const struct machine_config *config, struct err *e)
{
	struct used_path paths[PATHS_MAX];
	size_t count = list_paths(config, paths), i, j;
	int ret;

	for (i = 0; i < count; i++) {
		if (paths[i].path && !*paths[i].path)
			return err_set(e, EINVAL, "%s needs a file, not an empty name",
				       paths[i].what);
		for (j = 0; j < i; j++) {
			ret = check_pair(&paths[j], &paths[i], e);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

static bool name_character(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static int check_name(const char *name, struct err *e)
{
	size_t len = strlen(name), i;

	if (!len || len > MACHINE_NAME_MAX)
		return err_set(e, EINVAL, "--name has 1 to %d characters, not %zu",
			       MACHINE_NAME_MAX, len);
	for (i = 0; i < len; i++)
		if (!name_character(name[i]) || (i == 0 && !isalnum((unsigned char)name[i])))
			return err_set(e, EINVAL,
				       "--name \"%s\": a name starts with a letter or a digit and "
				       "holds only these, \"-\", \"_\" and \".\"",
				       name);
	return 0;
}

/* From "/images/debian 12.raw" to "debian-12". */
static char *make_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot;
	char *name;
	size_t i;

	base += strcspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	dot = strrchr(base, '.');
	/* "vmlinuz-6.1.0" has no extension. */
	if (dot && !isalpha((unsigned char)dot[1]))
		dot = NULL;
	name = strndup(base,
		       MIN((size_t)MACHINE_NAME_MAX, dot ? (size_t)(dot - base) : strlen(base)));
	for (i = 0; name && name[i]; i++)
		if (!name_character(name[i]))
			name[i] = '-';
	if (name && !*name) {
		free(name);
		name = strdup("guest");
	}
	return name;
}

static int finish_name(struct machine_config *config, struct err *e)
{
	if (config->name)
		return check_name(config->name, e);
	config->name = make_name(config->disk_count ? config->disks[0].path : config->kernel);
	return config->name ? 0 : err_set(e, ENOMEM, "out of memory");
}

int machine_config_finish(struct machine_config *config, struct err *e)
{
	unsigned i;
	int ret;

	if (!config->kernel)
		return err_set(e, EINVAL, "no kernel given: use --kernel FILE");
	ret = check_cpus(config, e);
	if (!ret)
		ret = check_memory(config, e);
	if (!ret)
		ret = check_append(config, e);
	for (i = 0; !ret && i < config->disk_count; i++)
		ret = check_disk(&config->disks[i], e);
	if (!ret)
		ret = machine_nets_finish(config, e);
	if (!ret)
		ret = check_consoles(config, e);
	if (!ret)
		ret = check_paths(config, e);
	if (!ret && config->dump_acpi && !*config->dump_acpi)
		ret = err_set(e, EINVAL, "--dump-acpi needs a folder, not an empty name");
	return ret < 0 ? ret : finish_name(config, e);
}
