/*
 * The machine that would be built, as text or JSON: what `sarang inspect` prints. Stops before KVM:
 * files are opened and checked, nothing is locked, made or started.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "base/size.h"
#include "boot/boot.h"
#include "machine/machine.h"
#include "machine/network.h"
#include "machine/plan.h"

/* All that is known before anything is built. */
struct preview {
	const struct machine_config *config;
	struct plan plan;
	struct kernel_image kernel;
	enum hardware hardware;
	char *cmdline;
};

static const char *hardware_text(enum hardware hardware)
{
	return hardware == HARDWARE_FDT ? "a device tree" : "ACPI tables";
}

static int preview_make(struct preview *preview, const struct machine_config *config, struct err *e)
{
	struct boot_request request;
	unsigned i;
	int ret = machine_plan(config, &preview->plan, e);

	preview->config = config;
	if (!ret)
		ret = kernel_open(config->kernel, arch_kernel_arch, &preview->kernel, e);
	if (!ret)
		ret = machine_choose_hardware(config, &preview->kernel, &preview->hardware, e);
	for (i = 0; i < config->disk_count && !ret; i++) {
		struct blk_options options = disk_config_options(&config->disks[i]);
		struct blk_info info;

		ret = blk_probe(&options, &info, e);
	}
	preview->cmdline = machine_cmdline(config, preview->hardware);
	request = (struct boot_request){.cmdline = preview->cmdline, .initrd = config->initrd};
	return ret ? ret : boot_check_request(&preview->kernel, &request, e);
}

static void preview_free(struct preview *preview)
{
	kernel_close(&preview->kernel);
	free(preview->cmdline);
}

static void print_range(FILE *out, uint64_t base, uint64_t len, const char *what)
{
	char size[SIZE_TEXT_MAX];

	fprintf(out, "  0x%012" PRIx64 " - 0x%012" PRIx64 "  %6s  %s\n", base, base + len - 1,
		size_format(len, size), what);
}

static void print_memory_map(FILE *out, const struct machine_config *config)
{
	struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX];
	unsigned i, count = arch_ram_layout(config->memory_bytes, ranges);
	const struct arch_map_entry *fixed;

	fprintf(out, "memory map:\n");
	for (i = 0; i < count; i++)
		print_range(out, ranges[i].gpa, ranges[i].size_bytes, "RAM");
	for (fixed = arch_fixed_map(); fixed->what; fixed++)
		print_range(out, fixed->base, fixed->len, fixed->what);
}

static void print_device(FILE *out, const struct plan_device *planned)
{
	unsigned i;

	fprintf(out, "  %-10s %s\n", planned->id, planned->detail);
	for (i = 0; i < planned->region_count; i++)
		fprintf(out, "  %-10s %s %#" PRIx64 " to %#" PRIx64 "\n", "",
			planned->regions[i].space == BUS_PIO ? "ports" : "memory", planned->base[i],
			planned->base[i] + planned->regions[i].len - 1);
	if (planned->gsi != PLAN_NO_IRQ)
		fprintf(out, "  %-10s interrupt %d\n", "", planned->gsi);
}

/* Calls @found for each port of the host that the machine would listen on. */
static void each_port(const struct machine_config *config,
		      void (*found)(void *opaque, unsigned net, const struct net_forward *forward),
		      void *opaque)
{
	struct net_user_options user;
	unsigned i, j;

	for (i = 0; i < config->net_count; i++) {
		machine_net_user(config, i, &user);
		for (j = 0; j < user.forward_count; j++)
			found(opaque, i, &user.forwards[j]);
	}
}

static void print_port(void *opaque, unsigned net, const struct net_forward *forward)
{
	char host[NET_FORWARD_TEXT_MAX], guest[NET_FORWARD_TEXT_MAX];
	bool any = net_endpoint_is_any(&forward->guest);

	snprintf(guest, sizeof(guest), "port %u", net_endpoint_port(&forward->guest));
	if (!any)
		net_endpoint_format(&forward->guest, guest);
	fprintf(opaque, "  %s %s leads to %s of net%u\n", forward->udp ? "UDP" : "TCP",
		net_endpoint_format(&forward->host, host), guest, net);
}

static void count_port(void *opaque, unsigned net, const struct net_forward *forward)
{
	(void)net;
	(void)forward;
	(*(unsigned *)opaque)++;
}

static void print_ports(FILE *out, const struct machine_config *config)
{
	unsigned count = 0;

	each_port(config, count_port, &count);
	fprintf(out, "open ports:%s\n", count ? "" : " none");
	each_port(config, print_port, out);
}

static void print_text(FILE *out, const struct preview *preview)
{
	const struct machine_config *config = preview->config;
	char size[SIZE_TEXT_MAX];
	unsigned i;

	fprintf(out, "machine %s: %s, %u vCPU%s, %s of memory\n", config->name, arch_name,
		config->cpus, config->cpus == 1 ? "" : "s",
		size_format(config->memory_bytes, size));
	fprintf(out, "kernel: %s (%s)\n", config->kernel,
		kernel_format_name(preview->kernel.format));
	if (config->initrd)
		fprintf(out, "initrd: %s\n", config->initrd);
	fprintf(out, "command line: %s\n", preview->cmdline);
	fprintf(out, "hardware: told by %s\n", hardware_text(preview->hardware));
	print_memory_map(out, config);
	fprintf(out, "devices:\n");
	for (i = 0; i < preview->plan.count; i++)
		print_device(out, &preview->plan.devices[i]);
	print_ports(out, config);
}

static json_t *json_range(uint64_t base, uint64_t len, const char *what)
{
	return json_pack("{s:I, s:I, s:s}", "base", (json_int_t)base, "length", (json_int_t)len,
			 "what", what);
}

static json_t *json_memory_map(const struct machine_config *config)
{
	struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX];
	unsigned i, count = arch_ram_layout(config->memory_bytes, ranges);
	const struct arch_map_entry *fixed;
	json_t *map = json_array();

	for (i = 0; i < count; i++)
		json_array_append_new(map, json_range(ranges[i].gpa, ranges[i].size_bytes, "RAM"));
	for (fixed = arch_fixed_map(); fixed->what; fixed++)
		json_array_append_new(map, json_range(fixed->base, fixed->len, fixed->what));
	return map;
}

static json_t *json_device(const struct plan_device *planned)
{
	json_t *regions = json_array();
	unsigned i;

	for (i = 0; i < planned->region_count; i++)
		json_array_append_new(regions,
				      json_pack("{s:s, s:I, s:I}", "space",
						planned->regions[i].space == BUS_PIO ? "ports"
										     : "memory",
						"base", (json_int_t)planned->base[i], "length",
						(json_int_t)planned->regions[i].len));
	return json_pack("{s:s, s:s, s:o, s:o}", "id", planned->id, "detail", planned->detail,
			 "regions", regions, "interrupt",
			 planned->gsi == PLAN_NO_IRQ ? json_null() : json_integer(planned->gsi));
}

static void add_port(void *opaque, unsigned net, const struct net_forward *forward)
{
	char host[NET_FORWARD_TEXT_MAX], guest[NET_FORWARD_TEXT_MAX];
	char id[16];

	snprintf(id, sizeof(id), "net%u", net);
	json_array_append_new(opaque,
			      json_pack("{s:s, s:s, s:s, s:s}", "protocol",
					forward->udp ? "udp" : "tcp", "host",
					net_endpoint_format(&forward->host, host), "guest",
					net_endpoint_format(&forward->guest, guest), "device", id));
}

static int print_json(FILE *out, const struct preview *preview, struct err *e)
{
	const struct machine_config *config = preview->config;
	json_t *devices = json_array(), *ports = json_array(), *root;
	unsigned i;

	for (i = 0; i < preview->plan.count; i++)
		json_array_append_new(devices, json_device(&preview->plan.devices[i]));
	each_port(config, add_port, ports);
	root = json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:s?, s:s, s:s, s:o, s:o, s:o}", "name",
			 config->name, "architecture", arch_name, "cpus", (int)config->cpus,
			 "memory", (json_int_t)config->memory_bytes, "kernel", config->kernel,
			 "kernel_format", kernel_format_name(preview->kernel.format), "initrd",
			 config->initrd, "command_line", preview->cmdline, "hardware",
			 preview->hardware == HARDWARE_FDT ? "fdt" : "acpi", "memory_map",
			 json_memory_map(config), "devices", devices, "open_ports", ports);
	if (!root)
		return err_set(e, EINVAL,
			       "a file name or text is not valid UTF-8: JSON cannot hold it");
	json_dumpf(root, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(root);
	return 0;
}

int machine_inspect(const struct machine_config *config, bool json, FILE *out, struct err *e)
{
	struct preview preview = {.kernel.fd = -1};
	int ret = preview_make(&preview, config, e);

	if (!ret && json)
		ret = print_json(out, &preview, e);
	else if (!ret)
		print_text(out, &preview);
	preview_free(&preview);
	return ret;
}
