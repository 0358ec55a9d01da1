/* A board made from the plan of a machine: see board.h. */
#include "board.h"

#include <string.h>

#include "base/util.h"
#include "virtio/rng.h"

static void ignore_level(struct irq_line *line, bool level)
{
	(void)line;
	(void)level;
}

static void ignore_pulse(struct irq_line *line)
{
	(void)line;
}

static const struct irq_ops line_ops = {.set = ignore_level, .pulse = ignore_pulse};

static void ignore_event(struct machine_events *events, enum machine_event event,
			 const char *detail)
{
	(void)events;
	(void)event;
	(void)detail;
}

static int create_rng(const struct build_parts *parts, const struct plan_device *planned,
		      const struct device_place *place, struct device **out, struct err *e)
{
	struct virtio_rng_settings settings = {.id = planned->id};

	return virtio_rng_new(parts->env, place, &settings, out, e);
}

void board_plan(struct plan *plan, unsigned virtio)
{
	unsigned i;

	memset(plan, 0, sizeof(*plan));
	ck_assert_int_eq(arch_plan_chips(plan, NULL), 0);
	for (i = 0; i < virtio; i++) {
		struct plan_device *planned = plan_add(plan, NULL, "rng%u", i);

		ck_assert_ptr_nonnull(planned);
		planned->create = create_rng;
		ck_assert_int_eq(arch_plan_virtio(plan, planned, NULL), 0);
	}
}

static void build_device(struct board *board, unsigned index)
{
	const struct plan_device *planned = &board->plan.devices[index];
	struct build_parts parts = {.env = &board->env, .console = board->console};
	struct device_place place = {0};
	unsigned i;

	if (planned->gsi != PLAN_NO_IRQ) {
		board->lines[index].ops = &line_ops;
		board->lines[index].gsi = (unsigned)planned->gsi;
		place.irq = &board->lines[index];
	}
	for (i = 0; i < planned->region_count; i++)
		place.base[i] = planned->base[i];
	ck_assert_int_eq(planned->create(&parts, planned, &place, &board->devices[index], NULL), 0);
	ck_assert_int_eq(device_map(board->devices[index], NULL), 0);
}

void board_new(struct board *board, uint64_t bytes, unsigned virtio)
{
	const struct chr_options options = {.kind = CHR_NONE};
	struct arch_ram_range ranges[ARCH_RAM_RANGES_MAX];
	unsigned i, count = arch_ram_layout(bytes, ranges);

	memset(board, 0, sizeof(*board));
	board->events.raise = ignore_event;
	board->env.events = &board->events;
	ck_assert_int_eq(loop_new(&board->env.loop, NULL), 0);
	ck_assert_int_eq(bus_new(&board->env.bus, NULL), 0);
	ck_assert_int_eq(gmem_new(&board->env.mem, NULL), 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(gmem_add(board->env.mem, ranges[i].gpa, ranges[i].size_bytes,
					  NULL),
				 0);
	ck_assert_int_eq(chr_open(&options, board->env.loop, NULL, &board->console, NULL), 0);
	board_plan(&board->plan, virtio);
	for (i = 0; i < board->plan.count; i++)
		build_device(board, i);
}

void board_free(struct board *board)
{
	unsigned i;

	for (i = 0; i < board->plan.count; i++)
		device_destroy(board->devices[i]);
	chr_close(board->console);
	gmem_free(board->env.mem);
	bus_free(board->env.bus);
	loop_free(board->env.loop);
}

static bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

static bool overlap(const struct plan_device *a, unsigned m, const struct plan_device *b,
		    unsigned n)
{
	return a->regions[m].space == b->regions[n].space &&
	       ranges_overlap(a->base[m], a->regions[m].len, b->base[n], b->regions[n].len);
}

/* Region @m of a device meets neither RAM, however much there is, nor what is fixed. */
static void check_against_map(const struct plan_device *planned, unsigned m)
{
	struct arch_ram_range ram[ARCH_RAM_RANGES_MAX];
	unsigned i, count = arch_ram_layout(GIB(64), ram);
	const struct arch_map_entry *fixed;

	if (planned->regions[m].space != BUS_MMIO)
		return;
	for (i = 0; i < count; i++)
		ck_assert_msg(!ranges_overlap(planned->base[m], planned->regions[m].len, ram[i].gpa,
					      ram[i].size_bytes),
			      "%s lies in RAM", planned->id);
	for (fixed = arch_fixed_map(); fixed->what; fixed++)
		ck_assert_msg(!ranges_overlap(planned->base[m], planned->regions[m].len,
					      fixed->base, fixed->len),
			      "%s and %s overlap", planned->id, fixed->what);
}

void board_check_overlaps(const struct plan *plan)
{
	unsigned i, j, m, n;

	for (i = 0; i < plan->count; i++) {
		const struct plan_device *a = &plan->devices[i];

		for (m = 0; m < a->region_count; m++)
			check_against_map(a, m);
		for (j = 0; j < i; j++) {
			const struct plan_device *b = &plan->devices[j];

			ck_assert(a->gsi == PLAN_NO_IRQ || a->gsi != b->gsi);
			for (m = 0; m < a->region_count; m++)
				for (n = 0; n < b->region_count; n++)
					ck_assert_msg(!overlap(a, m, b, n), "%s and %s overlap",
						      a->id, b->id);
		}
	}
}

const struct plan_device *board_find(const struct plan *plan, const char *id)
{
	unsigned i;

	for (i = 0; i < plan->count; i++)
		if (!strcmp(plan->devices[i].id, id))
			return &plan->devices[i];
	ck_abort_msg("there is no %s", id);
}
