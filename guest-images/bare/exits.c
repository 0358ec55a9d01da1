/*
 * exits: what it costs to leave the guest from CPL 3, averaged over many.
 *
 *   pio            reading the UART's scratch register: an exit to the VMM's user space and back
 *   mmio           reading a virtio-mmio device's MagicValue: the same through the instruction
 * emulator doorbell       writing QueueNotify of a live queue with nothing in it: an ioeventfd
 * answers it in the kernel, if the VMM has registered one
 *
 *   count=N        of each; default 10,000
 *   device=ADDRESS the virtio-mmio device for mmio and doorbell; default: the first block device.
 * Without one only pio is measured.
 */
#include "common/virtio.h"

enum { UART_SCRATCH = PORT_UART + 7 };

static void print_cost(const char *what, uint64_t count, uint64_t elapsed)
{
	uint64_t ns = ticks_to_ns(elapsed);

	print("exits: what=%s count=%lu ns=%lu ticks=%lu tsc_khz=%lu ns_each=%lu\n", what, count,
	      ns, elapsed, tsc_khz(), ns / count);
}

void guest_main(const struct start_info *start)
{
	uint64_t count = option_u64("count", 10000);
	uint64_t device = option_u64("device", 0);
	struct virtio v;
	uint64_t begin;

	(void)start;
	if (!count)
		panic("option count= takes a number above 0");
	begin = ticks();
	for (uint64_t i = 0; i < count; i++)
		in8(UART_SCRATCH);
	print_cost("pio", count, ticks() - begin);

	if (!device)
		device = virtio_find(VIRTIO_ID_BLOCK);
	if (!device)
		return;
	virtio_start(&v, device, 0);
	begin = ticks();
	for (uint64_t i = 0; i < count; i++)
		mmio_read32(device + VIRTIO_MMIO_MAGIC);
	print_cost("mmio", count, ticks() - begin);

	begin = ticks();
	for (uint64_t i = 0; i < count; i++)
		mmio_write32(device + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	print_cost("doorbell", count, ticks() - begin);
}
