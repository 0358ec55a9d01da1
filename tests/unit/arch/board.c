/* A board made from the plan of an aarch64 machine: see board.h. */
#include "board.h"

#include <string.h>

#include "layout.h"
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

void board_describe(struct board *board, unsigned cpus, struct arm64_board *description)
{
	unsigned i;

	ck_assert_uint_le(cpus, BOARD_CPUS_MAX);
	/* As KVM numbers them: 16 to an Aff0, bit 31 is always set. */
	for (i = 0; i < cpus; i++)
		board->mpidrs[i] = 1ull << 31 | (i & 0xf) | (uint64_t)(i >> 4) << 8;
	*description = (struct arm64_board){
		.cpus = cpus,
		.mpidrs = board->mpidrs,
		.gic_version = 3,
		.has_its = true,
		.redists = {{ARM64_GICR_BASE, (uint64_t)cpus * ARM64_GICR_STEP}},
		.redist_count = 1,
		.mem = board->env.mem,
		.cmdline = arch_default_cmdline(),
		.initrd_gpa = 0x5fe00000,
		.initrd_bytes = 0x12345,
		.kaslr_seed = 0x0123456789abcdef,
		.devices = board->devices,
		.device_count = board->plan.count,
	};
	for (i = 0; i < ARM64_RNG_SEED_BYTES; i++)
		description->rng_seed[i] = (uint8_t)i;
}
