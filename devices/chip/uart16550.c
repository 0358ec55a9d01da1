/*
 * The 16550A serial port: its registers (uart16550_regs.h) on a serial port (serial.h), which has
 * the lock and says what runs on which thread. See uart16550.h.
 */
#include "chip/uart16550.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chip/serial.h"
#include "chip/uart16550_regs.h"
#include "tables/aml.h"
#include "tables/fdt.h"

/* A PC's: divisor 1 is 115200 baud. */
#define UART_CLOCK_HZ 1843200

struct uart {
	struct serial_port port;
	struct uart_regs regs;
};

static uint32_t regs_read(void *regs, uint64_t offset)
{
	return uart_regs_read(regs, (unsigned)offset);
}

static void regs_write(void *regs, uint64_t offset, uint32_t value)
{
	uart_regs_write(regs, (unsigned)offset, (uint8_t)value);
}

static bool regs_interrupt(const void *regs)
{
	return uart_regs_interrupt(regs);
}

static size_t regs_room(const void *regs)
{
	return uart_regs_room(regs);
}

static bool regs_want_more(const void *regs)
{
	return uart_regs_room(regs) > 0;
}

static void regs_receive(void *regs, const uint8_t *bytes, size_t len)
{
	uart_regs_receive(regs, bytes, len);
}

static void regs_receive_break(void *regs)
{
	uart_regs_break(regs);
}

static size_t regs_transmitted(const void *opaque, const uint8_t **bytes)
{
	const struct uart_regs *regs = opaque;

	*bytes = regs->tx;
	return regs->tx_len;
}

static void regs_sent(void *regs, size_t len)
{
	uart_regs_sent(regs, len);
}

static void regs_power_on(void *regs)
{
	memset(regs, 0, sizeof(struct uart_regs));
}

static const struct serial_model uart_model = {
	.read = regs_read,
	.write = regs_write,
	.interrupt = regs_interrupt,
	.room = regs_room,
	.wants_more = regs_want_more,
	.receive = regs_receive,
	.receive_break = regs_receive_break,
	.transmitted = regs_transmitted,
	.sent = regs_sent,
	.power_on = regs_power_on,
};

static uint64_t uart_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)size;
	return serial_read(opaque, offset);
}

static void uart_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)size;
	serial_write(opaque, offset, (uint32_t)value);
}

static void uart_describe_acpi(const struct device *dev, struct aml *aml)
{
	aml_begin_scope(aml, "\\_SB");
	aml_begin_device(aml, "COM1");
	aml_name_eisaid(aml, "_HID", "PNP0501");
	aml_name_int(aml, "_UID", 0);
	aml_name_int(aml, "_STA", 0xf);
	aml_begin_crs(aml);
	aml_res_io(aml, (uint16_t)dev->place.base[0], UART16550_REGION_LEN);
	aml_res_irq(aml, dev->place.irq->gsi, AML_IRQ_EDGE);
	aml_end(aml);
	aml_end(aml);
	aml_end(aml);
}

/* Linux: Documentation/devicetree/bindings/serial/8250.yaml */
static int uart_describe_fdt(const struct device *dev, struct fdt_builder *fdt)
{
	fdtb_begin(fdt, "serial@%llx", (unsigned long long)dev->place.base[0]);
	fdtb_text(fdt, "compatible", "ns16550a");
	fdtb_ports(fdt, (uint32_t)dev->place.base[0], UART16550_REGION_LEN);
	fdtb_u32(fdt, "clock-frequency", UART_CLOCK_HZ);
	fdtb_interrupt(fdt, dev->place.irq->gsi, FDT_EDGE_RISING);
	fdtb_end(fdt);
	return fdtb_error(fdt);
}

static void uart_destroy(struct device *dev)
{
	serial_fini((struct serial_port *)dev);
	free(dev);
}

static const struct bus_region_ops uart_ops = {
	.read = uart_read,
	.write = uart_write,
	.sizes = 1,
};

static const struct device_class uart_class = {
	.name = "uart16550",
	.region_count = 1,
	.regions = {{.space = BUS_PIO, .len = UART16550_REGION_LEN, .ops = &uart_ops}},
	.start = serial_start,
	.stop = serial_stop,
	.reset = serial_reset,
	.describe_acpi = uart_describe_acpi,
	.describe_fdt = uart_describe_fdt,
	.destroy = uart_destroy,
};

int uart16550_new(const struct device_env *env, const struct device_place *place,
		  const struct uart16550_settings *settings, struct device **out, struct err *e)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return err_set(e, ENOMEM, "out of memory");
	device_init(&uart->port.dev, &uart_class, env, place, settings->id);
	serial_init(&uart->port, &uart_model, &uart->regs, settings->chr, "16550A");
	*out = &uart->port.dev;
	return 0;
}
