/*
 * The initrd: read as it is to the highest place in guest memory that the kernel accepts, where it
 * is farthest from a kernel that unpacks itself.
 */
#include <errno.h>

#include "base/fd.h"
#include "base/size.h"
#include "base/util.h"
#include "boot/load.h"

#define PAGE_BYTES 4096 /* the guest's */

/* More memory helps, or it does not. */
static int refuse(const struct gmem *mem, const char *path, uint64_t len,
		  const struct initrd_space *space, struct err *e)
{
	unsigned long long mib = (len + MIB(1) - 1) >> 20;
	char text[SIZE_TEXT_MAX];

	if (space->start > space->limit || len > space->limit - space->start)
		return err_set(e, ENOSPC,
			       "the initrd %s (%llu MiB) is too large for this kernel: it has to "
			       "lie between 0x%llx, where the kernel ends, and 0x%llx",
			       path, mib, (unsigned long long)space->start,
			       (unsigned long long)space->limit);
	return err_set(e, ENOSPC,
		       "the initrd %s (%llu MiB) does not fit into %s of memory next to the "
		       "kernel: give the guest more with --memory",
		       path, mib, size_format(gmem_total_bytes(mem), text));
}

int initrd_load(const struct gmem *mem, const char *path, const struct initrd_space *space,
		struct boot_entry *entry, struct err *e)
{
	uint64_t len, gpa;
	int fd, ret;

	ret = boot_open_file(path, "initrd", &fd, &len, e);
	if (ret < 0)
		return ret;
	gpa = len <= space->end ? align_down(space->end - len, PAGE_BYTES) : 0;
	if (len > space->end || gpa < space->start) {
		ret = refuse(mem, path, len, space, e);
		goto out;
	}
	ret = gmem_load_fd(mem, gpa, fd, 0, len);
	if (ret == -EIO)
		err_set(e, EIO, "cannot read all %llu bytes of the initrd %s",
			(unsigned long long)len, path);
	else if (ret < 0)
		err_errno(e, -ret, "cannot load the initrd %s to guest address 0x%llx", path,
			  (unsigned long long)gpa);
	else {
		entry->initrd_gpa = gpa;
		entry->initrd_bytes = len;
	}
out:
	fd_close(&fd);
	return ret;
}
