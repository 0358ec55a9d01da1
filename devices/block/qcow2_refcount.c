/*
 * Refcounts in a block: "Host cluster management" of the qcow2 specification. Widths below a byte
 * count from the least significant bit, wider ones are big-endian.
 */
#include "base/bytes.h"
#include "block/qcow2_format.h"

uint64_t qcow2_refcount_get(const unsigned char *block, uint64_t index, unsigned order)
{
	unsigned width = 1u << order, per_byte, shift;

	switch (order) {
	case 3:
		return block[index];
	case 4:
		return get_be16(block + index * 2);
	case 5:
		return get_be32(block + index * 4);
	case 6:
		return get_be64(block + index * 8);
	default:
		per_byte = 8 / width;
		shift = (unsigned)(index % per_byte) * width;
		return (unsigned)(block[index / per_byte] >> shift) & ((1u << width) - 1);
	}
}

void qcow2_refcount_put(unsigned char *block, uint64_t index, unsigned order, uint64_t value)
{
	unsigned width = 1u << order, per_byte, shift, mask;
	unsigned char *byte;

	switch (order) {
	case 3:
		block[index] = (unsigned char)value;
		break;
	case 4:
		put_be16(block + index * 2, (uint16_t)value);
		break;
	case 5:
		put_be32(block + index * 4, (uint32_t)value);
		break;
	case 6:
		put_be64(block + index * 8, value);
		break;
	default:
		per_byte = 8 / width;
		shift = (unsigned)(index % per_byte) * width;
		mask = ((1u << width) - 1) << shift;
		byte = &block[index / per_byte];
		*byte = (unsigned char)((*byte & ~mask) | (((unsigned)value << shift) & mask));
		break;
	}
}
