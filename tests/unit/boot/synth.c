/* Synthetic kernels as files, and memory for them: see synth.h. */
#include "synth.h"

#include <check.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "boot/x86_layout.h"

void synth_file_new(struct synth_file *file, const void *bytes, size_t len)
{
	file->fd = memfd_create("synth", MFD_CLOEXEC);
	ck_assert_int_ge(file->fd, 0);
	ck_assert_int_eq(fd_write_full(file->fd, bytes, len), 0);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
}

void synth_file_free(struct synth_file *file)
{
	fd_close(&file->fd);
}

int synth_open(const void *bytes, size_t len, enum kernel_arch host, struct kernel_image *image,
	       struct err *e)
{
	struct synth_file file;
	int ret;

	synth_file_new(&file, bytes, len);
	ret = kernel_open(file.path, host, image, e);
	synth_file_free(&file);
	return ret;
}

struct gmem *synth_memory(uint64_t low, uint64_t high)
{
	struct gmem *mem;
	struct err e = {0};

	ck_assert_int_eq(gmem_new(&mem, &e), 0);
	ck_assert_msg(!gmem_add(mem, 0, low, &e), "%s", e.text);
	if (high)
		ck_assert_msg(!gmem_add(mem, X86_ABOVE_4G_GPA, high, &e), "%s", e.text);
	return mem;
}
