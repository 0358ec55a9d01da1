/* Integers in memory in a byte order that a format fixes, at any alignment. */
#ifndef SARANG_BASE_BYTES_H
#define SARANG_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SARANG_BYTES_ACCESSORS(bits)                               \
	static inline uint##bits##_t get_le##bits(const void *p)   \
	{                                                          \
		uint##bits##_t v;                                  \
		memcpy(&v, p, sizeof(v));                          \
		return le##bits##toh(v);                           \
	}                                                          \
	static inline uint##bits##_t get_be##bits(const void *p)   \
	{                                                          \
		uint##bits##_t v;                                  \
		memcpy(&v, p, sizeof(v));                          \
		return be##bits##toh(v);                           \
	}                                                          \
	static inline void put_le##bits(void *p, uint##bits##_t v) \
	{                                                          \
		v = htole##bits(v);                                \
		memcpy(p, &v, sizeof(v));                          \
	}                                                          \
	static inline void put_be##bits(void *p, uint##bits##_t v) \
	{                                                          \
		v = htobe##bits(v);                                \
		memcpy(p, &v, sizeof(v));                          \
	}

SARANG_BYTES_ACCESSORS(16)
SARANG_BYTES_ACCESSORS(32)
SARANG_BYTES_ACCESSORS(64)

#undef SARANG_BYTES_ACCESSORS

#endif
