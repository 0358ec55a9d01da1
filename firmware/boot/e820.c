/* The memory map of an x86 guest: see e820.h. */
#include "boot/e820.h"

#include "base/util.h"
#include "boot/x86_layout.h"

static void add(struct e820_entry *map, unsigned *count, struct e820_entry entry)
{
	if (entry.size_bytes && *count < E820_MAX)
		map[(*count)++] = entry;
}

/* What is left of [start, end) within [low, high), as RAM. */
static void add_ram(struct e820_entry *map, unsigned *count, const struct gmem_range *r,
		    uint64_t low, uint64_t high)
{
	uint64_t start = MAX(r->gpa, low), end = MIN(r->gpa + r->size_bytes, high);

	if (start < end)
		add(map, count, (struct e820_entry){start, end - start, E820_RAM});
}

unsigned e820_build(const struct gmem *mem, bool acpi, struct e820_entry map[E820_MAX])
{
	size_t ranges = gmem_range_count(mem), i;
	unsigned count = 0;

	for (i = 0; i < ranges; i++)
		add_ram(map, &count, gmem_range_at(mem, i), 0, X86_EBDA_GPA);
	add(map, &count,
	    (struct e820_entry){X86_EBDA_GPA, X86_VGA_HOLE_GPA - X86_EBDA_GPA, E820_RESERVED});
	add(map, &count,
	    (struct e820_entry){X86_ACPI_GPA, X86_ACPI_BYTES, acpi ? E820_ACPI : E820_RESERVED});
	for (i = 0; i < ranges; i++)
		add_ram(map, &count, gmem_range_at(mem, i), X86_HIGH_RAM_GPA, UINT64_MAX);
	return count;
}

const char *e820_type_name(enum e820_type type)
{
	switch (type) {
	case E820_RAM:
		return "usable";
	case E820_RESERVED:
		return "reserved";
	case E820_ACPI:
		return "ACPI tables";
	}
	return "unknown";
}
