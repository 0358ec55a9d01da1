/*
 * Descriptor chains: what a driver offers in a split virtqueue, checked and turned into iovecs.
 *
 * Virtio 1.2, section 2.7.5 (descriptor table, indirect descriptors). See chain.c for the rules.
 */
#ifndef SARANG_VIRTIO_CHAIN_H
#define SARANG_VIRTIO_CHAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mem/gmem.h"

/* A descriptor as it lies in guest memory, little-endian (2.7.5). */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

_Static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.2, 2.7.5");

enum virtq_desc_flags {
	VIRTQ_DESC_NEXT = 1 << 0,
	VIRTQ_DESC_WRITE = 1 << 1, /* the device writes it; else the device reads it */
	VIRTQ_DESC_INDIRECT = 1 << 2,
};

/* What a driver can do wrong. The device then needs a reset; chain_fault_text says it in words. */
enum chain_fault {
	CHAIN_FINE,
	CHAIN_AVAIL_JUMP,      /* available index moved by more than the queue's size */
	CHAIN_HEAD_RANGE,      /* head is not a descriptor of the queue */
	CHAIN_HEAD_BUSY,       /* head was offered before and not given back yet */
	CHAIN_NEXT_RANGE,      /* next is not a descriptor of its table */
	CHAIN_TOO_LONG,        /* more descriptors than the queue has: a loop */
	CHAIN_ORDER,           /* device-readable after device-writable */
	CHAIN_INDIRECT_OFF,    /* indirect, but the feature was not negotiated */
	CHAIN_INDIRECT_NEXT,   /* both INDIRECT and NEXT */
	CHAIN_INDIRECT_NESTED, /* indirect inside an indirect table */
	CHAIN_INDIRECT_LEN,    /* table empty, or not a multiple of 16 bytes */
	CHAIN_INDIRECT_PLACE,  /* table not in RAM */
	CHAIN_OVERFLOW,        /* address + length wraps */
	CHAIN_TOO_BIG,         /* 4 GiB or more in one chain */
	CHAIN_NOT_RAM,         /* a buffer that is not RAM all over */
	CHAIN_PIECES,          /* so many crossings of RAM ranges that the iovecs run out */
	CHAIN_SHORT,           /* not even room for what every request of the device has */
	CHAIN_FAULTS,
};

/* A sentence fragment such as "descriptor chain longer than the queue"; constant. */
const char *chain_fault_text(enum chain_fault fault);

/*
 * A chain lent to a device: the device-readable ("out") pieces first, then the device-writable
 * ("in") ones, none of them empty. The iovecs are the borrower's to modify until the chain is
 * pushed back.
 */
struct virtq_chain {
	struct iovec *iov;
	int out_count;
	int in_count; /* iov[out_count] is the first */
	uint32_t out_bytes;
	uint32_t in_bytes;
	uint16_t head;
	uint16_t slot; /* below the queue's size_max and unique among chains on loan: index for the
			  device's own request */
};

/* Where chains are read from. */
struct chain_source {
	const struct gmem *mem;
	const struct virtq_desc *table; /* @size descriptors in guest memory, aligned to 16 */
	uint16_t size;
	bool indirect; /* VIRTIO_F_INDIRECT_DESC was negotiated */
	int iov_max;   /* room in the chain's iov */
};

/* Walks the chain at @head (< size) into @chain, whose iov is set. Touches nothing but @chain. */
enum chain_fault chain_walk(const struct chain_source *source, uint16_t head,
			    struct virtq_chain *chain);

/* Takes @len bytes off the front of *@iov into @buf (NULL: drops them). The caller knows there are
 * as many. */
void iov_take_front(struct iovec **iov, int *count, void *buf, size_t len);

/* Takes the last byte off @iov; returns where it is. *@count is at least 1. */
uint8_t *iov_take_last_byte(struct iovec *iov, int *count);

#endif
