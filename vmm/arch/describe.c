/* What the device trees of all architectures have in common: see describe.h. */
#include "arch/describe.h"

void describe_begin_chosen(const struct described *machine, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "chosen");
	fdtb_text(fdt, "bootargs", machine->cmdline);
	fdtb_text(fdt, "stdout-path", "serial0");
	if (machine->initrd_bytes) {
		fdtb_u64(fdt, "linux,initrd-start", machine->initrd_gpa);
		fdtb_u64(fdt, "linux,initrd-end", machine->initrd_gpa + machine->initrd_bytes);
	}
}

void describe_serial_alias(const char *path, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "aliases");
	fdtb_text(fdt, "serial0", path);
	fdtb_end(fdt);
}

void describe_memory(const struct described *machine, struct fdt_builder *fdt)
{
	size_t i;

	for (i = 0; i < gmem_range_count(machine->mem); i++) {
		const struct gmem_range *range = gmem_range_at(machine->mem, i);

		fdtb_begin(fdt, "memory@%llx", (unsigned long long)range->gpa);
		fdtb_text(fdt, "device_type", "memory");
		fdtb_reg(fdt, range->gpa, range->size_bytes);
		fdtb_end(fdt);
	}
}

int describe_devices(const struct described *machine, enum bus_space space, struct fdt_builder *fdt,
		     struct err *e)
{
	unsigned i;

	for (i = 0; i < machine->device_count; i++) {
		const struct device *dev = machine->devices[i];
		int ret;

		if (!dev->class->describe_fdt || dev->class->regions[0].space != space)
			continue;
		ret = dev->class->describe_fdt(dev, fdt);
		/* What the builder itself found wrong, fdtb_finish says better. */
		if (ret < 0 && !fdtb_error(fdt))
			return err_errno(e, -ret, "%s cannot be described in the device tree",
					 dev->id);
	}
	return 0;
}

int describe_end(struct fdt_builder *fdt, int written, const void **blob, size_t *len,
		 struct err *e)
{
	int ret = written ? written : fdtb_finish(fdt, blob, len, e);

	if (ret < 0)
		fdtb_free(fdt);
	return ret;
}
