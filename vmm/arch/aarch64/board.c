/*
 * The chips of an aarch64 machine and where they are: QEMU's virt board. Fills the plan of a
 * machine (arch/plan.h); pure but for the constructors, which the machine calls later.
 */
#include <errno.h>
#include <stdio.h>

#include "arch/arch.h"
#include "chip/pl011.h"
#include "chip/pl031.h"
#include "chip/pl061.h"
#include "chip/pvpanic.h"
#include "layout.h"

static int create_uart(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct pl011_settings settings = {.id = planned->id, .chr = parts->console};

	return pl011_new(parts->env, place, &settings, out, e);
}

static int create_rtc(const struct build_parts *parts, const struct plan_device *planned,
		      const struct device_place *place, struct device **out, struct err *e)
{
	struct pl031_settings settings = {.id = planned->id};

	return pl031_new(parts->env, place, &settings, out, e);
}

static int create_gpio(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct pl061_settings settings = {.id = planned->id};

	return pl061_new(parts->env, place, &settings, out, e);
}

static int create_pvpanic(const struct build_parts *parts, const struct plan_device *planned,
			  const struct device_place *place, struct device **out, struct err *e)
{
	struct pvpanic_settings settings = {.id = planned->id};

	return pvpanic_mmio_new(parts->env, place, &settings, out, e);
}

int arch_plan_chips(struct plan *plan, struct err *e)
{
	static const struct plan_chip chips[] = {
		{.id = "uart0",
		 .detail = "PL011 serial port: the console (ttyAMA0)",
		 .mmio = ARM64_UART0_BASE,
		 .len = PL011_REGION_LEN,
		 .gsi = ARM64_SPI_UART0,
		 .create = create_uart},
		{.id = "rtc0",
		 .detail = "PL031 real-time clock",
		 .mmio = ARM64_RTC_BASE,
		 .len = PL031_REGION_LEN,
		 .gsi = ARM64_SPI_RTC,
		 .create = create_rtc},
		{.id = "gpio0",
		 .detail = "PL061 with the power button",
		 .mmio = ARM64_GPIO_BASE,
		 .len = PL061_REGION_LEN,
		 .gsi = ARM64_SPI_GPIO,
		 .flags = PLAN_POWER_BUTTON,
		 .create = create_gpio},
		{.id = "pvpanic0",
		 .detail = "panic notification",
		 .mmio = ARM64_PVPANIC_BASE,
		 .len = PVPANIC_REGION_LEN,
		 .gsi = PLAN_NO_IRQ,
		 .create = create_pvpanic},
	};

	return plan_add_chips(plan, chips, ARRAY_SIZE(chips), e);
}

int arch_plan_virtio(struct plan *plan, struct plan_device *planned, struct err *e)
{
	unsigned slot = plan->virtio_count;

	if (slot == ARM64_VIRTIO_COUNT)
		return err_set(e, ENOSPC,
			       "a machine has at most %u virtio devices: disks, network cards, "
			       "--hvc, and one for entropy",
			       ARM64_VIRTIO_COUNT);
	plan->virtio_count++;
	plan_add_region(planned, BUS_MMIO, ARM64_VIRTIO_BASE + slot * ARM64_VIRTIO_STEP,
			ARM64_VIRTIO_STEP);
	planned->gsi = ARM64_SPI_VIRTIO + (int)slot;
	planned->pulsed = true;
	return 0;
}

void arch_press_power_button(struct device *button)
{
	pl061_press_power_button(button);
}
