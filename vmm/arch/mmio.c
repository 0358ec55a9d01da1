/* A vCPU's access to memory that is no RAM: see mmio.h. On the vCPU's thread. */
#include "arch/mmio.h"

#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

uint64_t arch_get_value(const uint8_t *data, unsigned size)
{
	uint8_t bytes[8] = {0};

	memcpy(bytes, data, MIN(size, 8u));
	return get_le64(bytes);
}

void arch_put_value(uint8_t *data, unsigned size, uint64_t value)
{
	uint8_t bytes[8];

	put_le64(bytes, value);
	memcpy(data, bytes, MIN(size, 8u));
}

void arch_handle_mmio(struct kvm_run *run, struct bus *bus)
{
	unsigned size = run->mmio.len;
	uint64_t addr = run->mmio.phys_addr;

	if (run->mmio.is_write)
		bus_write(bus, BUS_MMIO, addr, size, arch_get_value(run->mmio.data, size));
	else
		arch_put_value(run->mmio.data, size, bus_read(bus, BUS_MMIO, addr, size));
}
