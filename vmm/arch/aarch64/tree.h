/*
 * The device tree of an aarch64 machine: the board's own nodes (processors, memory, interrupt
 * controller, timer, PSCI, what is chosen), then those that the devices write themselves. Pure.
 */
#ifndef SARANG_ARCH_AARCH64_TREE_H
#define SARANG_ARCH_AARCH64_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/describe.h"
#include "base/err.h"
#include "tables/fdt.h"

#define ARM64_REDIST_REGIONS_MAX 2
#define ARM64_RNG_SEED_BYTES     64

struct arm64_board {
	unsigned cpus;
	const uint64_t *mpidrs; /* of each: MPIDR_EL1 */
	unsigned gic_version;   /* 2 or 3 */
	bool has_its;
	struct fdt_window redists[ARM64_REDIST_REGIONS_MAX]; /* version 3 */
	unsigned redist_count;
	uint64_t kaslr_seed;
	uint8_t rng_seed[ARM64_RNG_SEED_BYTES];
	struct described machine;
};

/*
 * Writes and checks the tree. *@out owns it (fdtb_free); *@blob and *@len are what the guest gets.
 * 0 or -errno with a sentence.
 */
int arm64_tree_build(const struct arm64_board *board, struct fdt_builder **out, const void **blob,
		     size_t *len, struct err *e);

#endif
