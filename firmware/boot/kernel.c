/*
 * Opening a kernel file: see boot.h.
 *
 * The first bytes decide what a file is: what EFI zboot wraps is taken out, gzip and zstd are
 * undone once, then the format's own parser checks it. Everything that can be said of the file is
 * said here, before a machine exists. Used by one thread while a machine is built.
 */
#include "boot/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/util.h"
#include "boot/load.h"

int boot_open_file(const char *path, const char *what, int *fd, uint64_t *size_bytes, struct err *e)
{
	struct stat st;
	int ret;

	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return err_errno(e, errno, "cannot open the %s %s", what, path);
	if (fstat(*fd, &st) < 0)
		ret = err_errno(e, errno, "cannot examine the %s %s", what, path);
	else if (S_ISDIR(st.st_mode))
		ret = err_set(e, EISDIR, "the %s %s is a directory", what, path);
	else if (!S_ISREG(st.st_mode))
		ret = err_set(e, EINVAL, "the %s %s is not a regular file", what, path);
	else if (!st.st_size)
		ret = err_set(e, EINVAL, "the %s %s is empty", what, path);
	else {
		*size_bytes = (uint64_t)st.st_size;
		return 0;
	}
	fd_close(fd);
	return ret;
}

int kernel_read_head(int fd, const char *path, struct kernel_head *head, struct err *e)
{
	ssize_t n = fd_pread_full(fd, head->bytes, sizeof(head->bytes), 0);

	if (n < 0)
		return err_errno(e, (int)-n, "cannot read the kernel %s", path);
	head->len = (size_t)n;
	memset(head->bytes + n, 0, sizeof(head->bytes) - (size_t)n);
	return 0;
}

int kernel_truncated(const struct kernel_image *image, uint64_t needed, struct err *e)
{
	return err_set(e, EINVAL,
		       "the kernel %s is truncated: its header promises %llu bytes, there are %llu",
		       image->path, (unsigned long long)needed,
		       (unsigned long long)image->size_bytes);
}

int kernel_load_piece(const struct gmem *mem, const struct kernel_image *image, uint64_t gpa,
		      uint64_t offset, uint64_t len, struct err *e)
{
	int ret = gmem_load_fd(mem, gpa, image->fd, offset, len);

	if (ret == -EIO)
		return err_set(e, EIO, "cannot read %llu bytes at offset %llu of the kernel %s",
			       (unsigned long long)len, (unsigned long long)offset, image->path);
	if (ret < 0)
		return err_errno(e, -ret, "cannot load the kernel %s to guest address 0x%llx",
				 image->path, (unsigned long long)gpa);
	return 0;
}

static int recognise(struct kernel_image *image, enum kernel_arch host,
		     const struct kernel_head *head, struct err *e)
{
	int ret;

	if (bzimage_sniff(head))
		ret = bzimage_parse(image, head, e);
	else if (elf_sniff(head))
		ret = elf_parse(image, host, head, e);
	else if (arm64_sniff(head))
		ret = arm64_parse(image, head, e);
	else
		ret = err_set(e, EINVAL,
			      "%s is not a kernel that sarang can start: neither a bzImage, an ELF "
			      "vmlinux nor an arm64 Image, plain or compressed with gzip or zstd",
			      image->path);
	if (!ret && image->arch != host)
		ret = err_set(e, EINVAL, "the kernel %s is for %s (%s), this machine is %s",
			      image->path, kernel_arch_name(image->arch),
			      kernel_format_name(image->format), kernel_arch_name(host));
	return ret;
}

int kernel_open(const char *path, enum kernel_arch host, struct kernel_image *image, struct err *e)
{
	struct kernel_head head;
	enum pack_format pack;
	int ret;

	memset(image, 0, sizeof(*image));
	image->fd = -1;
	image->path = strdup(path);
	if (!image->path)
		return err_set(e, ENOMEM, "out of memory");
	ret = boot_open_file(path, "kernel", &image->fd, &image->size_bytes, e);
	if (ret < 0)
		goto out;
	ret = kernel_read_head(image->fd, path, &head, e);
	if (!ret && zboot_sniff(&head)) {
		ret = zboot_extract(path, &head, &image->fd, &image->size_bytes, e);
		if (!ret)
			ret = kernel_read_head(image->fd, path, &head, e);
	}
	if (ret < 0)
		goto out;
	pack = pack_sniff(&head);
	if (pack != PACK_NONE) {
		ret = kernel_unpack(path, pack, KERNEL_SIZE_MAX, &image->fd, &image->size_bytes, e);
		if (ret < 0)
			goto out;
		ret = kernel_read_head(image->fd, path, &head, e);
		if (ret < 0)
			goto out;
	}
	ret = recognise(image, host, &head, e);
out:
	if (ret < 0)
		kernel_close(image);
	return ret;
}

int boot_check_cmdline(const struct kernel_image *image, const char *cmdline, struct err *e)
{
	size_t len = cmdline ? strlen(cmdline) : 0;

	if (len > image->cmdline_max)
		return err_set(e, E2BIG,
			       "the kernel command line has %zu characters, the kernel %s takes at "
			       "most %llu",
			       len, image->path, (unsigned long long)image->cmdline_max);
	return 0;
}

int boot_check_request(const struct kernel_image *image, const struct boot_request *request,
		       struct err *e)
{
	uint64_t size_bytes;
	int fd = -1, ret = boot_check_cmdline(image, request->cmdline, e);

	if (!ret && request->initrd)
		ret = boot_open_file(request->initrd, "initrd", &fd, &size_bytes, e);
	fd_close(&fd);
	return ret;
}

void kernel_close(struct kernel_image *image)
{
	/* A path tells an open image from one that was only zeroed, whose fd 0 is not ours. */
	if (image->path)
		fd_close(&image->fd);
	free(image->path);
	memset(image, 0, sizeof(*image));
	image->fd = -1;
}

const char *kernel_format_name(enum kernel_format format)
{
	switch (format) {
	case KERNEL_BZIMAGE:
		return "bzImage";
	case KERNEL_ELF_PVH:
		return "ELF (PVH)";
	case KERNEL_ELF_LINUX:
		return "ELF (Linux)";
	case KERNEL_ARM64_IMAGE:
		return "arm64 Image";
	}
	return "unknown";
}

const char *kernel_arch_name(enum kernel_arch arch)
{
	return arch == KERNEL_X86_64 ? "x86_64" : "aarch64";
}
