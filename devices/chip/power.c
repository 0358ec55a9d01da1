/*
 * Power management: see power.h.
 *
 * The Generic Event Device has one interrupt with one meaning, and the interrupt is an edge, so its
 * _EVT method needs no register to read or to acknowledge: it notifies the button (value 0x80:
 * pressed). Register accesses on vCPU threads, the button on any.
 */
#include "chip/power.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tables/aml.h"
#include "tables/fdt.h"

/* 4.8.3.7, sleep control register. */
enum { SLP_TYP_SHIFT = 2, SLP_TYP_MASK = 0x7, SLP_EN = 1 << 5 };

#define NOTIFY_BUTTON_PRESSED 0x80
#define SYSCON_LABEL          "power"

struct power {
	struct device dev;
	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	uint8_t sleep_control;
};

static uint64_t power_read(void *opaque, uint64_t offset, unsigned size)
{
	struct power *power = opaque;
	uint8_t value = 0;

	(void)size;
	/* SLP_EN is write-only, and WAK_STS stays clear: there is no state to wake up from. */
	pthread_mutex_lock(&power->lock);
	if (offset == POWER_SLEEP_CONTROL)
		value = power->sleep_control & (uint8_t)~SLP_EN;
	pthread_mutex_unlock(&power->lock);
	return value;
}

static void power_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct power *power = opaque;
	struct machine_events *events = power->dev.env->events;

	(void)size;
	if (offset == POWER_SLEEP_CONTROL) {
		pthread_mutex_lock(&power->lock);
		power->sleep_control = (uint8_t)value;
		pthread_mutex_unlock(&power->lock);
		if ((value & SLP_EN) && (value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == POWER_SLP_TYP_S5)
			events->raise(events, MACHINE_POWER_OFF, "S5");
	} else if (offset == POWER_RESET && value == POWER_RESET_VALUE) {
		events->raise(events, MACHINE_RESET, "reset register");
	}
}

void power_press_button(struct device *dev)
{
	struct power *power = (struct power *)dev;

	pthread_mutex_lock(&power->lock);
	if (power->running && dev->place.irq)
		irq_pulse(dev->place.irq);
	pthread_mutex_unlock(&power->lock);
}

static void set_running(struct device *dev, bool running)
{
	struct power *power = (struct power *)dev;

	pthread_mutex_lock(&power->lock);
	power->running = running;
	pthread_mutex_unlock(&power->lock);
}

static int power_start(struct device *dev, struct err *e)
{
	(void)e;
	set_running(dev, true);
	return 0;
}

static void power_stop(struct device *dev)
{
	set_running(dev, false);
}

static void power_reset(struct device *dev)
{
	struct power *power = (struct power *)dev;

	pthread_mutex_lock(&power->lock);
	power->sleep_control = 0;
	pthread_mutex_unlock(&power->lock);
}

/* \_S5: SLP_TYPa, SLP_TYPb, two reserved (7.4.2.6). */
static void describe_s5(struct aml *aml)
{
	aml_begin_package(aml, "\\_S5", 4);
	aml_int(aml, POWER_SLP_TYP_S5);
	aml_int(aml, 0);
	aml_int(aml, 0);
	aml_int(aml, 0);
	aml_end(aml);
}

static void power_describe_acpi(const struct device *dev, struct aml *aml)
{
	describe_s5(aml);
	aml_begin_scope(aml, "\\_SB");
	aml_begin_device(aml, "PWRB");
	aml_name_eisaid(aml, "_HID", "PNP0C0C");
	aml_name_int(aml, "_UID", 0);
	aml_end(aml);
	aml_begin_device(aml, "GED0");
	aml_name_string(aml, "_HID", "ACPI0013");
	aml_name_int(aml, "_UID", 0);
	aml_begin_crs(aml);
	aml_res_irq(aml, dev->place.irq->gsi, AML_IRQ_EDGE);
	aml_end(aml);
	aml_begin_method(aml, "_EVT", 1, true);
	aml_notify(aml, "\\_SB.PWRB", NOTIFY_BUTTON_PRESSED);
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

/*
 * Linux: Documentation/devicetree/bindings/mfd/syscon.yaml, power/reset/syscon-poweroff.yaml,
 * input/gpio-keys.yaml. There is no node for the reset register: Linux on x86 resets a PC by other
 * means (the i8042), and asks no driver.
 */
static int power_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "power@%llx", (unsigned long long)dev->place.base[0]);
	fdtb_text(fdt, "compatible", "syscon");
	fdtb_reg(fdt, dev->place.base[0], POWER_REGION_LEN);
	fdtb_u32(fdt, "reg-io-width", 1);
	fdtb_own_phandle(fdt, SYSCON_LABEL);
	fdtb_end(fdt);

	fdtb_begin(fdt, "poweroff");
	fdtb_text(fdt, "compatible", "syscon-poweroff");
	fdtb_u32(fdt, "regmap", fdtb_phandle(fdt, SYSCON_LABEL));
	fdtb_u32(fdt, "offset", POWER_SLEEP_CONTROL);
	fdtb_u32(fdt, "value", POWER_SLP_TYP_S5 << SLP_TYP_SHIFT | SLP_EN);
	fdtb_end(fdt);

	/* A key that is an interrupt and nothing else: pressed and released at once. */
	fdtb_begin(fdt, "gpio-keys");
	fdtb_text(fdt, "compatible", "gpio-keys");
	fdtb_begin(fdt, "key-power");
	fdtb_text(fdt, "label", "power button");
	fdtb_u32(fdt, "linux,code", KEY_POWER);
	fdtb_interrupt(fdt, dev->place.irq->gsi, FDT_EDGE_RISING);
	fdtb_end(fdt);
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void power_destroy(struct device *dev)
{
	struct power *power = (struct power *)dev;

	pthread_mutex_destroy(&power->lock);
	free(power);
}

static const struct bus_region_ops power_ops = {
	.read = power_read,
	.write = power_write,
	.sizes = 1,
};

static const struct device_class power_class = {
	.name = "power",
	.region_count = 2,
	.regions = {{.space = BUS_MMIO, .len = POWER_REGION_LEN, .ops = &power_ops},
		    {.space = BUS_PIO, .len = POWER_REGION_LEN, .ops = &power_ops}},
	.start = power_start,
	.stop = power_stop,
	.reset = power_reset,
	.describe_acpi = power_describe_acpi,
	.describe_fdt = power_describe_fdt,
	.destroy = power_destroy,
};

int power_new(const struct device_env *env, const struct device_place *place,
	      const struct power_settings *settings, struct device **out, struct err *e)
{
	struct power *power = calloc(1, sizeof(*power));

	if (!power)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&power->dev, &power_class, env, place, settings->id);
	snprintf(power->dev.detail, sizeof(power->dev.detail), "ACPI power off, reset, button");
	pthread_mutex_init(&power->lock, NULL);
	*out = &power->dev;
	return 0;
}
