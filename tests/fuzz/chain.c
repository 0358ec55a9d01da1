/*
 * libFuzzer target: whatever lies in a queue's rings and tables, what virtq_pop lends is inside
 * guest memory, within its bounds and lent once.
 *
 * Input: byte 0 flags, byte 1 log2 of the queue's size, byte 2 how often the driver offers; the
 * rest is guest memory from the descriptor table on. All addresses a byte or two can name lie in or
 * next to RAM.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/queue.h"

#define RAM_BYTES 0x10000
#define SIZE_MAX_ 64
#define DESC      0x0000
#define AVAIL     0x0800
#define USED      0xf000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct gmem *mem;
static struct virtq q;

static void set_up(void)
{
	if (mem)
		return;
	if (gmem_new(&mem, NULL) || gmem_add(mem, 0, RAM_BYTES / 2, NULL) ||
	    gmem_add(mem, RAM_BYTES / 2, RAM_BYTES / 2, NULL) || virtq_init(&q, SIZE_MAX_, NULL))
		abort();
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool in_ram(const struct iovec *v)
{
	size_t i;

	for (i = 0; i < gmem_range_count(mem); i++) {
		const struct gmem_range *r = gmem_range_at(mem, i);
		const char *p = v->iov_base;

		if (p >= r->host && p < r->host + r->size_bytes &&
		    v->iov_len <= (size_t)(r->host + r->size_bytes - p))
			return true;
	}
	return false;
}

/* What every borrower relies on. */
static void check_chain(const struct virtq_chain *chain)
{
	uint64_t out = 0, in = 0;
	int i;

	must(chain->head < q.source.size && chain->slot < q.size_max);
	must(chain->out_count >= 0 && chain->in_count >= 0);
	must(chain->out_count + chain->in_count <= q.iov_max);
	for (i = 0; i < chain->out_count + chain->in_count; i++) {
		must(chain->iov[i].iov_len && in_ram(&chain->iov[i]));
		*(i < chain->out_count ? &out : &in) += chain->iov[i].iov_len;
	}
	must(out == chain->out_bytes && in == chain->in_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct virtq_config config = {.desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED};
	struct virtq_chain *chain, *loan[SIZE_MAX_];
	unsigned held = 0, rounds;

	set_up();
	if (len < 3)
		return 0;
	config.size = (uint16_t)(1u << (data[1] % 7));
	gmem_zero(mem, 0, RAM_BYTES);
	must(!gmem_write(mem, 0, data + 3, len - 3 < RAM_BYTES ? len - 3 : RAM_BYTES));
	must(!virtq_open(&q, mem, &config, data[0] & 3));
	for (rounds = data[2]; rounds; rounds--) {
		while (virtq_pop(&q, &chain) == 1) {
			must(held < config.size);
			check_chain(chain);
			loan[held++] = chain;
			if (data[0] & 4)
				break;
		}
		must(q.in_flight == held);
		virtq_notify_enable(&q);
		while (held && !(held == 1 && (data[0] & 8)))
			virtq_push(&q, loan[--held], 1);
		virtq_publish(&q);
	}
	virtq_close(&q);
	return 0;
}
