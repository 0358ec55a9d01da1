/*
 * A flattened device tree being written (Devicetree Specification 0.4, chapters 2 and 5), over
 *libfdt's sequential writing.
 *
 * Nodes are opened and closed in order, and a node's properties come before its children. An error
 * sticks: calls after it do nothing, and fdtb_finish (or fdtb_error) reports the first one. So
 *devices write their nodes without a test after every line.
 *
 *	fdtb_begin(fdt, "uart@%llx", base);
 *	fdtb_text(fdt, "compatible", "ns16550a");
 *	fdtb_reg(fdt, base, len);
 *	fdtb_interrupt(fdt, gsi, FDT_LEVEL_HIGH);
 *	fdtb_end(fdt);
 *
 * Phandles are known by labels: a node that others refer to says fdtb_own_phandle(fdt, "clock"), a
 *node that refers to it writes fdtb_phandle(fdt, "clock") into a property, in either order.
 */
#ifndef SARANG_TABLES_FDT_H
#define SARANG_TABLES_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct fdt_builder;

/* How interrupt specifiers look: the binding of the board's interrupt controller. */
enum fdt_irq_binding {
	FDT_IRQ_GIC,    /* arm,gic: <0 SPI flags>, 3 cells */
	FDT_IRQ_IOAPIC, /* intel,ce4100-ioapic: <GSI sense>, 2 cells */
};

enum fdt_trigger {
	FDT_EDGE_RISING,
	FDT_LEVEL_HIGH,
};

/* Begins a tree with its root node open. Freed with fdtb_free. 0 or -ENOMEM. */
int fdtb_new(enum fdt_irq_binding binding, struct fdt_builder **out, struct err *e);
void fdtb_free(struct fdt_builder *fdt);

/* 0, or the -errno of the first thing that went wrong. */
int fdtb_error(const struct fdt_builder *fdt);

/* Opens a node with a name made by printf ("cpu@%x"); closes the one opened last. */
void fdtb_begin(struct fdt_builder *fdt, const char *name_fmt, ...)
	__attribute__((format(printf, 2, 3)));
void fdtb_end(struct fdt_builder *fdt);

/* Properties of the open node. Numbers are stored big-endian. */
void fdtb_flag(struct fdt_builder *fdt, const char *name); /* no value: it is there */
void fdtb_u32(struct fdt_builder *fdt, const char *name, uint32_t value);
void fdtb_u64(struct fdt_builder *fdt, const char *name, uint64_t value);
void fdtb_cells(struct fdt_builder *fdt, const char *name, const uint32_t *cells, size_t count);
void fdtb_text(struct fdt_builder *fdt, const char *name, const char *text);
void fdtb_bytes(struct fdt_builder *fdt, const char *name, const void *bytes, size_t len);
/* A string list as one literal with NULs between its elements: "a\0b". */
#define fdtb_texts(fdt, name, literal) fdtb_bytes(fdt, name, literal, sizeof(literal))

/* fdtb_cells from its arguments. */
#define FDTB_CELLS(fdt, name, ...)                             \
	fdtb_cells(fdt, name, (const uint32_t[]){__VA_ARGS__}, \
		   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* "reg" of one or more windows, two cells for each address and each length. */
struct fdt_window {
	uint64_t base;
	uint64_t len;
};
void fdtb_windows(struct fdt_builder *fdt, const struct fdt_window *windows, size_t count);
void fdtb_reg(struct fdt_builder *fdt, uint64_t base, uint64_t len);

/*
 * An ISA bus with the ports of a PC, for the device nodes until fdtb_end (IEEE 1275 binding for
 * ISA); and "reg" of a device on it: @len ports from @port on.
 */
void fdtb_begin_isa(struct fdt_builder *fdt);
void fdtb_ports(struct fdt_builder *fdt, uint32_t port, uint32_t len);

/* "interrupts" of one line of the board's interrupt controller. */
void fdtb_interrupt(struct fdt_builder *fdt, unsigned gsi, enum fdt_trigger trigger);

/* The number behind a label (a string that outlives the builder); given out at its first use. */
uint32_t fdtb_phandle(struct fdt_builder *fdt, const char *label);
/* Makes the open node the one that @label means. */
void fdtb_own_phandle(struct fdt_builder *fdt, const char *label);

/*
 * Closes the root and checks the tree: every node closed, every label owned once, and libfdt's full
 * check. *@blob is the builder's, *@len its length. 0 or -errno with a sentence.
 */
int fdtb_finish(struct fdt_builder *fdt, const void **blob, size_t *len, struct err *e);

/* Checks a finished tree of @len bytes from wherever it comes. 0 or -EINVAL with a sentence. */
int fdt_validate(const void *blob, size_t len, struct err *e);

/* Writes a finished tree to the file @path. 0, or -errno with a sentence and no file. */
int fdt_dump(const void *blob, size_t len, const char *path, struct err *e);

#endif
