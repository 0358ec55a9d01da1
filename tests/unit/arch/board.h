/*
 * A board made from the plan of a machine, with devices that are real and lines that are not. For
 * the programs of both architectures: each is compiled with the chips of its own.
 */
#ifndef SARANG_TESTS_ARCH_BOARD_H
#define SARANG_TESTS_ARCH_BOARD_H

#include <check.h>

#include "arch/arch.h"

struct board {
	struct device_env env;
	struct machine_events events;
	struct chr *console;
	struct plan plan;
	struct irq_line lines[PLAN_DEVICES_MAX];
	struct device *devices[PLAN_DEVICES_MAX];
};

/* The plan of a machine with its chips and @virtio devices. */
void board_plan(struct plan *plan, unsigned virtio);

/* The device with that id, which must be there. */
const struct plan_device *board_find(const struct plan *plan, const char *id);

/* Fails where two regions or interrupts of a plan are the same, or meet RAM or the fixed map. */
void board_check_overlaps(const struct plan *plan);

/* Makes all of it, with @bytes of RAM. */
void board_new(struct board *board, uint64_t bytes, unsigned virtio);
void board_free(struct board *board);

#endif
