/* Guest memory: see gmem.h. A handful of ranges in a sorted array; look-up is a short linear walk.
 */
#include "mem/gmem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"

#define GMEM_RANGES_MAX 8

struct gmem {
	int fd;
	size_t count;
	uint64_t total_bytes;
	struct gmem_range ranges[GMEM_RANGES_MAX];
};

int gmem_new(struct gmem **out, struct err *e)
{
	struct gmem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return err_set(e, ENOMEM, "out of memory");
	mem->fd = memfd_create("sarang-ram", MFD_CLOEXEC);
	if (mem->fd < 0) {
		free(mem);
		return err_errno(e, errno, "cannot create the memory file for guest RAM");
	}
	*out = mem;
	return 0;
}

void gmem_free(struct gmem *mem)
{
	size_t i;

	if (!mem)
		return;
	for (i = 0; i < mem->count; i++)
		munmap(mem->ranges[i].host, mem->ranges[i].size_bytes);
	fd_close(&mem->fd);
	free(mem);
}

/* Where in the array a range at @gpa belongs, or -EINVAL when it cannot be added. */
static int find_place(const struct gmem *mem, uint64_t gpa, uint64_t size_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end;
	size_t i;

	if (!size_bytes || (gpa | size_bytes) & (page - 1) || !add_u64(gpa, size_bytes, &end) ||
	    mem->count == GMEM_RANGES_MAX)
		return -EINVAL;
	for (i = 0; i < mem->count; i++) {
		const struct gmem_range *r = &mem->ranges[i];

		if (end <= r->gpa)
			break;
		if (gpa < r->gpa + r->size_bytes)
			return -EINVAL;
	}
	return (int)i;
}

int gmem_add(struct gmem *mem, uint64_t gpa, uint64_t size_bytes, struct err *e)
{
	int place = find_place(mem, gpa, size_bytes);
	char text[SIZE_TEXT_MAX];
	uint64_t end;
	void *host;

	if (place < 0)
		return err_set(e, EINVAL, "guest RAM of %s at 0x%llx does not fit the memory map",
			       size_format(size_bytes, text), (unsigned long long)gpa);
	if (!add_u64(mem->total_bytes, size_bytes, &end) || end > INT64_MAX)
		return err_set(e, ENOMEM, "guest RAM of %s is more than a host can map",
			       size_format(size_bytes, text));
	if (ftruncate(mem->fd, (off_t)end) < 0)
		return err_errno(e, errno, "cannot make guest RAM of %s",
				 size_format(size_bytes, text));
	host = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, mem->fd,
		    (off_t)mem->total_bytes);
	if (host == MAP_FAILED)
		return err_errno(e, errno, "cannot map guest RAM of %s",
				 size_format(size_bytes, text));
	/* Fewer faults where the host allows huge pages for shared memory; nothing lost where not.
	 */
	(void)madvise(host, size_bytes, MADV_HUGEPAGE);
	/* A core dump of the VMM must not carry the guest's secrets. */
	(void)madvise(host, size_bytes, MADV_DONTDUMP);

	memmove(&mem->ranges[place + 1], &mem->ranges[place],
		(mem->count - (size_t)place) * sizeof(mem->ranges[0]));
	mem->ranges[place] = (struct gmem_range){
		.gpa = gpa,
		.size_bytes = size_bytes,
		.file_offset = mem->total_bytes,
		.host = host,
	};
	mem->count++;
	mem->total_bytes = end;
	return 0;
}

size_t gmem_range_count(const struct gmem *mem)
{
	return mem->count;
}

const struct gmem_range *gmem_range_at(const struct gmem *mem, size_t index)
{
	return &mem->ranges[index];
}

int gmem_fd(const struct gmem *mem)
{
	return mem->fd;
}

uint64_t gmem_total_bytes(const struct gmem *mem)
{
	return mem->total_bytes;
}

/* The range that holds @gpa, or NULL when it is not RAM. */
static const struct gmem_range *find_range(const struct gmem *mem, uint64_t gpa)
{
	size_t i;

	for (i = 0; i < mem->count; i++) {
		const struct gmem_range *r = &mem->ranges[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size_bytes)
			return r;
	}
	return NULL;
}

/*
 * The piece of [gpa, gpa + len) that starts at @gpa and lies in one range: its host address, and
 * its length in *@piece. NULL when @gpa is not RAM.
 */
static char *find_piece(const struct gmem *mem, uint64_t gpa, uint64_t len, uint64_t *piece)
{
	const struct gmem_range *r = find_range(mem, gpa);

	if (!r)
		return NULL;
	*piece = MIN(len, r->size_bytes - (gpa - r->gpa));
	return r->host + (gpa - r->gpa);
}

int gmem_iov(const struct gmem *mem, uint64_t gpa, uint64_t len, struct iovec *iov, int max)
{
	uint64_t end, piece;
	int count = 0;

	if (!add_u64(gpa, len, &end))
		return -EFAULT;
	while (len) {
		char *host = find_piece(mem, gpa, len, &piece);

		if (!host)
			return -EFAULT;
		if (count == max)
			return -ENOSPC;
		iov[count++] = (struct iovec){.iov_base = host, .iov_len = piece};
		gpa += piece;
		len -= piece;
	}
	return count;
}

void *gmem_ptr(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t piece;
	char *host = find_piece(mem, gpa, len, &piece);

	return host && piece == len ? host : NULL;
}

int gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, size_t len)
{
	struct iovec iov[GMEM_RANGES_MAX];
	int i, count = gmem_iov(mem, gpa, len, iov, GMEM_RANGES_MAX);
	char *to = dst;

	for (i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	return count < 0 ? -EFAULT : 0;
}

int gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, size_t len)
{
	struct iovec iov[GMEM_RANGES_MAX];
	int i, count = gmem_iov(mem, gpa, len, iov, GMEM_RANGES_MAX);
	const char *from = src;

	for (i = 0; i < count; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
	return count < 0 ? -EFAULT : 0;
}

int gmem_zero(const struct gmem *mem, uint64_t gpa, uint64_t len)
{
	struct iovec iov[GMEM_RANGES_MAX];
	int i, count = gmem_iov(mem, gpa, len, iov, GMEM_RANGES_MAX);

	for (i = 0; i < count; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
	return count < 0 ? -EFAULT : 0;
}

/*
 * The kernel copies from one file's pages into new pages of the other: measured at half the time of
 * a read through the mapping, which first faults in and clears every page that it then overwrites.
 */
static int load_piece(const struct gmem *mem, uint64_t mem_offset, int fd, uint64_t offset,
		      uint64_t len)
{
	off_t from = (off_t)offset;

	if (lseek(mem->fd, (off_t)mem_offset, SEEK_SET) < 0)
		return -errno;
	while (len) {
		ssize_t n = sendfile(mem->fd, fd, &from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		len -= (uint64_t)n;
	}
	return 0;
}

int gmem_load_fd(const struct gmem *mem, uint64_t gpa, int fd, uint64_t offset, uint64_t len)
{
	struct iovec iov[GMEM_RANGES_MAX];
	int i, ret = 0, count = gmem_iov(mem, gpa, len, iov, GMEM_RANGES_MAX);

	for (i = 0; i < count && !ret; i++) {
		const struct gmem_range *r = find_range(mem, gpa);

		ret = load_piece(mem, r->file_offset + (gpa - r->gpa), fd, offset, iov[i].iov_len);
		offset += iov[i].iov_len;
		gpa += iov[i].iov_len;
	}
	return count < 0 ? -EFAULT : ret;
}
