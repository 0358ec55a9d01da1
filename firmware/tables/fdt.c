/*
 * A flattened device tree being written: see fdt.h.
 *
 * libfdt writes into a buffer of fixed size and says when it is full; the buffer then doubles,
 * which its sequential mode allows between any two calls. Used by one thread while a machine is
 * built.
 */
#include "tables/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/save.h"
#include "base/util.h"

#define FIRST_BYTES    8192
#define MAX_BYTES      (64 << 20) /* far past what any kernel takes: a bug, not a board */
#define LABELS_MAX     16
#define NAME_MAX_BYTES 64

struct label {
	const char *name;
	bool owned;
};

struct fdt_builder {
	enum fdt_irq_binding binding;
	void *blob;
	size_t cap;
	unsigned depth;
	bool after_child;                /* the open node has one: no more properties */
	struct label labels[LABELS_MAX]; /* phandle = index + 1 */
	unsigned label_count;
	struct err error; /* the first one; code 0 while there is none */
};

static bool failed(const struct fdt_builder *fdt)
{
	return fdt->error.code != 0;
}

/*
 * Judges what a libfdt call returned. True: the buffer was full and has grown, call again.
 */
static bool again(struct fdt_builder *fdt, int ret)
{
	size_t cap = fdt->cap * 2;
	void *bigger;

	if (ret >= 0)
		return false;
	if (ret != -FDT_ERR_NOSPACE) {
		err_set(&fdt->error, EINVAL, "the device tree cannot be written: %s",
			fdt_strerror(ret));
		return false;
	}
	bigger = cap <= MAX_BYTES ? malloc(cap) : NULL;
	if (!bigger) {
		err_set(&fdt->error, ENOMEM, "out of memory for a device tree of %zu bytes", cap);
		return false;
	}
	ret = fdt_resize(fdt->blob, bigger, (int)cap);
	if (ret < 0) {
		free(bigger);
		err_set(&fdt->error, EINVAL, "the device tree cannot be written: %s",
			fdt_strerror(ret));
		return false;
	}
	free(fdt->blob);
	fdt->blob = bigger;
	fdt->cap = cap;
	return true;
}

int fdtb_new(enum fdt_irq_binding binding, struct fdt_builder **out, struct err *e)
{
	struct fdt_builder *fdt = calloc(1, sizeof(*fdt));

	if (!fdt)
		return err_set(e, ENOMEM, "out of memory");
	fdt->binding = binding;
	fdt->cap = FIRST_BYTES;
	fdt->blob = malloc(fdt->cap);
	if (!fdt->blob) {
		free(fdt);
		return err_set(e, ENOMEM, "out of memory");
	}
	/* A buffer of this size takes both: nothing here can fail but by a bug, which finish
	 * reports. */
	again(fdt, fdt_create(fdt->blob, (int)fdt->cap));
	again(fdt, fdt_finish_reservemap(fdt->blob));
	fdtb_begin(fdt, "%s", "");
	*out = fdt;
	return 0;
}

void fdtb_free(struct fdt_builder *fdt)
{
	if (!fdt)
		return;
	free(fdt->blob);
	free(fdt);
}

int fdtb_error(const struct fdt_builder *fdt)
{
	return fdt->error.code;
}

void fdtb_begin(struct fdt_builder *fdt, const char *name_fmt, ...)
{
	char name[NAME_MAX_BYTES];
	va_list args;
	int ret;

	if (failed(fdt))
		return;
	va_start(args, name_fmt);
	ret = vsnprintf(name, sizeof(name), name_fmt, args);
	va_end(args);
	if (ret < 0 || (size_t)ret >= sizeof(name)) {
		err_set(&fdt->error, EINVAL, "a device tree node's name is too long: %s", name);
		return;
	}
	do {
		ret = fdt_begin_node(fdt->blob, name);
	} while (again(fdt, ret));
	fdt->depth++;
	fdt->after_child = false;
}

void fdtb_end(struct fdt_builder *fdt)
{
	int ret;

	if (failed(fdt))
		return;
	if (!fdt->depth) {
		err_set(&fdt->error, EINVAL, "a device tree node is closed that was not opened");
		return;
	}
	fdt->depth--;
	fdt->after_child = true;
	do {
		ret = fdt_end_node(fdt->blob);
	} while (again(fdt, ret));
}

void fdtb_bytes(struct fdt_builder *fdt, const char *name, const void *bytes, size_t len)
{
	int ret;

	if (failed(fdt))
		return;
	if (fdt->after_child || len > MAX_BYTES) {
		err_set(&fdt->error, EINVAL, "the device tree property %s %s", name,
			fdt->after_child ? "comes after a child of its node" : "is too long");
		return;
	}
	do {
		ret = fdt_property(fdt->blob, name, bytes, (int)len);
	} while (again(fdt, ret));
}

void fdtb_flag(struct fdt_builder *fdt, const char *name)
{
	fdtb_bytes(fdt, name, "", 0);
}

void fdtb_u32(struct fdt_builder *fdt, const char *name, uint32_t value)
{
	fdtb_cells(fdt, name, &value, 1);
}

void fdtb_u64(struct fdt_builder *fdt, const char *name, uint64_t value)
{
	uint8_t bytes[8];

	put_be64(bytes, value);
	fdtb_bytes(fdt, name, bytes, sizeof(bytes));
}

void fdtb_cells(struct fdt_builder *fdt, const char *name, const uint32_t *cells, size_t count)
{
	uint8_t *bytes = malloc(count * 4 + 1);
	size_t i;

	if (!bytes) {
		if (!failed(fdt))
			err_set(&fdt->error, ENOMEM, "out of memory");
		return;
	}
	for (i = 0; i < count; i++)
		put_be32(bytes + i * 4, cells[i]);
	fdtb_bytes(fdt, name, bytes, count * 4);
	free(bytes);
}

void fdtb_text(struct fdt_builder *fdt, const char *name, const char *text)
{
	fdtb_bytes(fdt, name, text, strlen(text) + 1);
}

#define WINDOWS_MAX 8

void fdtb_windows(struct fdt_builder *fdt, const struct fdt_window *windows, size_t count)
{
	uint8_t bytes[WINDOWS_MAX * 16];
	size_t i;

	if (count > WINDOWS_MAX) {
		if (!failed(fdt))
			err_set(&fdt->error, EINVAL, "a device with %zu windows", count);
		return;
	}
	for (i = 0; i < count; i++) {
		put_be64(bytes + i * 16, windows[i].base);
		put_be64(bytes + i * 16 + 8, windows[i].len);
	}
	fdtb_bytes(fdt, "reg", bytes, count * 16);
}

void fdtb_reg(struct fdt_builder *fdt, uint64_t base, uint64_t len)
{
	const struct fdt_window window = {base, len};

	fdtb_windows(fdt, &window, 1);
}

/* The first cell of an ISA address: 1 is port space, 0 memory. */
#define ISA_PORTS      1
#define ISA_PORT_COUNT 0x10000

void fdtb_begin_isa(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "isa@0,0"); /* not memory@0 */
	fdtb_text(fdt, "device_type", "isa");
	fdtb_text(fdt, "compatible", "isa");
	fdtb_u32(fdt, "#address-cells", 2);
	fdtb_u32(fdt, "#size-cells", 1);
	/* Ports stay what they are: 0 here is 0 of the parent. */
	FDTB_CELLS(fdt, "ranges", ISA_PORTS, 0, 0, 0, ISA_PORT_COUNT);
}

void fdtb_ports(struct fdt_builder *fdt, uint32_t port, uint32_t len)
{
	FDTB_CELLS(fdt, "reg", ISA_PORTS, port, len);
}

void fdtb_interrupt(struct fdt_builder *fdt, unsigned gsi, enum fdt_trigger trigger)
{
	/* Linux: Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml */
	static const uint32_t gic_flags[] = {[FDT_EDGE_RISING] = 1, [FDT_LEVEL_HIGH] = 4};
	/*
	 * ... and intel,ce4100-ioapic.txt: the sense of an I/O APIC pin. Linux takes the numbers
	 * for edge and level as this says, and the polarity the other way round, which is nothing
	 * to KVM's I/O APIC.
	 */
	static const uint32_t ioapic_sense[] = {[FDT_EDGE_RISING] = 0, [FDT_LEVEL_HIGH] = 2};

	if (fdt->binding == FDT_IRQ_GIC)
		FDTB_CELLS(fdt, "interrupts", 0, gsi, gic_flags[trigger]);
	else
		FDTB_CELLS(fdt, "interrupts", gsi, ioapic_sense[trigger]);
}

static struct label *find_label(struct fdt_builder *fdt, const char *name)
{
	unsigned i;

	for (i = 0; i < fdt->label_count; i++)
		if (!strcmp(fdt->labels[i].name, name))
			return &fdt->labels[i];
	if (fdt->label_count == LABELS_MAX) {
		if (!failed(fdt))
			err_set(&fdt->error, ENOSPC, "no more than %d labels fit a device tree",
				LABELS_MAX);
		return NULL;
	}
	fdt->labels[fdt->label_count].name = name;
	return &fdt->labels[fdt->label_count++];
}

uint32_t fdtb_phandle(struct fdt_builder *fdt, const char *label)
{
	const struct label *found = find_label(fdt, label);

	return found ? (uint32_t)(found - fdt->labels) + 1 : 0;
}

void fdtb_own_phandle(struct fdt_builder *fdt, const char *label)
{
	struct label *found = find_label(fdt, label);

	if (!found || failed(fdt))
		return;
	if (found->owned) {
		err_set(&fdt->error, EEXIST, "two device tree nodes are labelled %s", label);
		return;
	}
	found->owned = true;
	fdtb_u32(fdt, "phandle", fdtb_phandle(fdt, label));
}

static void check_labels(struct fdt_builder *fdt)
{
	unsigned i;

	for (i = 0; i < fdt->label_count && !failed(fdt); i++)
		if (!fdt->labels[i].owned)
			err_set(&fdt->error, ENOENT,
				"the device tree refers to %s, which no node is labelled",
				fdt->labels[i].name);
}

int fdtb_finish(struct fdt_builder *fdt, const void **blob, size_t *len, struct err *e)
{
	int ret;

	fdtb_end(fdt);
	if (!failed(fdt) && fdt->depth)
		err_set(&fdt->error, EINVAL, "a device tree node was not closed");
	check_labels(fdt);
	if (!failed(fdt)) {
		do {
			ret = fdt_finish(fdt->blob);
		} while (again(fdt, ret));
	}
	if (failed(fdt))
		return err_set(e, -fdt->error.code, "%s", fdt->error.text);
	*blob = fdt->blob;
	*len = fdt_totalsize(fdt->blob);
	return fdt_validate(*blob, *len, e);
}

int fdt_validate(const void *blob, size_t len, struct err *e)
{
	int ret = fdt_check_full(blob, len);

	if (ret < 0)
		return err_set(e, EINVAL, "the device tree is not valid: %s", fdt_strerror(ret));
	return 0;
}

int fdt_dump(const void *blob, size_t len, const char *path, struct err *e)
{
	struct save save = {.path = path, .what = "the device tree", .data = blob, .len = len};
	int ret = save_begin(&save, e);

	return ret < 0 ? ret : save_commit(&save, e);
}
