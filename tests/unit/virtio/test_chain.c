/* Malformed descriptor chains, each by name. Virtio 1.2, 2.7.5. */
#include <endian.h>
#include <errno.h>

#include "chain_bed.h"
#include "tests.h"

static struct chain_bed bed;

static void set_up(void)
{
	chain_bed_init(&bed);
}

static void tear_down(void)
{
	chain_bed_free(&bed);
}

/* Offers what starts at descriptor 0 and expects @fault, for good. */
static void expect(enum chain_fault fault)
{
	struct virtq_chain *chain;

	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), fault ? -EBADMSG : 1);
	ck_assert_str_eq(chain_fault_text(bed.q.fault), chain_fault_text(fault));
	if (fault)
		ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
}

START_TEST(chain_of_out_then_in)
{
	struct virtq_chain *c;

	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 16, VIRTQ_DESC_NEXT, 5});
	chain_bed_desc(&bed, DESC, 5, (struct virtq_desc){DATA + 0x100, 512, VIRTQ_DESC_NEXT, 2});
	chain_bed_desc(&bed, DESC, 2, (struct virtq_desc){DATA + 0x800, 1, VIRTQ_DESC_WRITE, 7});
	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 1);
	ck_assert_int_eq(c->out_count, 2);
	ck_assert_int_eq(c->in_count, 1);
	ck_assert_uint_eq(c->out_bytes, 528);
	ck_assert_uint_eq(c->in_bytes, 1);
	ck_assert_ptr_eq(c->iov[1].iov_base, gmem_ptr(bed.mem, DATA + 0x100, 512));
	ck_assert_ptr_eq(c->iov[2].iov_base, gmem_ptr(bed.mem, DATA + 0x800, 1));
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 0);
}
END_TEST

START_TEST(chain_next_out_of_table)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 16, VIRTQ_DESC_NEXT, SIZE});
	expect(CHAIN_NEXT_RANGE);
}
END_TEST

START_TEST(chain_loop)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 16, VIRTQ_DESC_NEXT, 1});
	chain_bed_desc(&bed, DESC, 1, (struct virtq_desc){DATA, 16, VIRTQ_DESC_NEXT, 0});
	expect(CHAIN_TOO_LONG);
}
END_TEST

START_TEST(chain_loop_of_empty_buffers)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 0, VIRTQ_DESC_NEXT, 0});
	expect(CHAIN_TOO_LONG);
}
END_TEST

START_TEST(chain_as_long_as_the_queue)
{
	unsigned i;

	for (i = 0; i < SIZE; i++)
		chain_bed_desc(&bed, DESC, i,
			       (struct virtq_desc){DATA + i, 1, i + 1 < SIZE ? VIRTQ_DESC_NEXT : 0,
						   (uint16_t)(i + 1)});
	expect(CHAIN_FINE);
}
END_TEST

START_TEST(chain_readable_after_writable)
{
	chain_bed_desc(&bed, DESC, 0,
		       (struct virtq_desc){DATA, 16, VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 1});
	chain_bed_desc(&bed, DESC, 1, (struct virtq_desc){DATA, 16, 0, 0});
	expect(CHAIN_ORDER);
}
END_TEST

START_TEST(cve_2016_7422_buffer_outside_ram)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HIGH_END, 16, 0, 0});
	expect(CHAIN_NOT_RAM);
}
END_TEST

START_TEST(cve_2024_3446_buffer_aimed_at_mmio)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HOLE + 0x50, 4, VIRTQ_DESC_WRITE, 0});
	expect(CHAIN_NOT_RAM);
}
END_TEST

START_TEST(buffer_that_runs_into_a_hole)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HOLE - 8, 16, 0, 0});
	expect(CHAIN_NOT_RAM);
}
END_TEST

START_TEST(cve_2017_5931_address_overflow)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){UINT64_MAX - 7, 16, 0, 0});
	expect(CHAIN_OVERFLOW);
}
END_TEST

START_TEST(cve_2017_5931_total_length_overflow)
{
	/* Two buffers, each in RAM, whose sum in 32 bits would be 0. */
	struct virtq_config c = {.size = SIZE,
				 .desc_gpa = DESC,
				 .avail_gpa = AVAIL,
				 .used_gpa = USED};
	struct gmem *big;
	struct virtq_desc d[2] = {
		{htole64(1ull << 32), htole32(0x80000000u), htole16(VIRTQ_DESC_NEXT), htole16(1)},
		{htole64(1ull << 32), htole32(0x80000000u), 0, 0},
	};

	ck_assert_int_eq(gmem_new(&big, NULL), 0);
	ck_assert_int_eq(gmem_add(big, 0, HOLE, NULL), 0);
	ck_assert_int_eq(gmem_add(big, 1ull << 32, 1ull << 32, NULL), 0);
	ck_assert_int_eq(virtq_open(&bed.q, big, &c, 0), 0);
	ck_assert_int_eq(gmem_write(big, DESC, d, sizeof(d)), 0);
	ck_assert_int_eq(gmem_write(big, AVAIL + 2, "\1\0", 2), 0);
	{
		struct virtq_chain *chain;

		ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
		ck_assert_int_eq(bed.q.fault, CHAIN_TOO_BIG);
	}
	gmem_free(big);
}
END_TEST

START_TEST(buffer_across_adjoining_ranges)
{
	struct virtq_chain *c;

	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HIGH_JOIN - 8, 16, VIRTQ_DESC_WRITE, 0});
	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 1);
	ck_assert_int_eq(c->in_count, 2);
	ck_assert_uint_eq(c->in_bytes, 16);
}
END_TEST

START_TEST(more_pieces_than_iovecs)
{
	/* As many boundary crossings as fit are fine, so this queue's room is made smaller. */
	bed.q.source.iov_max = 3;
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HIGH_JOIN - 8, 16, VIRTQ_DESC_NEXT, 1});
	chain_bed_desc(&bed, DESC, 1, (struct virtq_desc){HIGH_JOIN - 8, 16, 0, 0});
	expect(CHAIN_PIECES);
}
END_TEST

START_TEST(empty_buffers_are_skipped)
{
	struct virtq_chain *c;

	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 0, VIRTQ_DESC_NEXT, 1});
	chain_bed_desc(&bed, DESC, 1, (struct virtq_desc){DATA, 4, VIRTQ_DESC_NEXT, 2});
	chain_bed_desc(&bed, DESC, 2, (struct virtq_desc){HOLE, 0, VIRTQ_DESC_WRITE, 0});
	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 1);
	ck_assert_int_eq(c->out_count, 1);
	ck_assert_int_eq(c->in_count, 0);
}
END_TEST

START_TEST(kvmtool_head_out_of_table)
{
	struct virtq_chain *chain;

	chain_bed_offer(&bed, 0, SIZE);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
	ck_assert_int_eq(bed.q.fault, CHAIN_HEAD_RANGE);
}
END_TEST

START_TEST(avail_index_jumps)
{
	struct virtq_chain *chain;

	chain_bed_put16(&bed, AVAIL + 2, SIZE + 1);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
	ck_assert_int_eq(bed.q.fault, CHAIN_AVAIL_JUMP);
}
END_TEST

START_TEST(cve_2016_5403_in_flight_bounded)
{
	struct virtq_chain *chain;
	uint16_t i;

	for (i = 0; i < SIZE; i++) {
		chain_bed_desc(&bed, DESC, i, (struct virtq_desc){DATA, 1, 0, 0});
		chain_bed_offer(&bed, i, i);
	}
	for (i = 0; i < SIZE; i++)
		ck_assert_int_eq(virtq_pop(&bed.q, &chain), 1);
	ck_assert_uint_eq(bed.q.in_flight, SIZE);
	chain_bed_offer(&bed, SIZE, 3);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
	ck_assert_int_eq(bed.q.fault, CHAIN_HEAD_BUSY);
}
END_TEST

START_TEST(cve_2016_5403_same_head_twice)
{
	struct virtq_chain *chain;

	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 1, 0, 0});
	chain_bed_offer(&bed, 0, 0);
	chain_bed_offer(&bed, 1, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), 1);
	ck_assert_int_eq(virtq_pop(&bed.q, &chain), -EBADMSG);
	ck_assert_int_eq(bed.q.fault, CHAIN_HEAD_BUSY);
}
END_TEST

START_TEST(indirect_after_direct)
{
	struct virtq_chain *c;

	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){DATA, 16, VIRTQ_DESC_NEXT, 1});
	/* The WRITE flag of an indirect descriptor means nothing. */
	chain_bed_desc(&bed, DESC, 1,
		       (struct virtq_desc){TABLE + 4, 48, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_WRITE,
					   0});
	chain_bed_desc(&bed, TABLE + 4, 0, (struct virtq_desc){DATA, 32, VIRTQ_DESC_NEXT, 2});
	chain_bed_desc(&bed, TABLE + 4, 2, (struct virtq_desc){DATA, 64, VIRTQ_DESC_WRITE, 0});
	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 1);
	ck_assert_uint_eq(c->out_bytes, 48);
	ck_assert_uint_eq(c->in_bytes, 64);
}
END_TEST

START_TEST(indirect_table_across_ranges)
{
	struct virtq_chain *c;

	chain_bed_desc(&bed, DESC, 0,
		       (struct virtq_desc){HIGH_JOIN - 24, 48, VIRTQ_DESC_INDIRECT, 0});
	chain_bed_desc(&bed, HIGH_JOIN - 24, 0, (struct virtq_desc){DATA, 1, VIRTQ_DESC_NEXT, 1});
	chain_bed_desc(&bed, HIGH_JOIN - 24, 1, (struct virtq_desc){DATA, 2, VIRTQ_DESC_NEXT, 2});
	chain_bed_desc(&bed, HIGH_JOIN - 24, 2, (struct virtq_desc){DATA, 4, 0, 0});
	chain_bed_offer(&bed, 0, 0);
	ck_assert_int_eq(virtq_pop(&bed.q, &c), 1);
	ck_assert_uint_eq(c->out_bytes, 7);
}
END_TEST

START_TEST(indirect_not_negotiated)
{
	bed.q.source.indirect = false;
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){TABLE, 16, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_INDIRECT_OFF);
}
END_TEST

START_TEST(indirect_nested)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){TABLE, 16, VIRTQ_DESC_INDIRECT, 0});
	chain_bed_desc(&bed, TABLE, 0, (struct virtq_desc){TABLE, 16, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_INDIRECT_NESTED);
}
END_TEST

START_TEST(indirect_with_next)
{
	chain_bed_desc(&bed, DESC, 0,
		       (struct virtq_desc){TABLE, 16, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_NEXT, 1});
	expect(CHAIN_INDIRECT_NEXT);
}
END_TEST

START_TEST(indirect_table_empty)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){TABLE, 0, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_INDIRECT_LEN);
}
END_TEST

START_TEST(kvmtool_indirect_table_of_odd_length)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){TABLE, 24, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_INDIRECT_LEN);
}
END_TEST

START_TEST(indirect_table_outside_ram)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){HOLE, 16, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_INDIRECT_PLACE);
}
END_TEST

START_TEST(indirect_table_address_overflow)
{
	chain_bed_desc(&bed, DESC, 0,
		       (struct virtq_desc){UINT64_MAX - 7, 16, VIRTQ_DESC_INDIRECT, 0});
	expect(CHAIN_OVERFLOW);
}
END_TEST

START_TEST(indirect_next_out_of_table)
{
	chain_bed_desc(&bed, DESC, 0, (struct virtq_desc){TABLE, 32, VIRTQ_DESC_INDIRECT, 0});
	chain_bed_desc(&bed, TABLE, 0, (struct virtq_desc){DATA, 1, VIRTQ_DESC_NEXT, 2});
	expect(CHAIN_NEXT_RANGE);
}
END_TEST

START_TEST(indirect_chain_longer_than_the_queue)
{
	unsigned i;

	chain_bed_desc(&bed, DESC, 0,
		       (struct virtq_desc){TABLE, 16 * (SIZE + 1), VIRTQ_DESC_INDIRECT, 0});
	for (i = 0; i <= SIZE; i++)
		chain_bed_desc(&bed, TABLE, i,
			       (struct virtq_desc){DATA, 1, i < SIZE ? VIRTQ_DESC_NEXT : 0,
						   (uint16_t)(i + 1)});
	expect(CHAIN_TOO_LONG);
}
END_TEST

TCase *chain_cases(void)
{
	TCase *tc = tcase_create("chain");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, chain_of_out_then_in);
	tcase_add_test(tc, chain_next_out_of_table);
	tcase_add_test(tc, chain_loop);
	tcase_add_test(tc, chain_loop_of_empty_buffers);
	tcase_add_test(tc, chain_as_long_as_the_queue);
	tcase_add_test(tc, chain_readable_after_writable);
	tcase_add_test(tc, cve_2016_7422_buffer_outside_ram);
	tcase_add_test(tc, cve_2024_3446_buffer_aimed_at_mmio);
	tcase_add_test(tc, buffer_that_runs_into_a_hole);
	tcase_add_test(tc, cve_2017_5931_address_overflow);
	tcase_add_test(tc, cve_2017_5931_total_length_overflow);
	tcase_add_test(tc, buffer_across_adjoining_ranges);
	tcase_add_test(tc, more_pieces_than_iovecs);
	tcase_add_test(tc, empty_buffers_are_skipped);
	tcase_add_test(tc, kvmtool_head_out_of_table);
	tcase_add_test(tc, avail_index_jumps);
	tcase_add_test(tc, cve_2016_5403_in_flight_bounded);
	tcase_add_test(tc, cve_2016_5403_same_head_twice);
	tcase_add_test(tc, indirect_after_direct);
	tcase_add_test(tc, indirect_table_across_ranges);
	tcase_add_test(tc, indirect_not_negotiated);
	tcase_add_test(tc, indirect_nested);
	tcase_add_test(tc, indirect_with_next);
	tcase_add_test(tc, indirect_table_empty);
	tcase_add_test(tc, kvmtool_indirect_table_of_odd_length);
	tcase_add_test(tc, indirect_table_outside_ram);
	tcase_add_test(tc, indirect_table_address_overflow);
	tcase_add_test(tc, indirect_next_out_of_table);
	tcase_add_test(tc, indirect_chain_longer_than_the_queue);
	return tc;
}
