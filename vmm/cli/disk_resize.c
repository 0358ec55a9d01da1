/* sarang disk resize. */
#include <errno.h>
#include <string.h>

#include "base/size.h"
#include "cli/disk.h"

/* The size that @text asks for, from the one that is. 0 or -errno with a sentence. */
static int wanted_size(const char *text, uint64_t now, uint64_t *size, struct err *e)
{
	bool more = *text == '+', less = *text == '-';
	uint64_t bytes;

	if (size_parse(text + (more || less), 1, &bytes) < 0)
		return err_set(e, EINVAL, "%s is not a size such as 20G, +5G or -1G", text);
	if (less && bytes > now)
		return err_set(e, EINVAL, "the disk is smaller than %s", text + 1);
	if (more && __builtin_add_overflow(now, bytes, &bytes))
		return err_set(e, EINVAL, "no disk is that large");
	*size = less ? now - bytes : bytes;
	return 0;
}

static int run(const struct disk_settings *settings, char *const *operands, size_t count,
	       struct err *e)
{
	struct blk_options options = {
		.path = operands[0],
		.format = disk_write_format(operands[0], settings->format, e),
		.backing_ok = settings->backing_ok,
	};
	struct disk disk;
	uint64_t size = 0;
	int ret;

	(void)count;
	ret = options.format ? disk_open(&disk, &options, e) : -EINVAL;
	if (ret < 0)
		return ret;
	ret = wanted_size(operands[1], disk.blk->info.capacity_bytes, &size, e);
	if (!ret && size < disk.blk->info.capacity_bytes && !settings->shrink)
		ret = err_set(e, EINVAL,
			      "disk %s would become smaller, and what is behind its new end lost: "
			      "add --shrink if that is meant",
			      operands[0]);
	if (!ret)
		ret = blk_resize(disk.blk, size, e);
	disk_close(&disk);
	return ret;
}

const struct disk_verb disk_resize = {
	.name = "resize",
	.usage = "[-f FORMAT] [--shrink] FILE [+|-]SIZE",
	.options = " format shrink backing-ok ",
	.operands_min = 2,
	.operands_max = 2,
	.run = run,
};
