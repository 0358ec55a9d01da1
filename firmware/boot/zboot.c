/*
 * EFI zboot: a compressed kernel inside an EFI program that unpacks it, as newer arm64
 * distributions ship it. There is no EFI here, so the kernel is taken out of the program, and
 * unpacked like any other. Linux: drivers/firmware/efi/libstub/zboot-header.S. Used by one thread.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "boot/load.h"

/* The header, little-endian. */
#define HEADER_BYTES   56
#define MZ_MAGIC       0x5a4d
#define MAGIC_OFFSET   4
#define MAGIC          0x676d697a /* "zimg" */
#define PAYLOAD_OFFSET 8
#define PAYLOAD_BYTES  12

bool zboot_sniff(const struct kernel_head *head)
{
	return head->len >= HEADER_BYTES && get_le16(head->bytes) == MZ_MAGIC &&
	       get_le32(head->bytes + MAGIC_OFFSET) == MAGIC;
}

/* Copies [@offset, @offset + @len) of @in, which has that much, to @out. 0 or -errno. */
static int copy(int in, int out, uint64_t offset, uint64_t len)
{
	uint8_t bytes[16384];

	while (len) {
		size_t piece = (size_t)MIN(len, (uint64_t)sizeof(bytes));
		ssize_t n = fd_pread_full(in, bytes, piece, offset);
		int ret;

		if (n < (ssize_t)piece)
			return n < 0 ? (int)n : -EIO;
		ret = fd_write_full(out, bytes, piece);
		if (ret < 0)
			return ret;
		offset += piece;
		len -= piece;
	}
	return 0;
}

int zboot_extract(const char *path, const struct kernel_head *head, int *fd, uint64_t *size_bytes,
		  struct err *e)
{
	uint64_t offset = get_le32(head->bytes + PAYLOAD_OFFSET);
	uint64_t len = get_le32(head->bytes + PAYLOAD_BYTES);
	int out, ret;

	if (offset < HEADER_BYTES || !len)
		return err_set(e, EINVAL,
			       "the kernel %s is an EFI zboot image without a kernel in it", path);
	if (!range_inside(offset, len, *size_bytes))
		return err_set(
			e, EINVAL,
			"the kernel %s is truncated: its header promises %llu bytes, there are "
			"%llu",
			path, (unsigned long long)(offset + len), (unsigned long long)*size_bytes);
	out = memfd_create("sarang-kernel", MFD_CLOEXEC);
	if (out < 0)
		return err_errno(e, errno, "cannot create a memory file for the kernel %s", path);
	ret = copy(*fd, out, offset, len);
	if (ret < 0) {
		fd_close(&out);
		return err_errno(e, -ret, "cannot read the kernel %s", path);
	}
	fd_close(fd);
	*fd = out;
	*size_bytes = len;
	return 0;
}
