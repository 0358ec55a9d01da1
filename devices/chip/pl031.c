/*
 * The PL031 real-time clock: see pl031.h.
 *
 * The counter is not kept but computed: the host's seconds plus an offset, in 32 bits that wrap.
 * The alarm goes off when the counter has reached the match register: a timer of the main loop
 * waits for that second and, since the host's clock may have been set meanwhile, looks again before
 * it believes it.
 *
 * Register accesses on vCPU threads; the timer on the main loop's. The line is driven while the
 * mutex is held: irq_set never comes back into the device.
 */
#include "chip/pl031.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "chip/primecell.h"

#define SECOND_NS 1000000000ull

/* An alarm up to so many seconds back has been reached, one further away lies in the future. */
#define HALF_RANGE 0x80000000u

/* Register offsets, table 3-1. */
enum {
	DR = 0x000,
	MR = 0x004,
	LR = 0x008,
	CR = 0x00c,
	IMSC = 0x010,
	RIS = 0x014,
	MIS = 0x018,
	ICR = 0x01c,
};

struct pl031 {
	struct device dev;
	uint64_t (*now_ns)(void *opaque);
	void *opaque;
	struct loop_work rearm;  /* posted by vCPUs: the alarm was set or the clock changed */
	struct loop_timer timer; /* the loop's thread only */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level;      /* of the line */
	bool alarm_set;  /* the match register has been written, and not yet reached */
	uint32_t offset; /* counter - host's seconds */
	uint32_t match, load, imsc, ris;
};

static uint64_t host_now_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint32_t counter(const struct pl031 *rtc)
{
	return (uint32_t)(rtc->now_ns(rtc->opaque) / SECOND_NS) + rtc->offset;
}

static void update_irq(struct pl031 *rtc)
{
	bool level = rtc->ris & rtc->imsc;

	if (level == rtc->level || !rtc->running)
		return;
	rtc->level = level;
	if (rtc->dev.place.irq)
		irq_set(rtc->dev.place.irq, level);
}

/* On the loop's thread: the alarm goes off now, or the timer waits until it will. */
static void check_alarm(void *opaque)
{
	struct pl031 *rtc = opaque;
	uint64_t now_ns, wait_ns = 0;
	uint32_t seconds;

	pthread_mutex_lock(&rtc->lock);
	now_ns = rtc->now_ns(rtc->opaque);
	seconds = rtc->match - ((uint32_t)(now_ns / SECOND_NS) + rtc->offset);
	if (rtc->running && rtc->alarm_set) {
		if (seconds && seconds < HALF_RANGE) {
			wait_ns = seconds * SECOND_NS - now_ns % SECOND_NS;
		} else {
			rtc->alarm_set = false;
			rtc->ris = 1;
			update_irq(rtc);
		}
	}
	pthread_mutex_unlock(&rtc->lock);
	if (wait_ns)
		loop_timer_arm(rtc->dev.env->loop, &rtc->timer, wait_ns);
	else
		loop_timer_cancel(rtc->dev.env->loop, &rtc->timer);
}

static uint32_t read_register(struct pl031 *rtc, uint64_t offset)
{
	switch (offset) {
	case DR:
		return counter(rtc);
	case MR:
		return rtc->match;
	case LR:
		return rtc->load;
	case CR:
		return 1; /* it cannot be switched off */
	case IMSC:
		return rtc->imsc;
	case RIS:
		return rtc->ris;
	case MIS:
		return rtc->ris & rtc->imsc;
	default:
		return offset >= PRIMECELL_ID_OFFSET ? primecell_read_id(PRIMECELL_PL031, offset)
						     : 0;
	}
}

static void write_register(struct pl031 *rtc, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case MR:
		rtc->match = value;
		rtc->alarm_set = true;
		loop_post(rtc->dev.env->loop, &rtc->rearm);
		break;
	case LR:
		rtc->load = value;
		rtc->offset += value - counter(rtc);
		loop_post(rtc->dev.env->loop, &rtc->rearm);
		break;
	case IMSC:
		rtc->imsc = value & 1;
		break;
	case ICR:
		rtc->ris &= ~value;
		break;
	default: /* for reading only, or nothing there */
		break;
	}
}

static uint64_t pl031_read(void *opaque, uint64_t offset, unsigned size)
{
	struct pl031 *rtc = opaque;
	uint32_t value;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc, align_down(offset, 4));
	pthread_mutex_unlock(&rtc->lock);
	return primecell_part(value, offset);
}

static void pl031_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct pl031 *rtc = opaque;

	(void)size;
	if (!primecell_is_write(offset))
		return;
	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, offset, (uint32_t)value);
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int pl031_start(struct device *dev, struct err *e)
{
	struct pl031 *rtc = (struct pl031 *)dev;

	(void)e;
	pthread_mutex_lock(&rtc->lock);
	rtc->running = true;
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
	loop_post(dev->env->loop, &rtc->rearm);
	return 0;
}

static void pl031_stop(struct device *dev)
{
	struct pl031 *rtc = (struct pl031 *)dev;

	pthread_mutex_lock(&rtc->lock);
	rtc->running = false;
	pthread_mutex_unlock(&rtc->lock);
	/* Not running, it cancels the timer. */
	loop_call(dev->env->loop, check_alarm, rtc);
}

/* The clock goes on, as one with a battery does. */
static void pl031_reset(struct device *dev)
{
	struct pl031 *rtc = (struct pl031 *)dev;

	pthread_mutex_lock(&rtc->lock);
	rtc->match = rtc->load = rtc->imsc = rtc->ris = 0;
	rtc->alarm_set = false;
	if (rtc->level && dev->place.irq)
		irq_set(dev->place.irq, false);
	rtc->level = false;
	pthread_mutex_unlock(&rtc->lock);
}

/* Linux: Documentation/devicetree/bindings/rtc/arm,pl031.yaml */
static int pl031_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	primecell_begin_node(dev, "pl031", 1, fdt);
	fdtb_texts(fdt, "compatible", "arm,pl031\0arm,primecell");
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void pl031_destroy(struct device *dev)
{
	struct pl031 *rtc = (struct pl031 *)dev;

	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct bus_region_ops pl031_ops = {
	.read = pl031_read,
	.write = pl031_write,
	.sizes = 1 | 2 | 4,
};

static const struct device_class pl031_class = {
	.name = "pl031",
	.region_count = 1,
	.regions = {{.space = BUS_MMIO, .len = PL031_REGION_LEN, .ops = &pl031_ops}},
	.start = pl031_start,
	.stop = pl031_stop,
	.reset = pl031_reset,
	.describe_fdt = pl031_describe_fdt,
	.destroy = pl031_destroy,
};

int pl031_new(const struct device_env *env, const struct device_place *place,
	      const struct pl031_settings *settings, struct device **out, struct err *e)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&rtc->dev, &pl031_class, env, place, settings->id);
	snprintf(rtc->dev.detail, sizeof(rtc->dev.detail), "PL031 real-time clock");
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->now_ns = settings->now_ns ? settings->now_ns : host_now_ns;
	rtc->opaque = settings->opaque;
	rtc->rearm = (struct loop_work){.run = check_alarm, .opaque = rtc};
	rtc->timer = (struct loop_timer){.fired = check_alarm, .opaque = rtc};
	*out = &rtc->dev;
	return 0;
}
