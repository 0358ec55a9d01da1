/* What layers in front of a struct file share: the operations that they only hand on. */
#ifndef SARANG_FAULT_LAYER_H
#define SARANG_FAULT_LAYER_H

#include "block/file.h"

/* Embedded first in each layer, which owns @below. */
struct file_layer {
	struct file file;
	struct file *below;
};

void layer_init(struct file_layer *layer, const struct file_ops *ops, struct file *below);

/* Members of struct file_ops. layer_close closes the file below and frees the layer. */
void layer_kick(struct file *file);
int layer_extent(struct file *file, uint64_t offset_bytes, uint64_t *len_bytes, bool *data);
int layer_size(struct file *file, uint64_t *size_bytes);
int layer_resize(struct file *file, uint64_t size_bytes);
void layer_close(struct file *file);

#endif
