/* Look-up, refusals and life-cycle on the buses, against a linear search as reference. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "bus/bus.h"
#include "bus/device.h"
#include "unit.h"

/* The last access that reached a region. */
struct seen {
	unsigned reads, writes;
	uint64_t offset, value;
	unsigned size;
};

static uint64_t seen_read(void *opaque, uint64_t offset, unsigned size)
{
	struct seen *s = opaque;

	s->reads++;
	s->offset = offset;
	s->size = size;
	return 0x1122334455667788ull;
}

static void seen_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	struct seen *s = opaque;

	s->writes++;
	s->offset = offset;
	s->size = size;
	s->value = value;
}

static const struct bus_region_ops all_sizes = {seen_read, seen_write, 1 | 2 | 4 | 8};
static const struct bus_region_ops bytes_and_words = {seen_read, seen_write, 1 | 4};
static const struct bus_region_ops no_callbacks = {NULL, NULL, 1 | 2 | 4 | 8};

/* bus_add of a region made of its fields in their order. */
#define add_region(bus, e, ...) bus_add(bus, &(struct bus_region){__VA_ARGS__}, e)

START_TEST(overlaps_are_refused_naming_both)
{
	struct err e = {0};
	struct seen s = {0};
	struct bus *bus;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0x1000, 0x100, &all_sizes, &s, "disk0"), 0);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0x10ff, 1, &all_sizes, &s, "uart0"),
			 -EEXIST);
	ck_assert_str_eq(e.text, "uart0 and disk0 overlap at 0x10ff");
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0xfff, 2, &all_sizes, &s, "a"), -EEXIST);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0, 0x10000, &all_sizes, &s, "a"), -EEXIST);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0x1010, 1, &all_sizes, &s, "a"), -EEXIST);
	/* Neighbours, and the same numbers in the other space, are fine. */
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0x1100, 1, &all_sizes, &s, "a"), 0);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0xfff, 1, &all_sizes, &s, "b"), 0);
	ck_assert_int_eq(add_region(bus, &e, BUS_PIO, 0x1000, 0x100, &all_sizes, &s, "c"), 0);
	ck_assert_str_eq(bus_region_at(bus, 0)->name, "b");
	ck_assert_str_eq(bus_region_at(bus, 1)->name, "disk0");
	ck_assert_str_eq(bus_region_at(bus, 2)->name, "a");
	ck_assert_str_eq(bus_region_at(bus, 3)->name, "c");
	ck_assert_ptr_null(bus_region_at(bus, 4));
	bus_free(bus);
	bus_free(NULL);
}
END_TEST

START_TEST(regions_outside_the_space_are_refused)
{
	struct err e = {0};
	struct seen s = {0};
	struct bus *bus;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 0x1000, 0, &all_sizes, &s, "a"), -EINVAL);
	ck_assert_int_eq(add_region(bus, &e, BUS_PIO, 0xffff, 2, &all_sizes, &s, "a"), -EINVAL);
	ck_assert_int_eq(add_region(bus, &e, BUS_PIO, 0x10000, 1, &all_sizes, &s, "a"), -EINVAL);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, UINT64_MAX, 2, &all_sizes, &s, "a"),
			 -EINVAL);
	ck_assert_int_eq(add_region(bus, &e, BUS_MMIO, 2, UINT64_MAX, &all_sizes, &s, "a"),
			 -EINVAL);
	ck_assert_ptr_null(bus_region_at(bus, 0));
	ck_assert_int_eq(add_region(bus, &e, BUS_PIO, 0xffff, 1, &all_sizes, &s, "last"), 0);
	bus_write(bus, BUS_PIO, 0xffff, 1, 7);
	ck_assert_uint_eq(s.writes, 1);
	bus_write(bus, BUS_PIO, 0xffff, 2, 7);
	ck_assert_uint_eq(s.writes, 1);
	bus_free(bus);
}
END_TEST

START_TEST(values_are_cut_to_the_access)
{
	struct seen s = {0};
	struct bus *bus;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(add_region(bus, NULL, BUS_MMIO, 0x1000, 0x10, &all_sizes, &s, "a"), 0);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x1004, 1), 0x88);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x1004, 2), 0x7788);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x1004, 4), 0x55667788);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x1004, 8), 0x1122334455667788ull);
	ck_assert_uint_eq(s.offset, 4);
	bus_write(bus, BUS_MMIO, 0x100f, 1, UINT64_MAX);
	ck_assert_uint_eq(s.value, 0xff);
	ck_assert_uint_eq(s.offset, 15);
	/* Nobody there: all ones, as wide as the access. */
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x2000, 2), 0xffff);
	ck_assert_uint_eq(bus_read(bus, BUS_PIO, 0x1004, 1), 0xff);
	bus_free(bus);
}
END_TEST

START_TEST(cve_2021_45464_straddling_access_never_reaches_a_device)
{
	struct seen a = {0}, b = {0};
	struct bus *bus;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(add_region(bus, NULL, BUS_MMIO, 0x1000, 0x10, &all_sizes, &a, "a"), 0);
	ck_assert_int_eq(add_region(bus, NULL, BUS_MMIO, 0x1010, 0x10, &all_sizes, &b, "b"), 0);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x100e, 4), 0xffffffff);
	bus_write(bus, BUS_MMIO, 0x100d, 4, 1);
	bus_write(bus, BUS_MMIO, 0xfff, 2, 1);
	bus_write(bus, BUS_MMIO, 0x101f, 2, 1);
	bus_write(bus, BUS_MMIO, UINT64_MAX, 8, 1);
	ck_assert_uint_eq(a.reads + a.writes + b.reads + b.writes, 0);
	bus_free(bus);
}
END_TEST

/* KVM hands out odd lengths where an access crosses a page. */
START_TEST(sizes_that_are_not_allowed_never_reach_a_device)
{
	struct seen s = {0};
	struct bus *bus;
	unsigned size;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(add_region(bus, NULL, BUS_MMIO, 0x1000, 0x10, &bytes_and_words, &s, "a"),
			 0);
	for (size = 0; size <= 16; size++) {
		unsigned before = s.reads + s.writes, reached = size == 1 || size == 4 ? 2 : 0;
		uint64_t value = bus_read(bus, BUS_MMIO, 0x1000, size);

		bus_write(bus, BUS_MMIO, 0x1000, size, 1);
		ck_assert_msg(s.reads + s.writes == before + reached, "size %u", size);
		if (size && size < 8 && !reached)
			ck_assert_uint_eq(value, (1ull << (8 * size)) - 1);
	}
	ck_assert_int_eq(add_region(bus, NULL, BUS_MMIO, 0x2000, 0x10, &no_callbacks, &s, "b"), 0);
	ck_assert_uint_eq(bus_read(bus, BUS_MMIO, 0x2000, 4), 0xffffffff);
	bus_write(bus, BUS_MMIO, 0x2000, 4, 1);
	bus_free(bus);
}
END_TEST

#define REFERENCE_REGIONS 60

static void check_access(struct bus *bus, const struct bus_region *all, unsigned count,
			 uint64_t *state)
{
	enum bus_space space = unit_random(state) % 2 ? BUS_MMIO : BUS_PIO;
	uint64_t addr = unit_random(state) % 0x500;
	unsigned size = 1u << (unit_random(state) % 4), i;
	const struct bus_region *hit = NULL;

	for (i = 0; i < count; i++)
		if (all[i].space == space && addr >= all[i].base &&
		    addr + size <= all[i].base + all[i].len)
			hit = &all[i];
	for (i = 0; i < count; i++)
		memset(all[i].opaque, 0, sizeof(struct seen));
	bus_write(bus, space, addr, size, 1);
	for (i = 0; i < count; i++) {
		const struct seen *s = all[i].opaque;

		ck_assert_uint_eq(s->writes, hit == &all[i]);
		if (s->writes)
			ck_assert_uint_eq(s->offset, addr - all[i].base);
	}
}

START_TEST(bisection_finds_what_a_linear_search_finds)
{
	uint64_t state = unit_seed();
	struct bus_region all[REFERENCE_REGIONS];
	struct seen seen[REFERENCE_REGIONS];
	unsigned count = 0, i, j;
	struct bus *bus;

	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	for (i = 0; i < REFERENCE_REGIONS; i++) {
		struct bus_region r = {.space = unit_random(&state) % 2 ? BUS_MMIO : BUS_PIO,
				       .base = unit_random(&state) % 0x4f0,
				       .len = 1 + unit_random(&state) % 40,
				       .ops = &all_sizes,
				       .opaque = &seen[count],
				       .name = "r"};
		_Bool clash = 0;

		for (j = 0; j < count; j++)
			clash |= all[j].space == r.space && r.base < all[j].base + all[j].len &&
				 all[j].base < r.base + r.len;
		ck_assert_int_eq(bus_add(bus, &r, NULL), clash ? -EEXIST : 0);
		if (!clash)
			all[count++] = r;
	}
	for (i = 0; i < 20000; i++)
		check_access(bus, all, count, &state);
	bus_free(bus);
}
END_TEST

struct bells {
	struct doorbell last;
	int added;
};

static int bell_add(void *opaque, const struct doorbell *bell)
{
	struct bells *b = opaque;

	b->last = *bell;
	b->added++;
	return 0;
}

static void bell_remove(void *opaque, const struct doorbell *bell)
{
	struct bells *b = opaque;

	ck_assert_int_eq(memcmp(&b->last, bell, sizeof(*bell)), 0);
	b->added--;
}

START_TEST(doorbells_go_to_whoever_catches_them)
{
	static const struct doorbell_ops ops = {bell_add, bell_remove};
	struct doorbell bell;
	struct bells bells = {0};
	struct bus *bus;

	memset(&bell, 0, sizeof(bell));
	bell.addr = 0x1050;
	bell.size = 4;
	bell.match = 3;
	bell.fd = 9;
	ck_assert_int_eq(bus_new(&bus, NULL), 0);
	ck_assert_int_eq(bus_doorbell_add(bus, &bell), -ENOTSUP);
	bus_doorbell_remove(bus, &bell);
	bus_set_doorbells(bus, &ops, &bells);
	ck_assert_int_eq(bus_doorbell_add(bus, &bell), 0);
	ck_assert_uint_eq(bells.last.match, 3);
	bus_doorbell_remove(bus, &bell);
	ck_assert_int_eq(bells.added, 0);
	bus_free(bus);
}
END_TEST

static void no_destroy(struct device *dev)
{
	dev->detail[0] = 'd';
}

START_TEST(devices_map_their_regions_under_their_own_name)
{
	static const struct device_class class = {
		.name = "test",
		.region_count = 2,
		.regions = {{BUS_MMIO, 0x200, &all_sizes}, {BUS_PIO, 8, &all_sizes}},
		.destroy = no_destroy,
	};
	struct device_place place = {.base = {0x10000, 0x3f8}};
	struct device_env env = {0};
	struct device dev = {0}, twin = {0};
	struct err e = {0};

	ck_assert_int_eq(bus_new(&env.bus, NULL), 0);
	device_init(&dev, &class, &env, &place, "disk0");
	device_init(&twin, &class, &env, &place, "an-id-that-is-longer-than-its-field-is");
	ck_assert_uint_eq(strlen(twin.id), sizeof(twin.id) - 1);
	ck_assert_int_eq(device_map(&dev, &e), 0);
	ck_assert_int_eq(device_map(&twin, &e), -EEXIST);
	ck_assert_str_eq(bus_region_at(env.bus, 0)->name, "disk0");
	ck_assert_uint_eq(bus_region_at(env.bus, 0)->base, 0x10000);
	ck_assert_uint_eq(bus_region_at(env.bus, 1)->base, 0x3f8);
	ck_assert_ptr_eq(bus_region_at(env.bus, 1)->opaque, &dev);
	/* A class without these calls: nothing happens. */
	ck_assert_int_eq(device_start(&dev, &e), 0);
	device_stop(&dev);
	device_reset(&dev);
	device_destroy(&dev);
	ck_assert_int_eq(dev.detail[0], 'd');
	device_destroy(NULL);
	bus_free(env.bus);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *suite = suite_create("bus");
	TCase *c = tcase_create("bus");

	tcase_add_test(c, overlaps_are_refused_naming_both);
	tcase_add_test(c, regions_outside_the_space_are_refused);
	tcase_add_test(c, values_are_cut_to_the_access);
	tcase_add_test(c, cve_2021_45464_straddling_access_never_reaches_a_device);
	tcase_add_test(c, sizes_that_are_not_allowed_never_reach_a_device);
	tcase_add_test(c, bisection_finds_what_a_linear_search_finds);
	tcase_add_test(c, doorbells_go_to_whoever_catches_them);
	tcase_add_test(c, devices_map_their_regions_under_their_own_name);
	suite_add_tcase(suite, c);
	return suite;
}
