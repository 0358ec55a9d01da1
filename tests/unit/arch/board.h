/* A board made from the plan of an aarch64 machine, with devices that are real and lines that are
 * not. */
#ifndef SARANG_TESTS_ARCH_BOARD_H
#define SARANG_TESTS_ARCH_BOARD_H

#include <check.h>

#include "arch/arch.h"
#include "tree.h"

TCase *plan_case(void);
TCase *tree_case(void);

#define BOARD_CPUS_MAX 512

struct board {
	struct device_env env;
	struct machine_events events;
	struct chr *console;
	struct plan plan;
	struct irq_line lines[PLAN_DEVICES_MAX];
	struct device *devices[PLAN_DEVICES_MAX];
	uint64_t mpidrs[BOARD_CPUS_MAX];
};

/* The plan of a machine with its chips and @virtio devices. */
void board_plan(struct plan *plan, unsigned virtio);

/* Makes all of it, with @bytes of RAM. */
void board_new(struct board *board, uint64_t bytes, unsigned virtio);
void board_free(struct board *board);

/* What arm64_tree_build is given for @cpus vCPUs: GICv3 with an ITS, an initrd, seeds that are
 * known. */
void board_describe(struct board *board, unsigned cpus, struct arm64_board *description);

#endif
