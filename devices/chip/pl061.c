/*
 * The PL061 GPIO: see pl061.h.
 *
 * A line is an output where the direction register has a one, else an input that something outside
 * drives: here only the power button. Interrupts come from edges, which are remembered until they
 * are cleared, or from levels, which last as long as the level does.
 *
 * The button is held for a while, because drivers look at the line again some milliseconds after
 * its edge, to be sure that it did not bounce.
 *
 * Register accesses on vCPU threads; the button's timer on the main loop's. The interrupt line is
 * driven while the mutex is held: irq_set never comes back into the device.
 */
#include "chip/pl061.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "chip/primecell.h"

#define BUTTON_HELD_NS 100000000ull

#define GPIO_LABEL "gpio"

/* Register offsets, table 3-1. Data: an access touches the lines with a one in offset bits 9 to 2.
 */
enum {
	DATA_END = 0x400,
	DIR = 0x400,
	IS = 0x404,
	IBE = 0x408,
	IEV = 0x40c,
	IE = 0x410,
	RIS = 0x414,
	MIS = 0x418,
	IC = 0x41c,
	AFSEL = 0x420,
};

struct pl061 {
	struct device dev;
	struct loop_work press;  /* posted by who presses the button */
	struct loop_timer timer; /* lets it go; the loop's thread only */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level;      /* of the interrupt line */
	uint8_t inputs;  /* what drives the lines from outside */
	uint8_t outputs; /* the data register's latches */
	uint8_t dir, is, ibe, iev, ie, afsel;
	uint8_t edges; /* that have been seen and not cleared */
};

static uint8_t lines(const struct pl061 *gpio)
{
	return (gpio->outputs & gpio->dir) | (gpio->inputs & (uint8_t)~gpio->dir);
}

static uint8_t raw_interrupts(const struct pl061 *gpio)
{
	uint8_t levels = (uint8_t) ~(lines(gpio) ^ gpio->iev);

	return (levels & gpio->is) | (gpio->edges & (uint8_t)~gpio->is);
}

/* After any change: remembers edges since @before, drives the interrupt line. */
static void update(struct pl061 *gpio, uint8_t before)
{
	uint8_t now = lines(gpio), changed = before ^ now;
	uint8_t wanted = gpio->ibe | (uint8_t) ~(now ^ gpio->iev);
	bool level;

	gpio->edges |= changed & wanted & (uint8_t)~gpio->is;
	level = raw_interrupts(gpio) & gpio->ie;
	if (level == gpio->level || !gpio->running)
		return;
	gpio->level = level;
	if (gpio->dev.place.irq)
		irq_set(gpio->dev.place.irq, level);
}

static uint32_t read_register(const struct pl061 *gpio, uint64_t offset)
{
	if (offset < DATA_END)
		return lines(gpio) & (uint32_t)(offset >> 2);
	switch (offset) {
	case DIR:
		return gpio->dir;
	case IS:
		return gpio->is;
	case IBE:
		return gpio->ibe;
	case IEV:
		return gpio->iev;
	case IE:
		return gpio->ie;
	case RIS:
		return raw_interrupts(gpio);
	case MIS:
		return raw_interrupts(gpio) & gpio->ie;
	case AFSEL:
		return gpio->afsel;
	default:
		return offset >= PRIMECELL_ID_OFFSET ? primecell_read_id(PRIMECELL_PL061, offset)
						     : 0;
	}
}

static void write_register(struct pl061 *gpio, uint64_t offset, uint8_t value)
{
	uint8_t mask = (uint8_t)(offset >> 2);

	if (offset < DATA_END) {
		gpio->outputs = (gpio->outputs & (uint8_t)~mask) | (value & mask);
		return;
	}
	switch (offset) {
	case DIR:
		gpio->dir = value;
		break;
	case IS:
		gpio->is = value;
		break;
	case IBE:
		gpio->ibe = value;
		break;
	case IEV:
		gpio->iev = value;
		break;
	case IE:
		gpio->ie = value;
		break;
	case IC:
		gpio->edges &= (uint8_t)~value;
		break;
	case AFSEL:
		gpio->afsel = value;
		break;
	default: /* for reading only, or nothing there */
		break;
	}
}

static uint64_t pl061_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pl061 *gpio = opaque;
	uint32_t value;

	(void)size;
	pthread_mutex_lock(&gpio->lock);
	value = read_register(gpio, align_down(offset, 4));
	pthread_mutex_unlock(&gpio->lock);
	return primecell_part(value, offset);
}

static void pl061_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pl061 *gpio = opaque;
	uint8_t before;

	(void)size;
	if (!primecell_is_write(offset))
		return;
	pthread_mutex_lock(&gpio->lock);
	before = lines(gpio);
	write_register(gpio, offset, (uint8_t)value);
	update(gpio, before);
	pthread_mutex_unlock(&gpio->lock);
}

/* Returns whether the device runs, so that the line was driven. */
static bool drive_button(struct pl061 *gpio, bool pressed)
{
	const uint8_t bit = 1u << PL061_POWER_LINE;
	uint8_t before;
	bool running;

	pthread_mutex_lock(&gpio->lock);
	running = gpio->running;
	before = lines(gpio);
	if (running && pressed)
		gpio->inputs |= bit;
	else
		gpio->inputs &= (uint8_t)~bit;
	update(gpio, before);
	pthread_mutex_unlock(&gpio->lock);
	return running;
}

static void button_down(void *opaque)
{
	struct pl061 *gpio = opaque;

	if (drive_button(gpio, true))
		loop_timer_arm(gpio->dev.env->loop, &gpio->timer, BUTTON_HELD_NS);
}

static void button_up(void *opaque)
{
	struct pl061 *gpio = opaque;

	loop_timer_cancel(gpio->dev.env->loop, &gpio->timer);
	drive_button(gpio, false);
}

void pl061_press_power_button(struct device *dev)
{
	struct pl061 *gpio = (struct pl061 *)dev;

	loop_post(dev->env->loop, &gpio->press);
}

static int pl061_start(struct device *dev, struct err *e)
{
	struct pl061 *gpio = (struct pl061 *)dev;

	(void)e;
	pthread_mutex_lock(&gpio->lock);
	gpio->running = true;
	update(gpio, lines(gpio));
	pthread_mutex_unlock(&gpio->lock);
	return 0;
}

static void pl061_stop(struct device *dev)
{
	struct pl061 *gpio = (struct pl061 *)dev;

	pthread_mutex_lock(&gpio->lock);
	gpio->running = false;
	pthread_mutex_unlock(&gpio->lock);
	loop_call(dev->env->loop, button_up, gpio);
}

static void pl061_reset(struct device *dev)
{
	struct pl061 *gpio = (struct pl061 *)dev;

	pthread_mutex_lock(&gpio->lock);
	gpio->outputs = gpio->dir = gpio->is = gpio->ibe = gpio->iev = gpio->ie = gpio->afsel = 0;
	gpio->edges = 0;
	if (gpio->level && dev->place.irq)
		irq_set(dev->place.irq, false);
	gpio->level = false;
	pthread_mutex_unlock(&gpio->lock);
}

/* Linux: Documentation/devicetree/bindings/gpio/pl061-gpio.yaml, input/gpio-keys.yaml */
static int pl061_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	primecell_begin_node(dev, "pl061", 1, fdt);
	fdtb_texts(fdt, "compatible", "arm,pl061\0arm,primecell");
	fdtb_flag(fdt, "gpio-controller");
	fdtb_u32(fdt, "#gpio-cells", 2);
	fdtb_own_phandle(fdt, GPIO_LABEL);
	fdtb_end(fdt);

	fdtb_begin(fdt, "gpio-keys");
	fdtb_text(fdt, "compatible", "gpio-keys");
	fdtb_begin(fdt, "key-power");
	fdtb_text(fdt, "label", "power button");
	fdtb_u32(fdt, "linux,code", KEY_POWER);
	FDTB_CELLS(fdt, "gpios", fdtb_phandle(fdt, GPIO_LABEL), PL061_POWER_LINE, 0);
	fdtb_end(fdt);
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void pl061_destroy(struct device *dev)
{
	struct pl061 *gpio = (struct pl061 *)dev;

	pthread_mutex_destroy(&gpio->lock);
	free(gpio);
}

static const struct bus_region_ops pl061_ops = {
	.read = pl061_read,
	.write = pl061_write,
	.sizes = 1 | 2 | 4,
};

static const struct device_class pl061_class = {
	.name = "pl061",
	.region_count = 1,
	.regions = {{.space = BUS_MMIO, .len = PL061_REGION_LEN, .ops = &pl061_ops}},
	.start = pl061_start,
	.stop = pl061_stop,
	.reset = pl061_reset,
	.describe_fdt = pl061_describe_fdt,
	.destroy = pl061_destroy,
};

int pl061_new(const struct device_env *env, const struct device_place *place,
	      const struct pl061_settings *settings, struct device **out, struct err *e)
{
	struct pl061 *gpio = calloc(1, sizeof(*gpio));

	if (!gpio)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&gpio->dev, &pl061_class, env, place, settings->id);
	snprintf(gpio->dev.detail, sizeof(gpio->dev.detail), "PL061 GPIO with the power button");
	pthread_mutex_init(&gpio->lock, NULL);
	gpio->press = (struct loop_work){.run = button_down, .opaque = gpio};
	gpio->timer = (struct loop_timer){.fired = button_up, .opaque = gpio};
	*out = &gpio->dev;
	return 0;
}
