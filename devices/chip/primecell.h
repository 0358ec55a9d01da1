/*
 * What Arm's PrimeCell chips share: how they say what they are, and their device tree nodes.
 * Arm PrimeCell Technical Reference Manuals, "Peripheral identification registers".
 */
#ifndef SARANG_CHIP_PRIMECELL_H
#define SARANG_CHIP_PRIMECELL_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/device.h"
#include "tables/fdt.h"

#define PRIMECELL_REGION_LEN 0x1000
#define PRIMECELL_ID_OFFSET  0xfe0

/* PeriphID0 to 3 as one number, PeriphID0 lowest. */
enum primecell_id {
	PRIMECELL_PL011 = 0x00341011, /* revision r1p5 */
	PRIMECELL_PL031 = 0x00141031,
	PRIMECELL_PL061 = 0x00041061,
};

/* The identification register at @offset, from PRIMECELL_ID_OFFSET on. */
uint8_t primecell_read_id(enum primecell_id id, uint64_t offset);

/*
 * Registers are 32 bits wide at multiples of 4. What an access of any size at @offset gets of one
 * that holds @value; a write that does not begin where the register does is no write.
 */
static inline uint64_t primecell_part(uint32_t value, uint64_t offset)
{
	return value >> (offset % 4 * 8);
}

static inline bool primecell_is_write(uint64_t offset)
{
	return offset % 4 == 0;
}

/*
 * Opens the node @name of a chip with its reg, interrupts and clocks; @clock_names is for the one
 * or two clocks it wants. The caller adds "compatible" and closes it.
 */
void primecell_begin_node(const struct device *dev, const char *name, unsigned clocks,
			  struct fdt_builder *fdt);

#endif
