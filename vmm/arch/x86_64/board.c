/*
 * The chips of an x86_64 machine and where they are: QEMU's microvm board with its serial port,
 * clock and power registers. Fills the plan of a machine (arch/plan.h); pure but for the
 * constructors, which the machine calls later.
 */
#include <errno.h>
#include <stdio.h>

#include "arch/arch.h"
#include "chip/i8042.h"
#include "chip/power.h"
#include "chip/pvpanic.h"
#include "chip/rtc.h"
#include "chip/uart16550.h"
#include "layout.h"

static int create_uart(const struct build_parts *parts, const struct plan_device *planned,
		       const struct device_place *place, struct device **out, struct err *e)
{
	struct uart16550_settings settings = {.id = planned->id, .chr = parts->console};

	return uart16550_new(parts->env, place, &settings, out, e);
}

static int create_rtc(const struct build_parts *parts, const struct plan_device *planned,
		      const struct device_place *place, struct device **out, struct err *e)
{
	struct rtc_settings settings = {.id = planned->id};

	return rtc_new(parts->env, place, &settings, out, e);
}

static int create_i8042(const struct build_parts *parts, const struct plan_device *planned,
			const struct device_place *place, struct device **out, struct err *e)
{
	struct i8042_settings settings = {.id = planned->id};

	return i8042_new(parts->env, place, &settings, out, e);
}

static int create_pvpanic(const struct build_parts *parts, const struct plan_device *planned,
			  const struct device_place *place, struct device **out, struct err *e)
{
	struct pvpanic_settings settings = {.id = planned->id};

	return pvpanic_new(parts->env, place, &settings, out, e);
}

static int create_power(const struct build_parts *parts, const struct plan_device *planned,
			const struct device_place *place, struct device **out, struct err *e)
{
	struct power_settings settings = {.id = planned->id};

	return power_new(parts->env, place, &settings, out, e);
}

int arch_plan_chips(struct plan *plan, struct err *e)
{
	static const struct plan_chip chips[] = {
		{.id = "uart0",
		 .detail = "16550A serial port: the console (ttyS0)",
		 .port = X86_PORT_UART0,
		 .len = UART16550_REGION_LEN,
		 .gsi = X86_GSI_UART0,
		 .create = create_uart},
		{.id = "rtc0",
		 .detail = "MC146818 real-time clock",
		 .port = X86_PORT_RTC,
		 .len = RTC_REGION_LEN,
		 .gsi = X86_GSI_RTC,
		 .create = create_rtc},
		{.id = "i8042",
		 .detail = "keyboard controller: reset only",
		 .port = X86_PORT_I8042,
		 .len = I8042_REGION_LEN,
		 .gsi = PLAN_NO_IRQ,
		 .create = create_i8042},
		{.id = "pvpanic0",
		 .detail = "panic notification",
		 .port = X86_PORT_PVPANIC,
		 .len = PVPANIC_REGION_LEN,
		 .gsi = PLAN_NO_IRQ,
		 .create = create_pvpanic},
		{.id = "power0",
		 .detail = "power-off, reset and power button",
		 .mmio = X86_POWER_BASE,
		 .port = X86_PORT_POWER,
		 .len = POWER_REGION_LEN,
		 .gsi = X86_GSI_POWER,
		 .pulsed = true,
		 .flags = PLAN_POWER_BUTTON,
		 .create = create_power},
	};

	return plan_add_chips(plan, chips, ARRAY_SIZE(chips), e);
}

int arch_plan_virtio(struct plan *plan, struct plan_device *planned, struct err *e)
{
	/* What the chips and a PC's habits (0 to 3, 13) leave of the IOAPIC's 24 lines. */
	static const uint8_t gsis[] = {5, 6, 7, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
	unsigned slot = plan->virtio_count;

	if (slot == ARRAY_SIZE(gsis))
		return err_set(e, ENOSPC,
			       "a machine has at most %zu virtio devices: disks, network cards, "
			       "--hvc, and one for entropy",
			       ARRAY_SIZE(gsis));
	plan->virtio_count++;
	plan_add_region(planned, BUS_MMIO, X86_VIRTIO_BASE + slot * X86_VIRTIO_STEP,
			X86_VIRTIO_STEP);
	planned->gsi = gsis[slot];
	planned->pulsed = true;
	return 0;
}

void arch_press_power_button(struct device *button)
{
	power_press_button(button);
}
