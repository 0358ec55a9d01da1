/*
 * A queue of 8 for tests of chains. Guest memory is 1 MiB at 0, a hole (where a device's registers
 * would be), and 1 MiB at 2 MiB in two adjoining ranges, so that buffers cross a boundary.
 */
#ifndef SARANG_TESTS_VIRTIO_CHAIN_BED_H
#define SARANG_TESTS_VIRTIO_CHAIN_BED_H

#include "virtio/queue.h"

#define SIZE      8
#define DESC      0x1000
#define AVAIL     0x2000
#define USED      0x3000
#define TABLE     0x4000
#define DATA      0x10000
#define HOLE      0x100000
#define HIGH      0x200000
#define HIGH_JOIN 0x280000
#define HIGH_END  0x300000

struct chain_bed {
	struct gmem *mem;
	struct virtq q;
};

/* The queue is open, with indirect descriptors. */
void chain_bed_init(struct chain_bed *bed);
void chain_bed_free(struct chain_bed *bed);

/* Closes the queue and opens it afresh. */
void chain_bed_reopen(struct chain_bed *bed);

/* Writes descriptor @index of the table at @table. */
void chain_bed_desc(struct chain_bed *bed, uint64_t table, unsigned index, struct virtq_desc d);

/* Puts @head at @index of the available ring, and the available index behind it. */
void chain_bed_offer(struct chain_bed *bed, uint16_t index, uint16_t head);

/* Writes a 16-bit field. */
void chain_bed_put16(struct chain_bed *bed, uint64_t gpa, uint16_t value);

#endif
