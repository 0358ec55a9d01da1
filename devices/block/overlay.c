/* Ephemeral disks: see overlay.h. Runs on the thread of the loop that the base is attached to. */
#include "block/overlay.h"

#include <errno.h>

#include "block/file.h"
#include "block/qcow2.h"
#include "block/qcow2_tools.h"

static int make_image(struct blk *base, const char *base_path, struct file **out, struct err *e)
{
	struct qcow2_create_options create = {.size_bytes = base->info.capacity_bytes};
	struct file_desc desc;
	int ret = file_desc_temporary(&desc, base_path, e);

	if (ret < 0)
		return ret;
	ret = file_attach(&desc, base->loop, FILE_ENGINE_AUTO, out, e);
	if (ret < 0) {
		file_desc_close(&desc);
		return ret;
	}
	ret = qcow2_create(*out, &create, e);
	if (ret < 0)
		file_close(*out);
	return ret;
}

int overlay_open(struct blk *base, const char *base_path, struct blk **out, struct err *e)
{
	struct blk_options options = {.path = base_path};
	struct file *file;
	int ret = make_image(base, base_path, &file, e);

	if (ret < 0)
		return ret;
	ret = qcow2_open(file, &options, out, e);
	if (ret < 0) {
		file_close(file);
		return ret;
	}
	qcow2_put_over(*out, base);
	return 0;
}
