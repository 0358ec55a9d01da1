/*
 * libFuzzer target: a card whose driver offers any chains on any queue with any bytes in them,
 * while frames of any length arrive, the back-end is busy now and then, and the driver resets.
 * Whatever came before, after a reset a frame goes out and one comes in.
 *
 * Input: byte 0 chooses the features; then operations of 8 bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/virtio/driver.h"
#include "../unit/virtio/fake_net.h"
#include "base/bytes.h"
#include "base/log.h"
#include "virtio/net.h"

#define OP_BYTES 8
#define OPS_MAX  200
#define DATA     0x8000 /* behind the rings */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bed {
	struct guest g;
	struct fake_net *fake;
	uint64_t features;
};

static void bring_up(struct bed *bed)
{
	bed->g.brk = 0x1000;
	guest_bring_up(&bed->g, bed->features, 3, 16);
	guest_run(&bed->g);
}

static void init(struct bed *bed, uint8_t choice)
{
	const struct net_info info = {.offloads = choice & 1 ? 0x3f : 0, .mtu_bytes = 1500};
	struct virtio_net_settings settings = {.id = "net0", .mac = {2}, .pairs = 1};
	struct device *dev;

	guest_init(&bed->g);
	bed->fake = fake_net_new(bed->g.loop, &info);
	settings.net = &bed->fake->net;
	settings.nap_max_ns = choice & 8 ? 1000000 : 0;
	if (virtio_net_new(&bed->g.env, &bed->g.place, &settings, &dev, NULL) < 0)
		abort();
	guest_plug(&bed->g, dev);
	guest_set_reg(&bed->g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	bed->features = guest_reg(&bed->g, VIRTIO_MMIO_DEVICE_FEATURES);
	if (choice & 2)
		bed->features &= ~(1ull << VIRTIO_NET_F_MRG_RXBUF);
	if (choice & 4)
		bed->features &= ~(1ull << VIRTIO_F_EVENT_IDX);
	bring_up(bed);
}

/* A descriptor that makes sense now and then, offered as the head of a chain or not. */
static void offer(struct bed *bed, const uint8_t *op)
{
	struct virtq_desc d = {
		.addr = DATA + (uint64_t)op[3] * 64,
		.len = op[4] & 0x80 ? (uint32_t)(op[4] & 0x7f) * 512 : op[4],
		.flags = op[5] & 7,
		.next = op[6] % 17,
	};
	unsigned queue = op[1] % 3;

	guest_desc(&bed->g, queue, op[2] % 16, d);
	if (op[7] & 1)
		guest_offer(&bed->g, queue, op[2] % 16);
	if (op[7] & 2)
		guest_kick(&bed->g, queue);
}

static void run_op(struct bed *bed, const uint8_t *op)
{
	static const uint8_t frame[NET_FRAME_MAX];
	struct net_header header;

	switch (op[0] % 8) {
	case 0:
		memcpy(&header, op + 1, 7);
		header.csum_offset = header.num_buffers = 0x5a5a;
		(void)fake_net_receive(bed->fake, frame,
				       14 + get_le16(op + 1) % (NET_FRAME_MAX - 13), &header);
		break;
	case 1:
		bed->fake->busy = op[1] & 1;
		if (!bed->fake->busy)
			net_tx_ready(&bed->fake->net);
		break;
	case 2:
		(void)gmem_write(bed->g.mem, DATA + (uint64_t)op[1] * 64 + op[2] % 16, op + 3, 5);
		break;
	case 3:
		net_link_changed(&bed->fake->net, op[1] & 1);
		break;
	case 4:
		if (op[1] == 0)
			bring_up(bed);
		break;
	default:
		offer(bed, op);
	}
	guest_run(&bed->g);
}

/* After a reset all is well again. */
static void check_alive(struct bed *bed)
{
	static const uint8_t frame[60];
	uint64_t gpa;
	uint32_t len;

	bed->fake->busy = false;
	bring_up(bed);
	gpa = guest_alloc(&bed->g, 4096, 16);
	memset(guest_at(&bed->g, gpa, 4096), 0, 4096);
	guest_add(&bed->g, 0, (struct guest_buf[]){{gpa, 2048, true}}, 1);
	guest_add(&bed->g, 1, (struct guest_buf[]){{gpa + 2048, 72, false}}, 1);
	guest_kick(&bed->g, 0);
	guest_kick(&bed->g, 1);
	guest_run(&bed->g);
	if (guest_reap(&bed->g, 1, &len) < 0 || bed->fake->stalled ||
	    !fake_net_receive(bed->fake, frame, sizeof(frame), NULL) ||
	    guest_reap(&bed->g, 0, &len) < 0 || len != 72)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bed bed = {0};
	size_t i;

	if (!len)
		return 0;
	log_set_level(LOG_ERROR);
	init(&bed, data[0]);
	for (i = 0; i < OPS_MAX && 1 + (i + 1) * OP_BYTES <= len; i++)
		run_op(&bed, data + 1 + i * OP_BYTES);
	check_alive(&bed);
	guest_free(&bed.g);
	return 0;
}
