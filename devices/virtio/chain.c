/*
 * Descriptor chains: see chain.h. Virtio 1.2, section 2.7.5.
 *
 * Guest memory may change at any instant, so each descriptor is copied exactly once and only the
 * copy is looked at. The walk is bounded by the queue's size whatever the table says: a loop is a
 * chain that is too long. A buffer must be RAM from its first to its last byte; one aimed at a
 * device's registers never gets an address here, so no device can be made to access another (or
 * itself).
 *
 * Runs on the thread that serves the queue.
 */
#include "virtio/chain.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

static const char *const fault_texts[CHAIN_FAULTS] = {
	[CHAIN_FINE] = "no fault",
	[CHAIN_AVAIL_JUMP] = "available index jumped by more than the queue's size",
	[CHAIN_HEAD_RANGE] = "available ring names a descriptor that the queue does not have",
	[CHAIN_HEAD_BUSY] = "available ring names a descriptor that is in use",
	[CHAIN_NEXT_RANGE] = "next points outside the descriptor table",
	[CHAIN_TOO_LONG] = "descriptor chain longer than the queue",
	[CHAIN_ORDER] = "device-readable descriptor after a device-writable one",
	[CHAIN_INDIRECT_OFF] = "indirect descriptor without the feature",
	[CHAIN_INDIRECT_NEXT] = "indirect descriptor with a next one",
	[CHAIN_INDIRECT_NESTED] = "indirect descriptor inside an indirect table",
	[CHAIN_INDIRECT_LEN] = "indirect table with an impossible length",
	[CHAIN_INDIRECT_PLACE] = "indirect table that is not in RAM",
	[CHAIN_OVERFLOW] = "buffer address and length overflow",
	[CHAIN_TOO_BIG] = "descriptor chain of 4 GiB or more",
	[CHAIN_NOT_RAM] = "buffer that is not in RAM",
	[CHAIN_PIECES] = "descriptor chain in too many pieces of RAM",
	[CHAIN_SHORT] = "descriptor chain too short for a request",
};

const char *chain_fault_text(enum chain_fault fault)
{
	return fault_texts[fault];
}

/* A table of descriptors: the queue's own or an indirect one. */
struct table {
	const char *host; /* NULL: @gpa crosses RAM ranges, each descriptor is copied by address */
	uint64_t gpa;
	uint32_t count;
};

struct walk {
	const struct chain_source *source;
	struct virtq_chain *chain;
	struct table table;
	bool nested; /* in an indirect table */
};

/* Copies one descriptor, once: the compiler cannot go back to guest memory behind the barrier. */
static bool fetch(const struct walk *w, uint32_t index, struct virtq_desc *d)
{
	const struct table *t = &w->table;
	struct virtq_desc raw;

	if (t->host)
		memcpy(&raw, t->host + (size_t)index * sizeof(raw), sizeof(raw));
	else if (gmem_read(w->source->mem, t->gpa + (uint64_t)index * sizeof(raw), &raw,
			   sizeof(raw)) < 0)
		return false;
	__asm__ volatile("" : "+m"(raw));
	d->addr = le64toh(raw.addr);
	d->len = le32toh(raw.len);
	d->flags = le16toh(raw.flags);
	d->next = le16toh(raw.next);
	return true;
}

static enum chain_fault add_buffer(struct walk *w, const struct virtq_desc *d)
{
	struct virtq_chain *c = w->chain;
	int used = c->out_count + c->in_count, count;
	uint64_t end;

	if (!(d->flags & VIRTQ_DESC_WRITE) && c->in_count)
		return CHAIN_ORDER;
	if (!add_u64(d->addr, d->len, &end))
		return CHAIN_OVERFLOW;
	if ((uint64_t)c->out_bytes + c->in_bytes + d->len > UINT32_MAX)
		return CHAIN_TOO_BIG;
	count = gmem_iov(w->source->mem, d->addr, d->len, &c->iov[used], w->source->iov_max - used);
	if (count < 0)
		return count == -ENOSPC ? CHAIN_PIECES : CHAIN_NOT_RAM;
	if (d->flags & VIRTQ_DESC_WRITE) {
		c->in_count += count;
		c->in_bytes += d->len;
	} else {
		c->out_count += count;
		c->out_bytes += d->len;
	}
	return CHAIN_FINE;
}

/* Goes on in the table that @d describes. Its WRITE flag is ignored, as 2.7.5.3.2 asks. */
static enum chain_fault enter_indirect(struct walk *w, const struct virtq_desc *d)
{
	uint32_t count = d->len / sizeof(struct virtq_desc);
	uint64_t end;

	if (!w->source->indirect)
		return CHAIN_INDIRECT_OFF;
	if (w->nested)
		return CHAIN_INDIRECT_NESTED;
	if (d->flags & VIRTQ_DESC_NEXT)
		return CHAIN_INDIRECT_NEXT;
	if (!count || d->len % sizeof(struct virtq_desc))
		return CHAIN_INDIRECT_LEN;
	if (!add_u64(d->addr, d->len, &end))
		return CHAIN_OVERFLOW;
	w->table = (struct table){
		.host = gmem_ptr(w->source->mem, d->addr, d->len),
		.gpa = d->addr,
		.count = count,
	};
	w->nested = true;
	return CHAIN_FINE;
}

enum chain_fault chain_walk(const struct chain_source *source, uint16_t head,
			    struct virtq_chain *chain)
{
	struct walk w = {
		.source = source,
		.chain = chain,
		.table = {.host = (const char *)source->table, .count = source->size},
	};
	enum chain_fault fault;
	struct virtq_desc d;
	uint32_t index = head;
	unsigned seen = 0;

	chain->out_count = chain->in_count = 0;
	chain->out_bytes = chain->in_bytes = 0;
	for (;;) {
		if (index >= w.table.count)
			return CHAIN_NEXT_RANGE;
		if (!fetch(&w, index, &d))
			return CHAIN_INDIRECT_PLACE;
		if (d.flags & VIRTQ_DESC_INDIRECT) {
			fault = enter_indirect(&w, &d);
			index = 0;
			if (fault)
				return fault;
			continue;
		}
		if (++seen > source->size)
			return CHAIN_TOO_LONG;
		fault = add_buffer(&w, &d);
		if (fault || !(d.flags & VIRTQ_DESC_NEXT))
			return fault;
		index = d.next;
	}
}

void iov_take_front(struct iovec **iov, int *count, void *buf, size_t len)
{
	char *to = buf;

	while (len) {
		struct iovec *v = *iov;
		size_t n = MIN(len, v->iov_len);

		if (to) {
			memcpy(to, v->iov_base, n);
			to += n;
		}
		v->iov_base = (char *)v->iov_base + n;
		v->iov_len -= n;
		len -= n;
		if (!v->iov_len) {
			++*iov;
			--*count;
		}
	}
}

uint8_t *iov_take_last_byte(struct iovec *iov, int *count)
{
	struct iovec *v = &iov[*count - 1];

	if (!--v->iov_len)
		--*count;
	return (uint8_t *)v->iov_base + v->iov_len;
}
