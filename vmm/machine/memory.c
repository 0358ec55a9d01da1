/*
 * How much memory a host lets a guest have. KVM refuses what is too much without a reason, and a
 * processor without a word: RAM that its addresses do not reach.
 */
#include <errno.h>

#include "base/size.h"
#include "base/util.h"
#include "machine/private.h"

int machine_check_memory(const struct arch_ram_range *ranges, unsigned count,
			 const struct memory_limits *limits, struct err *e)
{
	uint64_t end = limits->address_bits < 64 ? 1ull << limits->address_bits : UINT64_MAX;
	char size[SIZE_TEXT_MAX], range[SIZE_TEXT_MAX], most[SIZE_TEXT_MAX];
	uint64_t total = 0, fits = 0, reach = UINT64_MAX, most_bytes;
	bool all = true;
	unsigned i;

	for (i = 0; i < count; i++) {
		total += ranges[i].size_bytes;
		if (!all)
			continue;
		reach = ranges[i].gpa < end ? end - ranges[i].gpa : 0;
		most_bytes = MIN(reach, limits->range_bytes);
		fits += MIN(ranges[i].size_bytes, most_bytes);
		all = fits == total;
	}
	if (all)
		return 0;
	size_format(total, size);
	size_format(align_down(fits, fits < GIB(1) ? MIB(1) : GIB(1)), most);
	if (reach <= limits->range_bytes)
		return err_set(e, EINVAL,
			       "--memory %s: the physical addresses that this host gives a guest "
			       "have %u bits, which leaves at most %s",
			       size, limits->address_bits, most);
	size_format(align_up(limits->range_bytes, MIB(1)), range);
	return err_set(e, EINVAL,
		       "--memory %s: this host's KVM takes less than %s in one piece, which leaves "
		       "at most %s",
		       size, range, most);
}
