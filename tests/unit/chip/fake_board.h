/* A board for one device: a loop, an interrupt line and machine events that remember what happened.
 */
#ifndef SARANG_TESTS_CHIP_FAKE_BOARD_H
#define SARANG_TESTS_CHIP_FAKE_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>

#include "bus/device.h"

struct fake_board {
	struct device_env env;
	struct device_place place;
	struct irq_line line;
	struct machine_events events;
	_Atomic bool level;
	_Atomic unsigned edges;     /* changes from low to high */
	_Atomic unsigned redundant; /* levels that were set although they were there */
	unsigned pulses;
	unsigned raised[8]; /* by enum machine_event */
};

/* Makes it, with a loop and a bus of its own. */
void fake_board_init(struct fake_board *board);
void fake_board_free(struct fake_board *board);

/* Accesses to port @base + @offset through the bus, where the device has been mapped. */
uint8_t fake_in(struct fake_board *board, unsigned offset);
void fake_out(struct fake_board *board, unsigned offset, uint8_t value);

#endif
