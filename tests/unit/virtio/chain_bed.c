/* A queue for tests of chains: see chain_bed.h. */
#include "chain_bed.h"

#include <endian.h>

#include "unit.h"

void chain_bed_reopen(struct chain_bed *bed)
{
	struct virtq_config c = {.size = SIZE,
				 .desc_gpa = DESC,
				 .avail_gpa = AVAIL,
				 .used_gpa = USED};

	virtq_close(&bed->q);
	ck_assert_int_eq(virtq_open(&bed->q, bed->mem, &c, VIRTQ_INDIRECT), 0);
}

void chain_bed_init(struct chain_bed *bed)
{
	ck_assert_int_eq(gmem_new(&bed->mem, NULL), 0);
	ck_assert_int_eq(gmem_add(bed->mem, 0, HOLE, NULL), 0);
	ck_assert_int_eq(gmem_add(bed->mem, HIGH, HIGH_JOIN - HIGH, NULL), 0);
	ck_assert_int_eq(gmem_add(bed->mem, HIGH_JOIN, HIGH_END - HIGH_JOIN, NULL), 0);
	ck_assert_int_eq(virtq_init(&bed->q, SIZE, NULL), 0);
	chain_bed_reopen(bed);
}

void chain_bed_free(struct chain_bed *bed)
{
	virtq_fini(&bed->q);
	gmem_free(bed->mem);
}

void chain_bed_desc(struct chain_bed *bed, uint64_t table, unsigned index, struct virtq_desc d)
{
	d = (struct virtq_desc){htole64(d.addr), htole32(d.len), htole16(d.flags), htole16(d.next)};
	ck_assert_int_eq(gmem_write(bed->mem, table + 16ull * index, &d, sizeof(d)), 0);
}

void chain_bed_put16(struct chain_bed *bed, uint64_t gpa, uint16_t value)
{
	value = htole16(value);
	ck_assert_int_eq(gmem_write(bed->mem, gpa, &value, sizeof(value)), 0);
}

void chain_bed_offer(struct chain_bed *bed, uint16_t index, uint16_t head)
{
	chain_bed_put16(bed, AVAIL + 4 + 2 * (index % SIZE), head);
	chain_bed_put16(bed, AVAIL + 2, (uint16_t)(index + 1));
}
