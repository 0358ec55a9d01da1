/*
 * Changing the backing file that an image names: see qcow2_tools.h.
 *
 * The new name is written to a part of the header's cluster that nothing refers to, and made
 * stable; then the first sector, which holds the name's place and, in front of all other
 * extensions, its format. Where the image named no format before, extensions behind the first
 * sector move, and a power cut in the middle of writing them may leave the header in two halves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "block/qcow2_tools.h"

#define ALIGN 4096u

/* The extension with the format: changed in its place, or put in front of all others. */
static int set_format(struct qcow2_header *h, const char *format)
{
	struct qcow2_extension first;
	uint32_t len = (uint32_t)strlen(format);
	unsigned i;

	for (i = 0; i < h->extension_count; i++)
		if (h->extensions[i].type == QCOW2_EXT_BACKING_FORMAT)
			break;
	if (i < h->extension_count) {
		unsigned char *bytes = (unsigned char *)strdup(format);

		if (!bytes)
			return -ENOMEM;
		free(h->extensions[i].bytes);
		h->extensions[i].bytes = bytes;
		h->extensions[i].len_bytes = len;
		return 0;
	}
	if (qcow2_header_set_extension(h, QCOW2_EXT_BACKING_FORMAT, format, len) < 0)
		return -ENOMEM;
	first = h->extensions[i];
	memmove(h->extensions + 1, h->extensions, i * sizeof(first));
	h->extensions[0] = first;
	return 0;
}

/* Sets the fields of @h. A format without a name stays: it says nothing, and nothing moves. */
static int change_header(struct qcow2_header *h, const char *name, const char *format)
{
	char *new_name = name ? strdup(name) : NULL, *new_format = NULL;

	if (name && (!new_name || set_format(h, format) < 0))
		goto fail;
	if (name) {
		new_format = strdup(format);
		if (!new_format)
			goto fail;
		free(h->backing_format);
		h->backing_format = new_format;
	}
	free(h->backing_name);
	h->backing_name = new_name;
	return 0;
fail:
	free(new_name);
	return -ENOMEM;
}

/*
 * Encodes the header into @bytes, a cluster, with its name where it does not touch the old one, if
 * there is room for that. 0 or -ENOSPC.
 */
static int encode(struct qcow2 *q, unsigned char *bytes, uint64_t old_at, uint64_t old_len)
{
	char *name = q->h.backing_name;
	uint64_t len = name ? strlen(name) : 0, at;
	int ret;

	memcpy(bytes, q->raw_header, q->h.header_bytes);
	q->h.backing_name = NULL;
	ret = qcow2_header_write(&q->h, bytes, q->cluster_bytes);
	q->h.backing_name = name;
	if (ret < 0)
		return ret;
	at = align_up((uint64_t)ret, 8);
	if (old_len && at < old_at + old_len && old_at < at + len &&
	    align_up(old_at + old_len, 8) + len <= q->cluster_bytes)
		at = align_up(old_at + old_len, 8);
	if (at + len > q->cluster_bytes)
		return -ENOSPC;
	/* The old name stays: it counts until the first sector is written. */
	if (old_at >= (uint64_t)ret && old_at + old_len <= q->cluster_bytes)
		memcpy(bytes + old_at, q->raw_header + old_at, old_len);
	qcow2_header_place_name(bytes, name, at);
	return 0;
}

static int write_part(struct qcow2 *q, unsigned char *bytes, uint64_t from, uint64_t end)
{
	struct iovec iov = {bytes + from, end - from};
	int ret = file_wait(q->file, (struct file_req){.op = FILE_WRITE,
						       .offset_bytes = from,
						       .len_bytes = iov.iov_len,
						       .iov = &iov,
						       .iov_count = 1,
						       .point = "header_update"});

	if (!ret)
		ret = file_wait(q->file, (struct file_req){.op = FILE_SYNC, .point = "flush"});
	return ret;
}

int qcow2_set_backing(struct qcow2 *q, const char *name, const char *format, struct err *e)
{
	uint64_t unit = q->blk.info.block_bytes;
	uint64_t old_at, old_len;
	unsigned char *bytes = aligned_alloc(ALIGN, align_up(q->cluster_bytes, ALIGN));
	const char *path = q->file->desc->path;
	int ret = bytes ? 0 : -ENOMEM;

	if (name && strlen(name) > QCOW2_BACKING_NAME_MAX) {
		free(bytes);
		return err_set(e, EINVAL, "the name of a backing file has at most %u bytes",
			       QCOW2_BACKING_NAME_MAX);
	}
	if (!ret)
		ret = qcow2_settle(q);
	qcow2_header_find_name(q->raw_header, &old_at, &old_len);
	if (!ret) {
		memset(bytes, 0, align_up(q->cluster_bytes, ALIGN));
		ret = change_header(&q->h, name, format);
	}
	if (!ret)
		ret = encode(q, bytes, old_at, old_len);
	if (!ret && memcmp(bytes + unit, q->raw_header + unit, q->cluster_bytes - unit))
		ret = write_part(q, bytes, unit, q->cluster_bytes);
	if (!ret)
		ret = write_part(q, bytes, 0, unit);
	if (!ret) {
		free(q->raw_header);
		q->raw_header = bytes;
		return 0;
	}
	free(bytes);
	return err_errno(e, -ret, "cannot change the backing file that disk %s names", path);
}
