/* What Arm's PrimeCell chips share: see primecell.h. */
#include "chip/primecell.h"

/* PCellID0 to 3: the same in every PrimeCell. */
#define PCELL_ID 0xb105f00du

uint8_t primecell_read_id(enum primecell_id id, uint64_t offset)
{
	unsigned index = (unsigned)(offset - PRIMECELL_ID_OFFSET) / 4;

	return (uint8_t)(index < 4 ? (uint32_t)id >> index * 8 : PCELL_ID >> (index - 4) * 8);
}

void primecell_begin_node(const struct device *dev, const char *name, unsigned clocks,
			  struct fdt_builder *fdt)
{
	uint32_t clock = fdtb_phandle(fdt, "apb-pclk");

	fdtb_begin(fdt, "%s@%llx", name, (unsigned long long)dev->place.base[0]);
	fdtb_reg(fdt, dev->place.base[0], dev->class->regions[0].len);
	if (dev->place.irq)
		fdtb_interrupt(fdt, dev->place.irq->gsi, FDT_LEVEL_HIGH);
	if (clocks == 2) {
		FDTB_CELLS(fdt, "clocks", clock, clock);
		fdtb_texts(fdt, "clock-names", "uartclk\0apb_pclk");
	} else {
		FDTB_CELLS(fdt, "clocks", clock);
		fdtb_text(fdt, "clock-names", "apb_pclk");
	}
}
