/*
 * The virtio-mmio transport, version 2: virtio 1.2, section 4.2.
 *
 * A register file of 256 bytes, accessed 32 bits at a time, and the device's configuration space
 * behind it, accessed in any size. Two registers are on the data path and take no lock:
 * InterruptStatus is an atomic, and a write to QueueNotify, where KVM does not catch it as a
 * doorbell, signals the same eventfd that KVM would. Everything else is the driver's set-up and
 * goes through virtio.h.
 *
 * The interrupt is an edge: the cause is set in InterruptStatus first, then the line is pulsed. A
 * driver that acknowledges the cause before it looks at the used ring misses nothing.
 *
 * Runs on vCPU threads; doorbells() and pulse() also on the device's.
 */
#include "virtio/mmio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "tables/aml.h"
#include "tables/fdt.h"

struct virtio_mmio {
	struct device dev;
	struct virtio_device *vd;
	/* Selectors: one driver at a time makes sense of them, but nothing breaks when two try. */
	_Atomic uint32_t device_features_sel;
	_Atomic uint32_t driver_features_sel;
	_Atomic uint32_t queue_sel;
	unsigned doorbells; /* bit per queue: KVM catches its notifications; under vd->change */
};

_Static_assert(VIRTIO_QUEUES_MAX <= 32, "a bit for each queue");

static struct virtio_mmio *from_device(const struct device *dev)
{
	return container_of(dev, struct virtio_mmio, dev);
}

static uint32_t reg_read(struct virtio_mmio *m, uint64_t reg)
{
	struct virtio_device *vd = m->vd;

	switch (reg) {
	case VIRTIO_MMIO_MAGIC:
		return VIRTIO_MMIO_MAGIC_VALUE;
	case VIRTIO_MMIO_VERSION:
		return VIRTIO_MMIO_VERSION_VALUE;
	case VIRTIO_MMIO_DEVICE_ID:
		return vd->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VIRTIO_MMIO_VENDOR_VALUE;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_device_features(vd, m->device_features_sel);
	case VIRTIO_MMIO_QUEUE_SIZE_MAX:
		return virtio_queue_size_max(vd, m->queue_sel);
	case VIRTIO_MMIO_QUEUE_READY:
		return virtio_queue_ready(vd, m->queue_sel);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return atomic_load(&vd->isr) | atomic_load(&vd->isr_elsewhere);
	case VIRTIO_MMIO_STATUS:
		return virtio_status(vd);
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		/* There are no shared memory regions: the length of each is -1 (4.2.2). */
		return UINT32_MAX;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return atomic_load(&vd->generation);
	default:
		/* Write-only registers, reserved ones, and QueueReset, which is not offered. */
		return 0;
	}
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
	struct virtio_mmio *m = from_device(opaque);

	if (offset >= VIRTIO_MMIO_CONFIG)
		return virtio_config_read(m->vd, offset - VIRTIO_MMIO_CONFIG, size);
	if (size != 4 || offset % 4)
		return UINT64_MAX;
	return reg_read(m, offset);
}

/* Registers that configure the selected queue. */
static void queue_reg_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
	enum virtio_queue_field field;

	switch (reg) {
	case VIRTIO_MMIO_QUEUE_READY:
		virtio_queue_set_ready(m->vd, m->queue_sel, value & 1);
		return;
	case VIRTIO_MMIO_QUEUE_SIZE:
		field = VIRTIO_QUEUE_SIZE;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		field = VIRTIO_QUEUE_DESC_LOW;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		field = VIRTIO_QUEUE_DESC_HIGH;
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
		field = VIRTIO_QUEUE_AVAIL_LOW;
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
		field = VIRTIO_QUEUE_AVAIL_HIGH;
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
		field = VIRTIO_QUEUE_USED_LOW;
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
		field = VIRTIO_QUEUE_USED_HIGH;
		break;
	default:
		/* Read-only and reserved registers, and those of features that are not offered. */
		return;
	}
	virtio_queue_set(m->vd, m->queue_sel, field, value);
}

static void reg_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
	struct virtio_device *vd = m->vd;

	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		m->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_accept_features(vd, m->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		m->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		m->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_ring(vd, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&vd->isr, ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		/* The register has 8 bits that mean anything; 0x100 is not a reset. */
		if (!value || (value & 0xff))
			virtio_set_status(vd, (uint8_t)value);
		break;
	default:
		queue_reg_write(m, reg, value);
	}
}

static void mmio_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_mmio *m = from_device(opaque);

	/* No device here has a configuration field that a driver may write. */
	if (offset < VIRTIO_MMIO_CONFIG && size == 4 && offset % 4 == 0)
		reg_write(m, offset, (uint32_t)value);
}

static const struct bus_region_ops mmio_region_ops = {
	.read = mmio_read,
	.write = mmio_write,
	.sizes = 1 | 2 | 4 | 8,
};

/* ---- what the device above asks for ---- */

static void mmio_pulse(struct virtio_device *vd)
{
	struct virtio_mmio *m = vd->transport_opaque;

	irq_pulse(m->dev.place.irq);
}

static int mmio_call_fd(struct virtio_device *vd)
{
	struct virtio_mmio *m = vd->transport_opaque;

	return irq_fd(m->dev.place.irq);
}

static struct doorbell doorbell_of(const struct virtio_mmio *m, unsigned queue)
{
	return (struct doorbell){
		.space = BUS_MMIO,
		.addr = m->dev.place.base[0] + VIRTIO_MMIO_QUEUE_NOTIFY,
		.size = 4,
		.match = queue,
		.fd = m->vd->queues[queue].bell.fd,
	};
}

static void mmio_doorbells(struct virtio_device *vd, bool on)
{
	struct virtio_mmio *m = vd->transport_opaque;
	unsigned i;

	for (i = 0; i < vd->queue_count; i++) {
		struct doorbell bell = doorbell_of(m, i);
		unsigned bit = 1u << i;

		if (!on && (m->doorbells & bit)) {
			bus_doorbell_remove(vd->env->bus, &bell);
			m->doorbells &= ~bit;
		} else if (on && vd->ops->doorbells && !(m->doorbells & bit) &&
			   virtio_queue_ready(vd, i)) {
			/* Refused for whatever reason, notifications come as writes instead. */
			if (bus_doorbell_add(vd->env->bus, &bell) == 0)
				m->doorbells |= bit;
		}
	}
}

static const struct virtio_transport mmio_transport = {
	.pulse = mmio_pulse,
	.call_fd = mmio_call_fd,
	.doorbells = mmio_doorbells,
};

/* ---- the device class ---- */

static int mmio_start(struct device *dev, struct err *e)
{
	return virtio_start(from_device(dev)->vd, e);
}

static void mmio_stop(struct device *dev)
{
	virtio_stop(from_device(dev)->vd);
}

static void mmio_reset(struct device *dev)
{
	struct virtio_mmio *m = from_device(dev);

	virtio_reset(m->vd);
	m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
}

static void mmio_retry(struct device *dev)
{
	struct virtio_device *vd = from_device(dev)->vd;

	if (vd->ops->retry)
		vd->ops->retry(vd);
}

/* Device(VRnn): what the kernel's virtio-mmio driver binds to without CONFIG_OF. */
static void mmio_describe_acpi(const struct device *dev, struct aml *aml)
{
	unsigned slot = (unsigned)(dev->place.base[0] / VIRTIO_MMIO_LEN) & 0xff;
	char name[5];

	snprintf(name, sizeof(name), "VR%02X", slot);
	aml_begin_device(aml, name);
	aml_name_string(aml, "_HID", "LNRO0005");
	aml_name_int(aml, "_UID", slot);
	/* DMA is cache-coherent. */
	aml_name_int(aml, "_CCA", 1);
	aml_begin_crs(aml);
	aml_res_memory32(aml, (uint32_t)dev->place.base[0], VIRTIO_MMIO_LEN, true);
	aml_res_irq(aml, dev->place.irq->gsi, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
}

/* Linux: Documentation/devicetree/bindings/virtio/mmio.yaml */
static int mmio_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "virtio_mmio@%llx", (unsigned long long)dev->place.base[0]);
	fdtb_text(fdt, "compatible", "virtio,mmio");
	fdtb_reg(fdt, dev->place.base[0], VIRTIO_MMIO_LEN);
	fdtb_interrupt(fdt, dev->place.irq->gsi, FDT_EDGE_RISING);
	fdtb_flag(fdt, "dma-coherent");
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void mmio_destroy(struct device *dev)
{
	struct virtio_mmio *m = from_device(dev);

	virtio_stop(m->vd);
	m->vd->ops->destroy(m->vd);
	free(m);
}

static const struct device_class mmio_class = {
	.name = "virtio-mmio",
	.region_count = 1,
	.regions = {{.space = BUS_MMIO, .len = VIRTIO_MMIO_LEN, .ops = &mmio_region_ops}},
	.start = mmio_start,
	.stop = mmio_stop,
	.reset = mmio_reset,
	.retry = mmio_retry,
	.describe_acpi = mmio_describe_acpi,
	.describe_fdt = mmio_describe_fdt,
	.destroy = mmio_destroy,
};

int virtio_mmio_new(const struct device_place *place, struct virtio_device *vd, const char *detail,
		    struct device **out, struct err *e)
{
	struct virtio_mmio *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&m->dev, &mmio_class, vd->env, place, vd->id);
	snprintf(m->dev.detail, sizeof(m->dev.detail), "%s", detail);
	m->vd = vd;
	vd->transport = &mmio_transport;
	vd->transport_opaque = m;
	*out = &m->dev;
	return 0;
}

int virtio_mmio_where(const struct device *dev, struct virtio_mmio_where *where)
{
	if (dev->class != &mmio_class)
		return -EINVAL;
	*where = (struct virtio_mmio_where){
		.base = dev->place.base[0],
		.len = VIRTIO_MMIO_LEN,
		.gsi = dev->place.irq->gsi,
	};
	return 0;
}
