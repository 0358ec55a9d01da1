/* Handing on: see layer.h. */
#include "fault/layer.h"

#include <stdlib.h>

#include "base/util.h"

static struct file *below_of(struct file *file)
{
	return container_of(file, struct file_layer, file)->below;
}

void layer_init(struct file_layer *layer, const struct file_ops *ops, struct file *below)
{
	layer->file = (struct file){.ops = ops, .loop = below->loop, .desc = below->desc};
	layer->below = below;
}

void layer_kick(struct file *file)
{
	file_kick(below_of(file));
}

int layer_extent(struct file *file, uint64_t offset_bytes, uint64_t *len_bytes, bool *data)
{
	struct file *below = below_of(file);

	return below->ops->extent(below, offset_bytes, len_bytes, data);
}

int layer_size(struct file *file, uint64_t *size_bytes)
{
	struct file *below = below_of(file);

	return below->ops->size(below, size_bytes);
}

int layer_resize(struct file *file, uint64_t size_bytes)
{
	struct file *below = below_of(file);

	return below->ops->resize(below, size_bytes);
}

void layer_close(struct file *file)
{
	file_close(below_of(file));
	free(container_of(file, struct file_layer, file));
}
