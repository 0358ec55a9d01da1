/*
 * The device tree of an x86_64 machine: see tree.h.
 *
 * Linux: Documentation/devicetree/bindings, in x86/ce4100.txt and
 * interrupt-controller/intel,ce4100-{ioapic,lapic}; arch/x86/kernel/devicetree.c is what reads
 * them. CE4100, the system these bindings were made for, has lent its name to every local and I/O
 * APIC.
 *
 * Linux on x86 takes the processors and the interrupt controllers from the tree, and what hangs on
 * the interrupts; RAM, initrd and command line it takes from the boot protocol's zero page, so that
 * memory and chosen only say the same again. It knows without being told that there is a clock
 * behind port 0x70, and would try to have it twice if it were told: the tree does not name it.
 */
#include "tree.h"

#include <stdio.h>

#include "arch/arch.h"
#include "layout.h"

#define IOAPIC_LABEL "ioapic"

static void chosen_node(const struct x86_board *board, struct fdt_builder *fdt)
{
	describe_begin_chosen(&board->machine, fdt);
	fdtb_end(fdt);
}

static void aliases_node(struct fdt_builder *fdt)
{
	char path[32];

	snprintf(path, sizeof(path), "/isa@0,0/serial@%x", X86_PORT_UART0);
	describe_serial_alias(path, fdt);
}

static void cpu_nodes(const struct x86_board *board, struct fdt_builder *fdt)
{
	unsigned i;

	fdtb_begin(fdt, "cpus");
	fdtb_u32(fdt, "#address-cells", 1);
	fdtb_u32(fdt, "#size-cells", 0);
	for (i = 0; i < board->cpus; i++) {
		uint32_t apic_id = (uint32_t)arch_vcpu_id(i);

		fdtb_begin(fdt, "cpu@%x", apic_id);
		fdtb_text(fdt, "device_type", "cpu");
		fdtb_text(fdt, "compatible", "sarang,x86-64");
		fdtb_u32(fdt, "reg", apic_id);
		fdtb_end(fdt);
	}
	fdtb_end(fdt);
}

static void lapic_node(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "lapic@%x", X86_LAPIC_BASE);
	fdtb_text(fdt, "compatible", "intel,ce4100-lapic");
	fdtb_reg(fdt, X86_LAPIC_BASE, X86_APIC_LEN);
	/* How LINT0 and LINT1 are set up at entry: registers.c. */
	fdtb_flag(fdt, "intel,virtual-wire-mode");
	fdtb_end(fdt);
}

static void ioapic_node(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "interrupt-controller@%x", X86_IOAPIC_BASE);
	fdtb_text(fdt, "compatible", "intel,ce4100-ioapic");
	fdtb_reg(fdt, X86_IOAPIC_BASE, X86_APIC_LEN);
	fdtb_flag(fdt, "interrupt-controller");
	fdtb_u32(fdt, "#address-cells", 0);
	fdtb_u32(fdt, "#interrupt-cells", 2);
	fdtb_own_phandle(fdt, IOAPIC_LABEL);
	fdtb_end(fdt);
}

/* Ports are a bus of their own, as on a PC. */
static int port_nodes(const struct x86_board *board, struct fdt_builder *fdt, struct err *e)
{
	int ret;

	fdtb_begin_isa(fdt);
	ret = describe_devices(&board->machine, BUS_PIO, fdt, e);
	fdtb_end(fdt);
	return ret;
}

static int write_tree(const struct x86_board *board, struct fdt_builder *fdt, struct err *e)
{
	int ret;

	fdtb_u32(fdt, "#address-cells", 2);
	fdtb_u32(fdt, "#size-cells", 2);
	fdtb_text(fdt, "compatible", "sarang,microvm");
	fdtb_text(fdt, "model", "sarang,microvm");
	fdtb_u32(fdt, "interrupt-parent", fdtb_phandle(fdt, IOAPIC_LABEL));
	chosen_node(board, fdt);
	aliases_node(fdt);
	describe_memory(&board->machine, fdt);
	cpu_nodes(board, fdt);
	lapic_node(fdt);
	ioapic_node(fdt);
	ret = port_nodes(board, fdt, e);
	return ret ? ret : describe_devices(&board->machine, BUS_MMIO, fdt, e);
}

int x86_tree_build(const struct x86_board *board, struct fdt_builder **out, const void **blob,
		   size_t *len, struct err *e)
{
	struct fdt_builder *fdt;
	int ret = fdtb_new(FDT_IRQ_IOAPIC, &fdt, e);

	if (ret < 0)
		return ret;
	ret = describe_end(fdt, write_tree(board, fdt, e), blob, len, e);
	if (!ret)
		*out = fdt;
	return ret;
}
