/* sarang disk check: exit statuses as qemu-img's: 0 clean, 1 not checked, 2 corrupt, 3 leaks. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "block/qcow2_tools.h"
#include "cli/command.h"
#include "cli/disk.h"

#define LINES_MAX 100u

#define STATUS_CORRUPT 2
#define STATUS_LEAKS   3
#define STATUS_NOTHING 63 /* the format has nothing that could be checked */

static void say(void *opaque, const char *text)
{
	unsigned *lines = opaque;

	if (++*lines <= LINES_MAX)
		printf("%s\n", text);
	else if (*lines == LINES_MAX + 1)
		printf("... and more\n");
}

static void print_json(const struct qcow2_check_report *r, const char *path)
{
	json_t *o =
		json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "filename",
			  disk_json_text(path), "format", "qcow2", "corruptions",
			  (json_int_t)r->corruptions, "leaks", (json_int_t)r->leaks,
			  "corruptions-fixed", (json_int_t)r->fixed_corruptions, "leaks-fixed",
			  (json_int_t)r->fixed_leaks, "total-clusters", (json_int_t)r->total,
			  "allocated-clusters", (json_int_t)r->allocated, "compressed-clusters",
			  (json_int_t)r->compressed, "image-end-offset", (json_int_t)r->image_end);

	json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(o);
}

static void print_text(const struct qcow2_check_report *r)
{
	if (!r->corruptions && !r->leaks)
		printf("No errors were found.\n");
	if (r->corruptions)
		printf("%" PRIu64 " errors were found, %" PRIu64 " of them repaired.\n",
		       r->corruptions, r->fixed_corruptions);
	if (r->leaks)
		printf("%" PRIu64 " leaked clusters were found, %" PRIu64 " of them freed.\n",
		       r->leaks, r->fixed_leaks);
	printf("%" PRIu64 " of %" PRIu64 " clusters are allocated, %" PRIu64
	       " of them compressed.\n",
	       r->allocated, r->total, r->compressed);
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	enum qcow2_repair repair = QCOW2_REPAIR_NONE;
	struct blk_options options = {
		.path = operands[0],
		.format = disk_read_format(operands[0], settings->format, e),
		.repairing = true,
		.no_backing = true,
	};
	struct qcow2_check_report report = {0};
	unsigned lines = 0;
	struct disk disk;
	int ret;

	(void)count;
	if (!options.format)
		return -EINVAL;
	if (settings->repair)
		repair = strcmp(settings->repair, "all") ? QCOW2_REPAIR_LEAKS : QCOW2_REPAIR_ALL;
	options.read_only = !repair;
	ret = disk_open(&disk, &options, e);
	if (ret < 0)
		return ret;
	if (strcmp(options.format, "qcow2")) {
		disk_close(&disk);
		err_set(e, ENOTSUP, "disk %s is raw: there is nothing to check", operands[0]);
		return COMMAND_FAILED(STATUS_NOTHING);
	}
	report.say = settings->json ? NULL : say;
	report.opaque = &lines;
	ret = qcow2_check(qcow2_of(disk.blk), repair, &report, e);
	disk_close(&disk);
	if (ret < 0)
		return ret;
	if (settings->json)
		print_json(&report, operands[0]);
	else
		print_text(&report);
	if (report.corruptions > report.fixed_corruptions)
		return STATUS_CORRUPT;
	return report.leaks > report.fixed_leaks ? STATUS_LEAKS : 0;
}

const struct disk_verb disk_check = {
	.name = "check",
	.usage = "[--repair leaks|all] [--json] FILE",
	.options = " format repair json ",
	.operands_min = 1,
	.operands_max = 1,
	.run = run,
};
