/*
 * The keyboard controller that only resets: see i8042.h.
 *
 * IBM PC/AT Technical Reference, "Keyboard controller"; the commands are those that Linux and
 * firmware send when they look for one. Each is answered at once, so that nobody waits for a
 * time-out; there is no keyboard and no auxiliary port behind it. Register accesses on vCPU
 * threads.
 */
#include "chip/i8042.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { DATA = 0, COMMAND_STATUS = 4 };

enum {
	STATUS_OUTPUT_FULL = 1 << 0,
	STATUS_SYSTEM = 1 << 2,  /* the self-test has passed */
	STATUS_COMMAND = 1 << 3, /* the last write was a command */
	STATUS_UNLOCKED = 1 << 4,
};

enum {
	CMD_READ_CONFIG = 0x20,
	CMD_WRITE_CONFIG = 0x60,
	CMD_DISABLE_AUX = 0xa7,
	CMD_ENABLE_AUX = 0xa8,
	CMD_TEST_AUX = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_TEST_KEYBOARD = 0xab,
	CMD_DISABLE_KEYBOARD = 0xad,
	CMD_ENABLE_KEYBOARD = 0xae,
	CMD_READ_OUTPUT_PORT = 0xd0,
	CMD_WRITE_OUTPUT_PORT = 0xd1,
	CMD_WRITE_KEYBOARD_BUFFER = 0xd2,
	CMD_WRITE_AUX_BUFFER = 0xd3,
	CMD_PULSE = 0xf0, /* to 0xff: bits 0 to 3 that are clear pulse a line of the output port */
};

#define SELF_TEST_PASSED     0x55
#define TEST_KEYBOARD_PASSED 0x00
#define TEST_AUX_FAILED      0x01 /* its clock line is stuck low: there is none */

enum { CONFIG_SYSTEM = 1 << 2, CONFIG_NO_KEYBOARD = 1 << 4, CONFIG_NO_AUX = 1 << 5 };

enum { PORT_NOT_RESET = 1 << 0, PORT_A20 = 1 << 1 };

struct i8042 {
	struct device dev;
	pthread_mutex_t lock; /* guards what follows */
	uint8_t config;
	uint8_t output;
	bool output_full;
	bool last_was_command;
	uint8_t command; /* one that waits for its data byte; 0: none */
};

static void answer(struct i8042 *i8042, uint8_t byte)
{
	i8042->output = byte;
	i8042->output_full = true;
}

/* Returns whether the machine is to be reset. */
static bool write_command(struct i8042 *i8042, uint8_t command)
{
	i8042->last_was_command = true;
	i8042->command = 0;
	switch (command) {
	case CMD_READ_CONFIG:
		answer(i8042, i8042->config);
		break;
	case CMD_DISABLE_AUX:
		i8042->config |= CONFIG_NO_AUX;
		break;
	case CMD_ENABLE_AUX:
		i8042->config &= (uint8_t)~CONFIG_NO_AUX;
		break;
	case CMD_TEST_AUX:
		answer(i8042, TEST_AUX_FAILED);
		break;
	case CMD_SELF_TEST:
		answer(i8042, SELF_TEST_PASSED);
		break;
	case CMD_TEST_KEYBOARD:
		answer(i8042, TEST_KEYBOARD_PASSED);
		break;
	case CMD_DISABLE_KEYBOARD:
		i8042->config |= CONFIG_NO_KEYBOARD;
		break;
	case CMD_ENABLE_KEYBOARD:
		i8042->config &= (uint8_t)~CONFIG_NO_KEYBOARD;
		break;
	case CMD_READ_OUTPUT_PORT:
		answer(i8042, PORT_NOT_RESET | PORT_A20);
		break;
	case CMD_WRITE_CONFIG:
	case CMD_WRITE_OUTPUT_PORT:
	case CMD_WRITE_KEYBOARD_BUFFER:
	case CMD_WRITE_AUX_BUFFER:
		i8042->command = command;
		break;
	default:
		return command >= CMD_PULSE && !(command & PORT_NOT_RESET);
	}
	return false;
}

/* As write_command. */
static bool write_data(struct i8042 *i8042, uint8_t value)
{
	uint8_t command = i8042->command;

	i8042->last_was_command = false;
	i8042->command = 0;
	switch (command) {
	case CMD_WRITE_CONFIG:
		i8042->config = value;
		break;
	case CMD_WRITE_OUTPUT_PORT:
		return !(value & PORT_NOT_RESET);
	case CMD_WRITE_KEYBOARD_BUFFER:
	case CMD_WRITE_AUX_BUFFER:
		/* Comes back as if from the keyboard also for AUX: who probes sees at once there is
		 * none. */
		answer(i8042, value);
		break;
	default: /* for a keyboard, which there is not */
		break;
	}
	return false;
}

static uint64_t i8042_read(void *opaque, uint64_t offset, unsigned size)
{
	struct i8042 *i8042 = opaque;
	uint8_t value = 0xff;

	(void)size;
	pthread_mutex_lock(&i8042->lock);
	if (offset == DATA) {
		value = i8042->output;
		i8042->output_full = false;
	} else if (offset == COMMAND_STATUS) {
		value = STATUS_UNLOCKED;
		value |= i8042->config & CONFIG_SYSTEM ? STATUS_SYSTEM : 0;
		value |= i8042->output_full ? STATUS_OUTPUT_FULL : 0;
		value |= i8042->last_was_command ? STATUS_COMMAND : 0;
	}
	pthread_mutex_unlock(&i8042->lock);
	return value;
}

static void i8042_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct i8042 *i8042 = opaque;
	struct machine_events *events = i8042->dev.env->events;
	bool reset = false;

	(void)size;
	pthread_mutex_lock(&i8042->lock);
	if (offset == DATA)
		reset = write_data(i8042, (uint8_t)value);
	else if (offset == COMMAND_STATUS)
		reset = write_command(i8042, (uint8_t)value);
	pthread_mutex_unlock(&i8042->lock);
	if (reset)
		events->raise(events, MACHINE_RESET, "keyboard controller");
}

static void i8042_reset(struct device *dev)
{
	struct i8042 *i8042 = (struct i8042 *)dev;

	pthread_mutex_lock(&i8042->lock);
	i8042->config = CONFIG_SYSTEM | CONFIG_NO_KEYBOARD | CONFIG_NO_AUX;
	i8042->output = 0;
	i8042->output_full = i8042->last_was_command = false;
	i8042->command = 0;
	pthread_mutex_unlock(&i8042->lock);
}

static void i8042_destroy(struct device *dev)
{
	struct i8042 *i8042 = (struct i8042 *)dev;

	pthread_mutex_destroy(&i8042->lock);
	free(i8042);
}

static const struct bus_region_ops i8042_ops = {
	.read = i8042_read,
	.write = i8042_write,
	.sizes = 1,
};

static const struct device_class i8042_class = {
	.name = "i8042",
	.region_count = 1,
	.regions = {{.space = BUS_PIO, .len = I8042_REGION_LEN, .ops = &i8042_ops}},
	.reset = i8042_reset,
	.destroy = i8042_destroy,
};

int i8042_new(const struct device_env *env, const struct device_place *place,
	      const struct i8042_settings *settings, struct device **out, struct err *e)
{
	struct i8042 *i8042 = calloc(1, sizeof(*i8042));

	if (!i8042)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&i8042->dev, &i8042_class, env, place, settings->id);
	snprintf(i8042->dev.detail, sizeof(i8042->dev.detail), "keyboard controller (reset only)");
	pthread_mutex_init(&i8042->lock, NULL);
	i8042_reset(&i8042->dev);
	*out = &i8042->dev;
	return 0;
}
