/*
 * The interrupt controller of an aarch64 machine: KVM's GICv3 with its ITS, or GICv2.
 * Linux: Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic.rst and arm-vgic-its.rst.
 *
 * A redistributor belongs to each vCPU. virt has room for 123 of them below its devices; those of
 * further vCPUs lie at the end of the guest's physical addresses.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "arm64.h"
#include "base/fd.h"
#include "base/log.h"
#include "layout.h"

#define GICV2_CPUS_MAX 8

static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &request) < 0 ? -errno : 0;
}

static int create_device(struct kvm_vm *kvm, uint32_t type, int *fd)
{
	struct kvm_create_device request = {.type = type};
	int ret = kvm_vm_ioctl(kvm, KVM_CREATE_DEVICE, &request);

	if (ret >= 0)
		*fd = (int)request.fd;
	return ret;
}

static int set_address(int fd, uint64_t attr, uint64_t address, const char *what, struct err *e)
{
	int ret = set_attr(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, attr, &address);

	if (ret < 0)
		return err_errno(e, -ret, "KVM refuses the %s at 0x%llx", what,
				 (unsigned long long)address);
	return 0;
}

static void plan_redists(struct arm64_gic *gic, unsigned cpus, unsigned ipa_bits)
{
	unsigned first = MIN(cpus, ARM64_GICR_MAX);
	uint64_t high = (uint64_t)(cpus - first) * ARM64_GICR_STEP;

	gic->redists[0].base = ARM64_GICR_BASE;
	gic->redists[0].len = (uint64_t)first * ARM64_GICR_STEP;
	gic->redist_count = 1;
	if (!high)
		return;
	gic->redists[1].base = (1ull << ipa_bits) - high;
	gic->redists[1].len = high;
	gic->redist_count = 2;
}

/* The value of KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: base, and in the bits a base leaves free, */
static uint64_t redist_region(const struct fdt_window *window, unsigned index)
{
	uint64_t count = window->len / ARM64_GICR_STEP; /* ... how many, */

	return window->base | count << 52 | index; /* ... and which region this is. */
}

static int set_up_v3(struct arm64_gic *gic, struct err *e)
{
	unsigned i;
	int ret = set_address(gic->fd, KVM_VGIC_V3_ADDR_TYPE_DIST, ARM64_GICD_BASE,
			      "interrupt distributor", e);

	for (i = 0; i < gic->redist_count && !ret; i++)
		ret = set_address(gic->fd, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
				  redist_region(&gic->redists[i], i), "redistributors", e);
	return ret;
}

static int set_up_v2(struct arm64_gic *gic, unsigned cpus, struct err *e)
{
	int ret;

	if (cpus > GICV2_CPUS_MAX)
		return err_set(
			e, EINVAL,
			"--cpus %u: this host has a GICv2 interrupt controller, with which a "
			"guest has at most %d",
			cpus, GICV2_CPUS_MAX);
	ret = set_address(gic->fd, KVM_VGIC_V2_ADDR_TYPE_DIST, ARM64_GICD_BASE,
			  "interrupt distributor", e);
	if (!ret)
		ret = set_address(gic->fd, KVM_VGIC_V2_ADDR_TYPE_CPU, ARM64_GICC_BASE,
				  "interrupt controller's CPU interface", e);
	return ret;
}

int arm64_gic_new(struct arm64_gic *gic, struct kvm_vm *kvm, unsigned cpus, unsigned ipa_bits,
		  struct err *e)
{
	uint32_t irqs = ARM64_GIC_IRQS;
	int ret;

	gic->fd = gic->its_fd = -1;
	gic->version = 3;
	if (create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V3, &gic->fd) < 0) {
		gic->version = 2;
		ret = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V2, &gic->fd);
		if (ret < 0)
			return err_errno(e, -ret,
					 "KVM can make neither a GICv3 nor a GICv2 interrupt "
					 "controller on this host");
	}
	if (gic->version == 3) {
		plan_redists(gic, cpus, ipa_bits);
		ret = set_up_v3(gic, e);
	} else {
		ret = set_up_v2(gic, cpus, e);
	}
	if (ret < 0)
		return ret;
	ret = set_attr(gic->fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);
	return ret < 0 ? err_errno(e, -ret, "KVM refuses %u interrupts", irqs) : 0;
}

/* Message-signalled interrupts. A machine does without them where KVM has none. */
static int add_its(struct arm64_gic *gic, struct kvm_vm *kvm, struct err *e)
{
	int ret = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS, &gic->its_fd);

	if (ret < 0) {
		log_debug("this host's KVM has no ITS: error %d", -ret);
		return 0;
	}
	ret = set_address(gic->its_fd, KVM_VGIC_ITS_ADDR_TYPE, ARM64_ITS_BASE,
			  "interrupt translation service", e);
	if (ret < 0)
		return ret;
	ret = set_attr(gic->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return ret < 0 ? err_errno(e, -ret, "KVM cannot start the interrupt translation service")
		       : 0;
}

int arm64_gic_finish(struct arm64_gic *gic, struct kvm_vm *kvm, struct err *e)
{
	int ret = set_attr(gic->fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	if (ret < 0)
		return err_errno(e, -ret, "KVM cannot start the interrupt controller");
	return gic->version == 3 ? add_its(gic, kvm, e) : 0;
}

void arm64_gic_free(struct arm64_gic *gic)
{
	fd_close(&gic->its_fd);
	fd_close(&gic->fd);
}
