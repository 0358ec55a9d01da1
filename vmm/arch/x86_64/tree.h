/*
 * The device tree of an x86_64 machine: the board's own nodes (processors, memory, local and I/O
 * APIC, the bus that port space is), then those that the devices write themselves. Pure.
 */
#ifndef SARANG_ARCH_X86_64_TREE_H
#define SARANG_ARCH_X86_64_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "arch/describe.h"
#include "base/err.h"
#include "tables/fdt.h"

struct x86_board {
	unsigned cpus; /* whose APIC ids are arch_vcpu_id's */
	struct described machine;
};

/*
 * Writes and checks the tree. *@out owns it (fdtb_free); *@blob and *@len are what the guest gets.
 * 0 or -errno with a sentence.
 */
int x86_tree_build(const struct x86_board *board, struct fdt_builder **out, const void **blob,
		   size_t *len, struct err *e);

#endif
