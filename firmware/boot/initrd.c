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

int initrd_load(const struct gmem *mem, const char *path, const struct initrd_space *space,
		struct boot_entry *entry, struct err *e)
{
	char text[SIZE_TEXT_MAX];
	uint64_t len, gpa;
	int fd, ret;

	ret = boot_open_file(path, "initrd", &fd, &len, e);
	if (ret < 0)
		return ret;
	gpa = len <= space->end ? align_down(space->end - len, PAGE_BYTES) : 0;
	if (len > space->end || gpa < space->start) {
		ret = err_set(e, ENOSPC,
			      "the initrd %s (%llu MiB) does not fit into %s of memory next to the "
			      "kernel: give the guest more with --memory",
			      path, (unsigned long long)(len + MIB(1) - 1) >> 20,
			      size_format(gmem_total_bytes(mem), text));
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
