/* The plan of a machine: see machine/plan.h. */
#include "machine/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "base/strbuf.h"
#include "machine/devices.h"
#include "machine/network.h"

static int plan_disk(const struct machine_config *config, unsigned index, struct plan *plan,
		     struct err *e)
{
	const struct disk_config *disk = &config->disks[index];
	struct plan_device *planned = plan_add(plan, e, "disk%u", index);

	if (!planned)
		return e->code;
	snprintf(planned->detail, sizeof(planned->detail), "virtio-blk /dev/vd%c: %.70s%s%s%s",
		 'a' + (int)index, disk->path, disk->read_only ? ", read-only" : "",
		 disk->direct ? ", direct" : "", disk->ephemeral ? ", ephemeral" : "");
	planned->index = index;
	planned->create = machine_create_disk;
	return arch_plan_virtio(plan, planned, e);
}

static int plan_net(const struct machine_config *config, unsigned index, struct plan *plan,
		    struct err *e)
{
	struct plan_device *planned = plan_add(plan, e, "net%u", index);
	char detail[MACHINE_NET_DETAIL_MAX];

	if (!planned)
		return e->code;
	snprintf(planned->detail, sizeof(planned->detail), "virtio-net: %s",
		 machine_net_detail(config, index, detail));
	planned->index = index;
	planned->create = machine_create_net;
	return arch_plan_virtio(plan, planned, e);
}

static int plan_rng(struct plan *plan, struct err *e)
{
	struct plan_device *planned = plan_add(plan, e, "rng0");

	if (!planned)
		return e->code;
	snprintf(planned->detail, sizeof(planned->detail), "virtio-rng: entropy from the host");
	planned->create = machine_create_rng;
	return arch_plan_virtio(plan, planned, e);
}

static int plan_hvc(const struct machine_config *config, struct plan *plan, struct err *e)
{
	struct plan_device *planned;

	if (config->hvc.kind == CHR_NONE)
		return 0;
	planned = plan_add(plan, e, "console0");
	if (!planned)
		return e->code;
	snprintf(planned->detail, sizeof(planned->detail), "virtio-console /dev/hvc0");
	planned->create = machine_create_hvc;
	return arch_plan_virtio(plan, planned, e);
}

int machine_plan(const struct machine_config *config, struct plan *plan, struct err *e)
{
	unsigned i;
	int ret;

	memset(plan, 0, sizeof(*plan));
	ret = arch_plan_chips(plan, e);
	for (i = 0; i < config->disk_count && !ret; i++)
		ret = plan_disk(config, i, plan, e);
	for (i = 0; i < config->net_count && !ret; i++)
		ret = plan_net(config, i, plan, e);
	if (!ret)
		ret = plan_hvc(config, plan, e);
	return ret ? ret : plan_rng(plan, e);
}

/* Whether @text holds a parameter that starts with @prefix. */
static bool has_parameter(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	while (text && *text) {
		text += strspn(text, " \t");
		if (!strncmp(text, prefix, len))
			return true;
		text += strcspn(text, " \t");
	}
	return false;
}

char *machine_cmdline(const struct machine_config *config, enum hardware hardware)
{
	struct strbuf line = {0};

	strbuf_addstr(&line, arch_default_cmdline(hardware));
	if (config->disk_count && !has_parameter(config->append, "root="))
		strbuf_addf(&line, " root=/dev/vda %s", config->disks[0].read_only ? "ro" : "rw");
	if (config->append && *config->append)
		strbuf_addf(&line, " %s", config->append);
	return strbuf_take(&line);
}

int machine_choose_hardware(const struct machine_config *config, const struct kernel_image *kernel,
			    enum hardware *hardware, struct err *e)
{
	int ret = arch_choose_hardware(config->hardware, kernel, hardware, e);

	if (!ret && config->dump_acpi && *hardware != HARDWARE_ACPI)
		ret = err_set(e, ENOTSUP,
			      "--dump-acpi: this machine is described by a device tree; use "
			      "--dump-dtb");
	if (!ret && config->dump_dtb && *hardware != HARDWARE_FDT)
		ret = err_set(e, ENOTSUP,
			      "--dump-dtb: this machine is described by ACPI tables; use "
			      "--dump-acpi, or --hardware fdt for a machine with a device tree");
	return ret;
}
