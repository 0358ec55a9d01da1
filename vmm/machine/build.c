/*
 * The one constructor of a machine: from a validated configuration to a guest that only waits for
 * its vCPUs to be let in. On the main thread. Whatever fails, machine_free undoes what was done
 * before.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "boot/boot.h"
#include "machine/loader.h"
#include "machine/private.h"

static void raise_event(struct machine_events *events, enum machine_event event, const char *detail)
{
	struct machine *machine = container_of(events, struct machine, events);
	static const enum machine_end ends[] = {
		[MACHINE_POWER_OFF] = MACHINE_END_POWER_OFF,
		[MACHINE_RESET] = MACHINE_END_RESET,
		[MACHINE_GUEST_PANICKED] = MACHINE_END_PANICKED,
		[MACHINE_QUIT] = MACHINE_END_USER,
	};

	if (event == MACHINE_IO_FAILED)
		machine_io_failed(machine, detail);
	else
		machine_finish(machine, ends[event], detail);
}

static void user_quits(void *opaque)
{
	machine_finish(opaque, MACHINE_END_USER, "the user ended the guest");
}

static void user_resumes(void *opaque)
{
	machine_resume(opaque);
}

static void user_presses_power(void *opaque)
{
	machine_press_power_button(opaque);
}

static int build_memory(struct machine *machine, struct err *e)
{
	struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX];
	unsigned i, count = arch_ram_layout(machine->config->memory_bytes, ranges);
	int ret = gmem_new(&machine->mem, e);

	for (i = 0; i < count && !ret; i++)
		ret = gmem_add(machine->mem, ranges[i].gpa, ranges[i].size_bytes, e);
	return ret;
}

static int build_vcpus(struct machine *machine, struct err *e)
{
	unsigned i, cpus = machine->config->cpus;
	int ret = 0;

	machine->vcpus = calloc(cpus, sizeof(*machine->vcpus));
	if (!machine->vcpus)
		return err_set(e, ENOMEM, "out of memory");
	for (i = 0; i < cpus && !ret; i++) {
		ret = vcpu_new(machine->kvm, i, arch_vcpu_id(i), &machine->vcpus[i], e);
		if (ret < 0)
			break;
		machine->vcpus[i]->handle_exit = machine_handle_exit;
		machine->vcpus[i]->failed = machine_vcpu_failed;
		machine->vcpus[i]->opaque = machine;
	}
	if (!ret)
		machine_pause_init(machine);
	return ret;
}

static int check_memory(const struct machine *machine, struct err *e)
{
	struct memory_limits limits = {
		.address_bits = arch_vm_address_bits(machine->arch),
		.range_bytes = kvm_slot_bytes_max(),
	};
	struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX];
	unsigned count = arch_ram_layout(machine->config->memory_bytes, ranges);

	return machine_check_memory(ranges, count, &limits, e);
}

static int build_kvm(struct machine *machine, struct err *e)
{
	unsigned max;
	int ret = kvm_vm_new(&machine->kvm, arch_vm_type(), e);

	if (ret < 0)
		return ret;
	max = (unsigned)kvm_vm_cap(machine->kvm, KVM_CAP_MAX_VCPUS);
	if (machine->config->cpus > max)
		return err_set(e, EINVAL, "--cpus %u: this host's KVM gives a guest at most %u",
			       machine->config->cpus, max);
	ret = arch_vm_new(machine->kvm, machine->config->cpus, &machine->arch, e);
	if (!ret)
		ret = check_memory(machine, e);
	/* Memory first: once there are interrupt controllers, KVM waits milliseconds to add a slot.
	 */
	if (!ret)
		ret = kvm_vm_add_memory(machine->kvm, machine->mem, e);
	if (!ret)
		ret = arch_vm_make_chips(machine->arch, e);
	if (!ret)
		ret = build_vcpus(machine, e);
	if (!ret)
		ret = arch_vm_finish(machine->arch, machine->vcpus, e);
	if (!ret)
		bus_set_doorbells(machine->bus, &kvm_doorbell_ops, machine->kvm);
	return ret;
}

static int open_console(struct machine *machine, const struct console_config *config,
			struct chr **out, struct err *e)
{
	struct chr_options options = {.kind = config->kind, .path = config->path};
	struct chr_user user = {
		.quit = user_quits,
		.resume = user_resumes,
		.power = user_presses_power,
		.opaque = machine,
	};

	return chr_open(&options, machine->loop, &user, out, e);
}

static int build_consoles(struct machine *machine, struct err *e)
{
	int ret = open_console(machine, &machine->config->console, &machine->console, e);

	return ret ? ret : open_console(machine, &machine->config->hvc, &machine->hvc, e);
}

static int build_device(struct machine *machine, unsigned index, struct err *e)
{
	const struct plan_device *planned = &machine->plan.devices[index];
	struct build_parts parts = {
		.env = &machine->env,
		.config = machine->config,
		.console = machine->console,
		.hvc = machine->hvc,
	};
	struct device_place place = {0};
	struct kvm_irq_number number;
	unsigned i;
	int ret;

	if (planned->gsi != PLAN_NO_IRQ) {
		number = arch_irq_number((unsigned)planned->gsi);
		ret = kvm_irq_new(machine->kvm, &number, planned->pulsed, &machine->irqs[index], e);
		if (ret < 0)
			return ret;
		place.irq = machine->irqs[index];
	}
	for (i = 0; i < planned->region_count; i++)
		place.base[i] = planned->base[i];
	ret = planned->create(&parts, planned, &place, &machine->devices[index], e);
	if (ret < 0)
		return ret;
	machine->device_count = index + 1;
	return device_map(machine->devices[index], e);
}

static int build_devices(struct machine *machine, struct err *e)
{
	unsigned i;
	int ret = 0;

	machine->env = (struct device_env){
		.mem = machine->mem,
		.bus = machine->bus,
		.loop = machine->loop,
		.events = &machine->events,
	};
	for (i = 0; i < machine->plan.count && !ret; i++)
		ret = build_device(machine, i, e);
	return ret;
}

static int finish_load(struct machine *machine, struct loader *loader, struct err *e)
{
	unsigned i;
	int ret = loader_finish(loader, e);

	if (ret < 0)
		return ret;
	loader->load.devices = machine->devices;
	loader->load.device_count = machine->device_count;
	ret = arch_vm_load(machine->arch, &loader->load, &loader->entry, e);
	for (i = 0; i < machine->config->cpus && !ret; i++)
		ret = arch_vcpu_init(machine->arch, machine->vcpus[i], e);
	return ret;
}

/* Everything that needs KVM. The kernel is loaded meanwhile: copying it takes the longest. */
static int build_parts(struct machine *machine, struct kernel_image *kernel, struct err *e)
{
	struct loader loader = {0};
	char *cmdline = machine_cmdline(machine->config, machine->hardware);
	int ret;

	log_info("guest command line: %s", cmdline);
	loader.load = (struct arch_load){
		.mem = machine->mem,
		.hardware = machine->hardware,
		.kernel = kernel,
		.initrd = machine->config->initrd,
		.cmdline = cmdline,
		.dump_acpi = machine->config->dump_acpi,
		.dump_dtb = machine->config->dump_dtb,
	};
	ret = loader_start(&loader, e);
	if (!ret)
		ret = build_kvm(machine, e);
	if (!ret)
		ret = build_consoles(machine, e);
	if (!ret)
		ret = build_devices(machine, e);
	if (!ret)
		ret = finish_load(machine, &loader, e);
	loader_cancel(&loader);
	free(cmdline);
	return ret;
}

int machine_build(const struct machine_config *config, struct machine **out, struct err *e)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	struct kernel_image kernel = {.fd = -1};
	int ret;

	if (!machine)
		return err_set(e, ENOMEM, "out of memory");
	machine->config = config;
	machine->events.raise = raise_event;
	pthread_mutex_init(&machine->end_lock, NULL);
	ret = machine_plan(config, &machine->plan, e);
	if (!ret)
		ret = kernel_open(config->kernel, arch_kernel_arch, &kernel, e);
	if (!ret)
		ret = machine_choose_hardware(config, &kernel, &machine->hardware, e);
	if (!ret)
		ret = loop_new(&machine->loop, e);
	if (!ret)
		ret = bus_new(&machine->bus, e);
	if (!ret)
		ret = build_memory(machine, e);
	if (!ret)
		ret = build_parts(machine, &kernel, e);
	kernel_close(&kernel);
	if (ret < 0) {
		machine_free(machine);
		return ret;
	}
	*out = machine;
	return 0;
}

void machine_free(struct machine *machine)
{
	unsigned i;

	if (!machine)
		return;
	for (i = 0; i < machine->device_count; i++)
		device_destroy(machine->devices[i]);
	chr_close(machine->hvc);
	chr_close(machine->console);
	for (i = 0; i < PLAN_DEVICES_MAX; i++)
		kvm_irq_free(machine->irqs[i]);
	for (i = 0; machine->vcpus && i < machine->config->cpus; i++)
		vcpu_free(machine->vcpus[i]);
	free(machine->vcpus);
	arch_vm_free(machine->arch);
	kvm_vm_free(machine->kvm);
	bus_free(machine->bus);
	gmem_free(machine->mem);
	loop_free(machine->loop);
	pthread_mutex_destroy(&machine->end_lock);
	free(machine);
}
