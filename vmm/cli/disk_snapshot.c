/* sarang disk snapshot: snapshots inside a qcow2 image. The list has qemu-img's columns and keys.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"
#include "cli/suggest.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* Three digits and a unit, as qemu-img writes sizes. */
static void format_bytes(uint64_t bytes, char text[16])
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++)
		value /= 1024;
	snprintf(text, 16, "%.3g %sB", value, units[unit]);
}

static void print_one(const struct qcow2_snapshot *s)
{
	time_t seconds = s->seconds;
	uint64_t ms = s->vm_clock_ns / (NS_PER_SECOND / 1000);
	char size[16], date[32], clock[40], icount[24] = "";
	struct tm tm;

	text_make_printable(s->id);
	text_make_printable(s->name);
	format_bytes(s->vm_state_bytes, size);
	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(clock, sizeof(clock), "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64,
		 ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
	if (s->icount != UINT64_MAX)
		snprintf(icount, sizeof(icount), "%" PRIu64, s->icount);
	printf("%-9s %-16s %8s%20s%13s%11s\n", s->id, s->name, size, date, clock, icount);
}

static json_t *describe(const struct qcow2_snapshot *s)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", disk_json_text(s->id));
	json_object_set_new(o, "name", disk_json_text(s->name));
	json_object_set_new(o, "vm-state-size", json_integer((json_int_t)s->vm_state_bytes));
	json_object_set_new(o, "date-sec", json_integer(s->seconds));
	json_object_set_new(o, "date-nsec", json_integer(s->nanoseconds));
	json_object_set_new(o, "vm-clock-sec",
			    json_integer((json_int_t)(s->vm_clock_ns / NS_PER_SECOND)));
	json_object_set_new(o, "vm-clock-nsec",
			    json_integer((json_int_t)(s->vm_clock_ns % NS_PER_SECOND)));
	if (s->icount != UINT64_MAX)
		json_object_set_new(o, "icount", json_integer((json_int_t)s->icount));
	if (s->disk_bytes)
		json_object_set_new(o, "disk-size", json_integer((json_int_t)s->disk_bytes));
	return o;
}

static int list(struct qcow2 *q, bool json, struct err *e)
{
	struct qcow2_snapshots snapshots;
	json_t *array = json_array();
	unsigned i;
	int ret = qcow2_snapshots_read(q, &snapshots, e);

	if (!ret && !json && snapshots.count)
		printf("Snapshot list:\n%-9s %-16s %8s%20s%13s%11s\n", "ID", "TAG", "VM SIZE",
		       "DATE", "VM CLOCK", "ICOUNT");
	for (i = 0; !ret && i < snapshots.count; i++) {
		if (json)
			json_array_append_new(array, describe(&snapshots.list[i]));
		else
			print_one(&snapshots.list[i]);
	}
	if (!ret && json) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(array);
	qcow2_snapshots_free(&snapshots);
	return ret;
}

static const struct action {
	const char *name;
	int (*run)(struct qcow2 *q, const char *name, struct err *e); /* NULL: list */
} actions[] = {
	{"create", qcow2_snapshot_create},
	{"apply", qcow2_snapshot_apply},
	{"delete", qcow2_snapshot_delete},
	{"list", NULL},
};

static const struct action *find_action(const char *name, struct err *e)
{
	const char *best = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!strcmp(actions[i].name, name))
			return &actions[i];
		best = suggest_better(name, best, actions[i].name);
	}
	err_set(e, EINVAL, "disk snapshot cannot %s: there are create, apply, delete and list%s%s",
		name, best ? "; did you mean " : "", best ? best : "");
	return NULL;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	const struct action *action = find_action(operands[0], e);
	struct blk_options options = {.path = operands[1], .format = "qcow2", .no_backing = true};
	struct disk disk;
	int ret;

	if (!action)
		return -EINVAL;
	if ((count == 3) != (action->run != NULL))
		return err_set(e, EINVAL, "usage: sarang disk snapshot %s FILE%s", action->name,
			       action->run ? " NAME" : "");
	if (settings->json && action->run)
		return err_set(e, EINVAL, "disk snapshot %s has nothing to show as JSON",
			       action->name);
	options.read_only = !action->run;
	ret = disk_open(&disk, &options, e);
	if (ret < 0)
		return ret;
	ret = action->run ? action->run(qcow2_of(disk.blk), operands[2], e)
			  : list(qcow2_of(disk.blk), settings->json, e);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_snapshot = {
	.name = "snapshot",
	.usage = "create|apply|delete|list FILE [NAME]",
	.options = " json ",
	.operands_min = 2,
	.operands_max = 3,
	.run = run,
};
