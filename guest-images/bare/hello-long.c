/*
 * hello-long: what a guest finds when it starts by PVH: the processor's mode, the memory map and
 * the command line that the loader left in struct hvm_start_info.
 */
#include "common/bare.h"

static const char *type_name(uint32_t type)
{
	static const char *const names[] = {"?", "RAM", "reserved", "ACPI tables", "ACPI NVS"};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "other";
}

static void print_mode(void)
{
	uint64_t flags, selector;

	__asm__("movq %%cs, %0" : "=r"(selector));
	__asm__("pushfq; popq %0" : "=r"(flags));
	print("hello from 64-bit mode: CPL %lu, IOPL %lu, interrupts %s, pointers of %lu bits\n",
	      selector & 3, flags >> 12 & 3, flags & 0x200 ? "on" : "off", sizeof(void *) * 8);
}

void guest_main(const struct start_info *start)
{
	const struct memory_map_entry *map = (const void *)start->memory_map;

	print_mode();
	print("start info at %lx: version %u, %u modules, RSDP at %lx\n", (uint64_t)start,
	      start->version, start->module_count, start->rsdp);
	for (uint32_t i = 0; start->version >= 1 && i < start->memory_map_count; i++)
		print("memory %016lx-%016lx %s\n", map[i].address,
		      map[i].address + map[i].bytes - 1, type_name(map[i].type));
	print("command line: %s\n", start->cmdline ? (const char *)start->cmdline : "");
}
