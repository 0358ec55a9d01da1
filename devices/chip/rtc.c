/*
 * The PC's clock: see rtc.h.
 *
 * Theory of operation. The time registers are computed from the host's clock when they are read;
 * what a guest sets becomes an offset to it. While the guest holds the clock (register B SET, or
 * the divider in reset) the registers are plain memory, and the offset is made from them when it
 * lets go. Flags of register C are brought up to date when somebody looks, and once a second by a
 * timer as long as an interrupt is enabled. The periodic interrupt is not there (register B keeps
 * PIE clear): Linux makes its own from timers.
 *
 * Threads: registers on vCPU threads, the timer on the main loop. It is a timerfd of its own, which
 * may be set on any thread.
 */
#include "chip/rtc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"
#include "chip/rtc_time.h"
#include "tables/aml.h"

#define NS_PER_S   1000000000u
#define INDEX_MASK 0x7f /* bit 7 of the index port masks NMIs, elsewhere */

/* Update in progress is announced this long before the registers change. */
#define UIP_NS 244000u

/* After the divider leaves reset the first update is half a second away. */
#define DIVIDER_START_NS 500000000u

#define SECONDS_PER_DAY 86400

enum { REG_A = 0x0a, REG_B = 0x0b, REG_C = 0x0c, REG_D = 0x0d };

enum { A_UIP = 1 << 7, A_DIVIDER = 0x70, A_DIVIDER_RESET = 0x60, A_POWER_ON = 0x26 };

enum {
	B_SET = 1 << 7,
	B_PIE = 1 << 6,
	B_AIE = 1 << 5,
	B_UIE = 1 << 4,
};

/* The same bits in B enable and in C report. */
enum { C_IRQF = 1 << 7, C_AF = B_AIE, C_UF = B_UIE };

#define D_VALID_RAM_AND_TIME 0x80

struct rtc {
	struct device dev;
	uint64_t (*now_ns)(void *opaque);
	void *opaque;
	struct loop_fd timer; /* timerfd: the next second, while an interrupt is enabled */

	pthread_mutex_t lock; /* guards what follows, and the interrupt line */
	bool running;
	bool level; /* of the line */
	uint8_t index;
	uint8_t cmos[128];
	int64_t offset_s; /* the guest's clock less the host's ... */
	uint32_t offset_ns;
	int64_t flags_s; /* the second up to which register C is right */
};

/* The guest's time. */
struct instant {
	int64_t s;
	uint32_t ns;
};

static uint64_t host_now_ns(void *opaque)
{
	struct timespec ts;

	(void)opaque;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct instant guest_now(const struct rtc *rtc)
{
	uint64_t host_ns = rtc->now_ns(rtc->opaque);
	uint64_t ns = host_ns % NS_PER_S + rtc->offset_ns;

	return (struct instant){
		.s = (int64_t)(host_ns / NS_PER_S + ns / NS_PER_S) + rtc->offset_s,
		.ns = (uint32_t)(ns % NS_PER_S),
	};
}

static bool divider_in_reset(const struct rtc *rtc)
{
	return (rtc->cmos[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static bool held(const struct rtc *rtc)
{
	return (rtc->cmos[REG_B] & B_SET) || divider_in_reset(rtc);
}

static void update_irq(struct rtc *rtc)
{
	bool level = rtc->cmos[REG_C] & rtc->cmos[REG_B] & (B_AIE | B_UIE);

	rtc->cmos[REG_C] &= (uint8_t)~C_IRQF;
	rtc->cmos[REG_C] |= level ? C_IRQF : 0;
	if (level == rtc->level || !rtc->running)
		return;
	rtc->level = level;
	if (rtc->dev.place.irq)
		irq_set(rtc->dev.place.irq, level);
}

/* Brings register C up to the present: has a second passed, was one of them the alarm's? */
static void update_flags(struct rtc *rtc)
{
	int64_t now_s = guest_now(rtc).s, s = rtc->flags_s;

	rtc->flags_s = now_s;
	if (held(rtc) || now_s <= s)
		return;
	rtc->cmos[REG_C] |= C_UF;
	/* A day holds every alarm there can be. */
	s = MAX(s, now_s - SECONDS_PER_DAY);
	while (s < now_s && !(rtc->cmos[REG_C] & C_AF))
		if (rtc_alarm_matches(rtc->cmos, ++s))
			rtc->cmos[REG_C] |= C_AF;
}

/* The next second wakes us when an interrupt can come of it. */
static void arm(struct rtc *rtc)
{
	bool wanted = rtc->running && (rtc->cmos[REG_B] & (B_AIE | B_UIE)) && !held(rtc);
	struct itimerspec when = {0};

	if (wanted)
		when.it_value.tv_nsec = (long)(NS_PER_S - guest_now(rtc).ns) - 1;
	if (wanted && !when.it_value.tv_nsec)
		when.it_value.tv_nsec = 1;
	timerfd_settime(rtc->timer.fd, 0, &when, NULL);
}

static void second_passed(void *opaque, uint32_t events)
{
	struct rtc *rtc = opaque;

	(void)events;
	pthread_mutex_lock(&rtc->lock);
	fd_event_clear(rtc->timer.fd);
	update_flags(rtc);
	update_irq(rtc);
	arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

/* The guest takes hold of the clock: its registers stand still. */
static void hold(struct rtc *rtc)
{
	rtc_time_encode(rtc->cmos, guest_now(rtc).s);
}

/* It lets go: what it left in the registers is the time now. */
static void let_go(struct rtc *rtc, bool divider_starts)
{
	uint64_t host_ns = rtc->now_ns(rtc->opaque);
	uint32_t fraction_ns = divider_starts ? DIVIDER_START_NS : guest_now(rtc).ns;
	uint32_t host_fraction_ns = (uint32_t)(host_ns % NS_PER_S);
	bool borrow = fraction_ns < host_fraction_ns;

	rtc->offset_ns = fraction_ns + (borrow ? NS_PER_S : 0) - host_fraction_ns;
	rtc->offset_s = rtc_time_decode(rtc->cmos) - (int64_t)(host_ns / NS_PER_S) - borrow;
	rtc->flags_s = guest_now(rtc).s;
}

/* Writes register A or B, either of which may hold the clock. */
static void write_control(struct rtc *rtc, uint8_t reg, uint8_t value)
{
	bool was_held = held(rtc), divider_was = divider_in_reset(rtc);

	update_flags(rtc);
	if (reg == REG_A)
		value &= (uint8_t)~A_UIP;
	else
		value &= (uint8_t) ~(value & B_SET ? B_PIE | B_UIE : B_PIE);
	if (!was_held)
		hold(rtc);
	rtc->cmos[reg] = value;
	if (!held(rtc) && was_held)
		let_go(rtc, divider_was);
}

static void write_time(struct rtc *rtc, uint8_t reg, uint8_t value)
{
	bool free_running = !held(rtc);

	if (free_running)
		hold(rtc);
	rtc->cmos[reg] = value;
	if (free_running)
		let_go(rtc, false);
}

static uint8_t read_cmos(struct rtc *rtc, uint8_t reg)
{
	struct instant now = guest_now(rtc);
	uint8_t value;

	if (rtc_time_is_register(reg) && !held(rtc))
		rtc_time_encode(rtc->cmos, now.s);
	switch (reg) {
	case REG_A:
		value = rtc->cmos[REG_A];
		if (!held(rtc) && now.ns >= NS_PER_S - UIP_NS)
			value |= A_UIP;
		return value;
	case REG_C:
		update_flags(rtc);
		update_irq(rtc);
		value = rtc->cmos[REG_C];
		rtc->cmos[REG_C] = 0;
		return value;
	case REG_D:
		return D_VALID_RAM_AND_TIME;
	default:
		return rtc->cmos[reg];
	}
}

static void write_cmos(struct rtc *rtc, uint8_t reg, uint8_t value)
{
	if (reg == REG_A || reg == REG_B) {
		write_control(rtc, reg, value);
	} else if (rtc_time_is_register(reg)) {
		write_time(rtc, reg, value);
	} else if (reg != REG_C && reg != REG_D) {
		update_flags(rtc); /* by the alarm as it was */
		rtc->cmos[reg] = value;
	}
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
	struct rtc *rtc = opaque;
	uint8_t value;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	value = offset ? read_cmos(rtc, rtc->index) : 0xff; /* the index port is write-only */
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct rtc *rtc = opaque;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	if (offset) {
		write_cmos(rtc, rtc->index, (uint8_t)value);
		update_irq(rtc);
		arm(rtc);
	} else {
		rtc->index = value & INDEX_MASK;
	}
	pthread_mutex_unlock(&rtc->lock);
}

static int rtc_start(struct device *dev, struct err *e)
{
	struct rtc *rtc = (struct rtc *)dev;
	int ret = rtc->timer.watched ? 0 : loop_add_fd(dev->env->loop, &rtc->timer);

	if (ret < 0)
		return err_errno(e, -ret, "%s: cannot watch its timer", dev->id);
	pthread_mutex_lock(&rtc->lock);
	rtc->running = true;
	update_flags(rtc);
	update_irq(rtc);
	arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static void rtc_stop(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	pthread_mutex_lock(&rtc->lock);
	rtc->running = false;
	arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
	loop_del_fd(dev->env->loop, &rtc->timer);
}

/* The battery keeps time, alarm and RAM; a reset clears the interrupt enables and flags. */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	pthread_mutex_lock(&rtc->lock);
	rtc->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE);
	rtc->cmos[REG_C] = 0;
	if (rtc->level && dev->place.irq)
		irq_set(dev->place.irq, false);
	rtc->level = false;
	arm(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_describe_acpi(const struct device *dev, struct aml *aml)
{
	aml_begin_scope(aml, "\\_SB");
	aml_begin_device(aml, "RTC");
	aml_name_eisaid(aml, "_HID", "PNP0B00");
	aml_begin_crs(aml);
	aml_res_io(aml, (uint16_t)dev->place.base[0], RTC_REGION_LEN);
	if (dev->place.irq)
		aml_res_irq(aml, dev->place.irq->gsi, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	fd_close(&rtc->timer.fd);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct bus_region_ops rtc_ops = {
	.read = rtc_read,
	.write = rtc_write,
	.sizes = 1,
};

static const struct device_class rtc_class = {
	.name = "rtc",
	.region_count = 1,
	.regions = {{.space = BUS_PIO, .len = RTC_REGION_LEN, .ops = &rtc_ops}},
	.start = rtc_start,
	.stop = rtc_stop,
	.reset = rtc_reset,
	.describe_acpi = rtc_describe_acpi,
	.destroy = rtc_destroy,
};

int rtc_new(const struct device_env *env, const struct device_place *place,
	    const struct rtc_settings *settings, struct device **out, struct err *e)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int ret;

	if (!rtc)
		return err_set(e, ENOMEM, "out of memory");
	rtc->timer = (struct loop_fd){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
		.events = EPOLLIN,
		.ready = second_passed,
		.opaque = rtc,
	};
	if (rtc->timer.fd < 0) {
		ret = err_errno(e, errno, "%s: cannot make a timer", settings->id);
		free(rtc);
		return ret;
	}
	device_init(&rtc->dev, &rtc_class, env, place, settings->id);
	snprintf(rtc->dev.detail, sizeof(rtc->dev.detail), "MC146818 clock, UTC");
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->now_ns = settings->now_ns ? settings->now_ns : host_now_ns;
	rtc->opaque = settings->opaque;
	rtc->cmos[REG_A] = A_POWER_ON;
	rtc->cmos[REG_B] = RTC_B_24_HOURS;
	rtc->flags_s = guest_now(rtc).s;
	*out = &rtc->dev;
	return 0;
}
