/* A board for one device: see fake_board.h. */
#include "fake_board.h"

#include <check.h>
#include <string.h>

#include "base/util.h"

#define FAKE_BASE 0x100u

static void line_set(struct irq_line *line, bool level)
{
	struct fake_board *board = container_of(line, struct fake_board, line);

	if (atomic_exchange(&board->level, level) == level)
		board->redundant++;
	else if (level)
		board->edges++;
}

static void line_pulse(struct irq_line *line)
{
	container_of(line, struct fake_board, line)->pulses++;
}

static const struct irq_ops line_ops = {.set = line_set, .pulse = line_pulse};

static void raise_event(struct machine_events *events, enum machine_event event, const char *detail)
{
	struct fake_board *board = container_of(events, struct fake_board, events);

	ck_assert_ptr_nonnull(detail);
	board->raised[event]++;
}

void fake_board_init(struct fake_board *board)
{
	memset(board, 0, sizeof(*board));
	ck_assert_int_eq(loop_new(&board->env.loop, NULL), 0);
	ck_assert_int_eq(bus_new(&board->env.bus, NULL), 0);
	board->line = (struct irq_line){.ops = &line_ops, .gsi = 4};
	board->events.raise = raise_event;
	board->env.events = &board->events;
	board->place.irq = &board->line;
	board->place.base[0] = board->place.base[1] = FAKE_BASE;
}

void fake_board_free(struct fake_board *board)
{
	bus_free(board->env.bus);
	loop_free(board->env.loop);
}

uint8_t fake_in(struct fake_board *board, unsigned offset)
{
	return (uint8_t)bus_read(board->env.bus, BUS_PIO, FAKE_BASE + offset, 1);
}

void fake_out(struct fake_board *board, unsigned offset, uint8_t value)
{
	bus_write(board->env.bus, BUS_PIO, FAKE_BASE + offset, 1, value);
}
