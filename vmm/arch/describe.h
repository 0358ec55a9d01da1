/*
 * What the device trees of all architectures have in common. All but describe_end write whole nodes
 * into the root, which is open; errors stick to the builder (tables/fdt.h). Pure.
 */
#ifndef SARANG_ARCH_DESCRIBE_H
#define SARANG_ARCH_DESCRIBE_H

#include <stdint.h>

#include "base/err.h"
#include "bus/device.h"
#include "mem/gmem.h"
#include "tables/fdt.h"

/* A machine as far as it is the same on all architectures. Nothing is owned. */
struct described {
	const struct gmem *mem;
	const char *cmdline;
	uint64_t initrd_gpa;
	uint64_t initrd_bytes; /* 0: none */
	struct device *const *devices;
	unsigned device_count;
};

/*
 * /chosen with the command line, the console (alias serial0), and where the initrd is. It is left
 * open for what else the architecture's kernels look for: the caller ends it.
 */
void describe_begin_chosen(const struct described *machine, struct fdt_builder *fdt);

/* /aliases: serial0 is the node at @path. */
void describe_serial_alias(const char *path, struct fdt_builder *fdt);

/* A node for each range of RAM. */
void describe_memory(const struct described *machine, struct fdt_builder *fdt);

/* The nodes of the devices whose first region is in @space. 0, or -errno with a sentence. */
int describe_devices(const struct described *machine, enum bus_space space, struct fdt_builder *fdt,
		     struct err *e);

/*
 * The end of a tree: checks @fdt and sets *@blob and *@len, which it owns, where writing it went
 * well
 * (@written 0); else frees it. 0, @written, or -errno with a sentence.
 */
int describe_end(struct fdt_builder *fdt, int written, const void **blob, size_t *len,
		 struct err *e);

#endif
