/* Random descriptor tables against a simple model of virtio 1.2, 2.7.5. */
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

struct model {
	bool fine;
	uint64_t out_bytes, in_bytes;
};

static bool model_ram(uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len;

	return !len || (end >= addr && (end <= HOLE || (addr >= HIGH && end <= HIGH_END)));
}

/* The rules of 2.7.5 said another way: by position in the chain, with no state but the sums. */
static struct model model_walk(const struct virtq_desc *table, const struct virtq_desc *inner)
{
	struct model m = {0};
	const struct virtq_desc *t = table;
	unsigned index = 0, limit = SIZE, seen = 0;
	bool wrote = false;

	for (;;) {
		const struct virtq_desc *d = &t[index];

		if (index >= limit)
			return m;
		if (d->flags & VIRTQ_DESC_INDIRECT) {
			if (t == inner || (d->flags & VIRTQ_DESC_NEXT) || d->addr != TABLE ||
			    !d->len || d->len % 16)
				return m;
			t = inner;
			limit = d->len / 16;
			index = 0;
			continue;
		}
		if (++seen > SIZE || !model_ram(d->addr, d->len))
			return m;
		if (d->flags & VIRTQ_DESC_WRITE) {
			wrote |= d->len != 0;
			m.in_bytes += d->len;
		} else {
			if (wrote)
				return m;
			m.out_bytes += d->len;
		}
		if (!(d->flags & VIRTQ_DESC_NEXT))
			break;
		index = d->next;
	}
	m.fine = true;
	return m;
}

static struct virtq_desc random_desc(uint64_t *seed)
{
	static const uint64_t places[] = {DATA,         DATA + 0x3000,  HIGH_JOIN - 16, HIGH,
					  DATA,         DATA,           HOLE - 16,      HOLE,
					  HIGH_END - 8, UINT64_MAX - 15};
	uint64_t r = unit_random(seed);
	struct virtq_desc d = {
		.addr = places[r % 24 < 10 ? r % 24 : r % 4],
		.len = (uint32_t)(r >> 8) % 32,
		.next = (uint16_t)((r >> 16) % 32 ? (r >> 24) % SIZE : (r >> 24) % 20),
	};

	if ((r >> 40) % 4)
		d.flags |= VIRTQ_DESC_NEXT;
	if ((r >> 44) % 3 == 0)
		d.flags |= VIRTQ_DESC_WRITE;
	if ((r >> 48) % 12 == 0) {
		d.flags = VIRTQ_DESC_INDIRECT | (d.flags & ((r >> 56) % 4 ? 0 : VIRTQ_DESC_NEXT));
		d.addr = TABLE;
		d.len = (uint32_t)((r >> 52) % 16) * 8 + 8;
	}
	return d;
}

START_TEST(random_chains_match_the_model)
{
	struct virtq_desc table[SIZE], inner[SIZE];
	uint64_t seed = unit_seed();
	unsigned round, i, fine = 0;

	for (round = 0; round < 20000; round++) {
		struct virtq_chain *chain;
		struct model m;
		int ret;

		for (i = 0; i < SIZE; i++) {
			table[i] = random_desc(&seed);
			inner[i] = random_desc(&seed);
			chain_bed_desc(&bed, DESC, i, table[i]);
			chain_bed_desc(&bed, TABLE, i, inner[i]);
		}
		chain_bed_reopen(&bed);
		chain_bed_offer(&bed, 0, 0);
		m = model_walk(table, inner);
		ret = virtq_pop(&bed.q, &chain);
		ck_assert_msg((ret == 1) == m.fine, "round %u: pop gives %d (%s), the model %d",
			      round, ret, chain_fault_text(bed.q.fault), m.fine);
		if (ret == 1) {
			ck_assert_uint_eq(chain->out_bytes, m.out_bytes);
			ck_assert_uint_eq(chain->in_bytes, m.in_bytes);
			fine++;
		}
	}
	/* Both outcomes were really tried. */
	ck_assert_uint_gt(fine, 1000);
	ck_assert_uint_lt(fine, 19000);
}
END_TEST

TCase *chain_model_cases(void)
{
	TCase *tc = tcase_create("chain_model");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, random_chains_match_the_model);
	return tc;
}
