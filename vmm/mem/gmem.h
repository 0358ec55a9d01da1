/*
 * Guest memory: the only place where a guest address becomes host memory.
 *
 * RAM is a list of ranges of guest physical addresses, each mapped from one memfd (so that it can
 * be shared with another process, snapshotted and cloned). Ranges are added while the machine is
 * built, by one thread, and never change after that, so every other call here is safe on any
 * thread. Pages that nobody touched cost nothing.
 *
 * Every call takes a length and checks the whole of [gpa, gpa + len): an address that is not RAM, a
 * sum that overflows or a range that runs into a hole gives -EFAULT and touches nothing.
 */
#ifndef SARANG_MEM_GMEM_H
#define SARANG_MEM_GMEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

struct gmem;

/* One range of RAM. */
struct gmem_range {
	uint64_t gpa;         /* guest physical address of its first byte */
	uint64_t size_bytes;  /* multiple of the host's page size */
	uint64_t file_offset; /* where it lies in the memfd */
	char *host;           /* where it is mapped here */
};

/* Makes an empty guest memory; *@out is owned by the caller, freed with gmem_free. 0 or -errno. */
int gmem_new(struct gmem **out, struct err *e);

/* Unmaps everything. NULL is fine. No pointer or iovec obtained from it may be used after. */
void gmem_free(struct gmem *mem);

/*
 * Adds @size_bytes of zeroed RAM at @gpa; both are multiples of the page size, not overlapping what
 * is there. Fails with -EINVAL for that, -ENOMEM when the host has no address space or memory for
 * it.
 */
int gmem_add(struct gmem *mem, uint64_t gpa, uint64_t size_bytes, struct err *e);

/* The ranges, in the order of their addresses. */
size_t gmem_range_count(const struct gmem *mem);
const struct gmem_range *gmem_range_at(const struct gmem *mem, size_t index);

/* The memfd behind all ranges, for KVM and for sharing; owned by @mem. */
int gmem_fd(const struct gmem *mem);

/* Sum of the ranges' sizes. */
uint64_t gmem_total_bytes(const struct gmem *mem);

/* Copy out of, into, or clear guest memory. Returns 0 or -EFAULT. Contents may be racing guest
 * writes. */
int gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len);
int gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len);
int gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len);

/*
 * Describes [gpa, gpa + len) as at most @max iovecs (a range that adjoins the next needs two).
 * Returns how many (0 for @len 0), -EFAULT, or -ENOSPC when @max is too small.
 */
int gmem_iov(const struct gmem *mem, uint64_t gpa, uint64_t len, struct iovec *iov, int max);

/*
 * The host address of [gpa, gpa + len) where that is one contiguous piece, else NULL. For what is
 * kept mapped over calls (the three rings of a virtqueue, checked once when the queue is made
 * ready) and for loaders that fill memory before a guest runs; valid until gmem_free.
 */
void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len);

/*
 * Copies @len bytes of the file @fd from @offset to @gpa, without a detour through this process.
 * Moves the memfd's file position: for the one thread that builds a machine. Returns 0, -EFAULT,
 * -EIO when the file ends early, or the -errno of the copy.
 */
int gmem_load_fd(const struct gmem *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len);

#endif
