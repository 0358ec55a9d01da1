/*
 * The device tree of an aarch64 machine: see tree.h.
 *
 * Linux: Documentation/devicetree/bindings, in arm/cpus.yaml, arm/psci.yaml,
 * timer/arm,arch_timer.yaml, interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml; dt-schema's
 * chosen.yaml.
 */
#include "tree.h"

#include <stdio.h>

#include "layout.h"

#define GIC_LABEL   "intc"
#define ITS_LABEL   "its"
#define CLOCK_LABEL "apb-pclk" /* as the PL0xx chips call it */

#define IRQ_PPI        1
#define IRQ_LEVEL_HIGH 4

/* MPIDR_EL1's affinity fields below Aff3, which KVM leaves zero. */
#define MPIDR_AFFINITY 0x00ffffff

static void chosen_node(const struct arm64_board *board, struct fdt_builder *fdt)
{
	describe_begin_chosen(&board->machine, fdt);
	fdtb_u64(fdt, "kaslr-seed", board->kaslr_seed);
	fdtb_bytes(fdt, "rng-seed", board->rng_seed, sizeof(board->rng_seed));
	fdtb_end(fdt);
}

static void aliases_node(struct fdt_builder *fdt)
{
	char path[32];

	snprintf(path, sizeof(path), "/pl011@%x", ARM64_UART0_BASE);
	describe_serial_alias(path, fdt);
}

static void cpu_nodes(const struct arm64_board *board, struct fdt_builder *fdt)
{
	unsigned i;

	fdtb_begin(fdt, "cpus");
	fdtb_u32(fdt, "#address-cells", 1);
	fdtb_u32(fdt, "#size-cells", 0);
	for (i = 0; i < board->cpus; i++) {
		uint32_t affinity = (uint32_t)board->mpidrs[i] & MPIDR_AFFINITY;

		fdtb_begin(fdt, "cpu@%x", affinity);
		fdtb_text(fdt, "device_type", "cpu");
		fdtb_text(fdt, "compatible", "arm,armv8");
		fdtb_u32(fdt, "reg", affinity);
		fdtb_text(fdt, "enable-method", "psci");
		fdtb_end(fdt);
	}
	fdtb_end(fdt);
}

static void psci_node(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "psci");
	fdtb_texts(fdt, "compatible", "arm,psci-1.0\0arm,psci-0.2");
	fdtb_text(fdt, "method", "hvc");
	fdtb_end(fdt);
}

static void timer_node(const struct arm64_board *board, struct fdt_builder *fdt)
{
	uint32_t flags = IRQ_LEVEL_HIGH;

	/* In version 2 the flags also say which processors a private interrupt goes to. */
	if (board->gic_version == 2)
		flags |= ((1u << board->cpus) - 1) << 8;
	fdtb_begin(fdt, "timer");
	fdtb_text(fdt, "compatible", "arm,armv8-timer");
	fdtb_flag(fdt, "always-on");
	FDTB_CELLS(fdt, "interrupts", IRQ_PPI, ARM64_PPI_TIMER_SECURE, flags, IRQ_PPI,
		   ARM64_PPI_TIMER_NONSECURE, flags, IRQ_PPI, ARM64_PPI_TIMER_VIRTUAL, flags,
		   IRQ_PPI, ARM64_PPI_TIMER_HYP, flags);
	fdtb_end(fdt);
}

static void gic_v2_windows(struct fdt_builder *fdt)
{
	const struct fdt_window windows[] = {
		{ARM64_GICD_BASE, ARM64_GICD_LEN},
		{ARM64_GICC_BASE, ARM64_GICC_LEN},
	};

	fdtb_text(fdt, "compatible", "arm,cortex-a15-gic");
	fdtb_windows(fdt, windows, ARRAY_SIZE(windows));
}

static void gic_v3_windows(const struct arm64_board *board, struct fdt_builder *fdt)
{
	struct fdt_window windows[1 + ARM64_REDIST_REGIONS_MAX] = {
		{ARM64_GICD_BASE, ARM64_GICD_LEN},
	};
	unsigned i;

	fdtb_text(fdt, "compatible", "arm,gic-v3");
	for (i = 0; i < board->redist_count; i++)
		windows[1 + i] = board->redists[i];
	fdtb_windows(fdt, windows, 1 + board->redist_count);
	fdtb_u32(fdt, "#redistributor-regions", board->redist_count);
}

static void its_node(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "msi-controller@%x", ARM64_ITS_BASE);
	fdtb_text(fdt, "compatible", "arm,gic-v3-its");
	fdtb_flag(fdt, "msi-controller");
	fdtb_u32(fdt, "#msi-cells", 1);
	fdtb_reg(fdt, ARM64_ITS_BASE, ARM64_ITS_LEN);
	fdtb_own_phandle(fdt, ITS_LABEL);
	fdtb_end(fdt);
}

static void gic_node(const struct arm64_board *board, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "interrupt-controller@%x", ARM64_GICD_BASE);
	if (board->gic_version == 2)
		gic_v2_windows(fdt);
	else
		gic_v3_windows(board, fdt);
	fdtb_flag(fdt, "interrupt-controller");
	fdtb_u32(fdt, "#interrupt-cells", 3);
	fdtb_own_phandle(fdt, GIC_LABEL);
	fdtb_u32(fdt, "#address-cells", 2);
	fdtb_u32(fdt, "#size-cells", 2);
	fdtb_flag(fdt, "ranges");
	if (board->has_its)
		its_node(fdt);
	fdtb_end(fdt);
}

/* The PrimeCell chips want a clock that they can ask for its rate. */
static void clock_node(struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "apb-pclk");
	fdtb_text(fdt, "compatible", "fixed-clock");
	fdtb_u32(fdt, "#clock-cells", 0);
	fdtb_u32(fdt, "clock-frequency", 24000000);
	fdtb_text(fdt, "clock-output-names", "clk24mhz");
	fdtb_own_phandle(fdt, CLOCK_LABEL);
	fdtb_end(fdt);
}

static int write_tree(const struct arm64_board *board, struct fdt_builder *fdt, struct err *e)
{
	fdtb_u32(fdt, "#address-cells", 2);
	fdtb_u32(fdt, "#size-cells", 2);
	fdtb_texts(fdt, "compatible", "sarang,virt\0linux,dummy-virt");
	fdtb_text(fdt, "model", "sarang,virt");
	fdtb_u32(fdt, "interrupt-parent", fdtb_phandle(fdt, GIC_LABEL));
	chosen_node(board, fdt);
	aliases_node(fdt);
	describe_memory(&board->machine, fdt);
	cpu_nodes(board, fdt);
	psci_node(fdt);
	timer_node(board, fdt);
	gic_node(board, fdt);
	clock_node(fdt);
	return describe_devices(&board->machine, BUS_MMIO, fdt, e);
}

int arm64_tree_build(const struct arm64_board *board, struct fdt_builder **out, const void **blob,
		     size_t *len, struct err *e)
{
	struct fdt_builder *fdt;
	int ret = fdtb_new(FDT_IRQ_GIC, &fdt, e);

	if (ret < 0)
		return ret;
	ret = describe_end(fdt, write_tree(board, fdt, e), blob, len, e);
	if (!ret)
		*out = fdt;
	return ret;
}
