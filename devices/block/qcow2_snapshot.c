/* The snapshot table of a qcow2 image: "Snapshots" of the specification. See qcow2_tools.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "block/qcow2_tools.h"

#define ENTRY_BYTES 40u
#define TABLE_MAX   MIB(64)

static char *text_at(const unsigned char *bytes, size_t len)
{
	char *text = malloc(len + 1);

	if (text) {
		memcpy(text, bytes, len);
		text[len] = '\0';
	}
	return text;
}

/* Decodes the entry at @bytes of @len. Bytes it takes, or -errno. */
static int64_t decode(struct qcow2_snapshot *s, const unsigned char *bytes, uint64_t len)
{
	uint64_t id_len, name_len, extra, size;

	if (len < ENTRY_BYTES)
		return -EINVAL;
	id_len = get_be16(bytes + 12);
	name_len = get_be16(bytes + 14);
	extra = get_be32(bytes + 36);
	if (extra > QCOW2_SNAPSHOT_EXTRA_MAX)
		return -EINVAL;
	size = align_up(ENTRY_BYTES + extra + id_len + name_len, 8);
	if (size > len)
		return -EINVAL;
	*s = (struct qcow2_snapshot){
		.l1_offset = get_be64(bytes),
		.l1_entries = get_be32(bytes + 8),
		.seconds = get_be32(bytes + 16),
		.vm_state_bytes = extra >= 8 ? get_be64(bytes + 40) : get_be32(bytes + 32),
		.disk_bytes = extra >= 16 ? get_be64(bytes + 48) : 0,
		.id = text_at(bytes + ENTRY_BYTES + extra, id_len),
		.name = text_at(bytes + ENTRY_BYTES + extra + id_len, name_len),
	};
	if (!s->id || !s->name)
		return -ENOMEM;
	return s->l1_entries > QCOW2_L1_BYTES_MAX / 8 ? -EINVAL : (int64_t)size;
}

static int decode_all(struct qcow2 *q, struct qcow2_snapshots *list, const unsigned char *bytes,
		      uint64_t len)
{
	uint64_t at = 0;

	list->list = calloc(q->h.snapshot_count, sizeof(*list->list));
	if (!list->list)
		return -ENOMEM;
	while (list->count < q->h.snapshot_count) {
		int64_t size = decode(&list->list[list->count++], bytes + at, len - at);

		if (size < 0)
			return (int)size;
		at += (uint64_t)size;
	}
	list->table_bytes = at;
	return 0;
}

int qcow2_snapshots_read(struct qcow2 *q, struct qcow2_snapshots *list, struct err *e)
{
	uint64_t offset = q->h.snapshots_offset, len;
	unsigned char *bytes;
	int ret;

	*list = (struct qcow2_snapshots){0};
	if (!q->h.snapshot_count)
		return 0;
	if (offset >= q->file_bytes)
		return err_set(e, EINVAL,
			       "disk %s: its snapshot table is beyond the end of the file",
			       q->file->desc->path);
	len = align_up(MIN(q->file_bytes - offset, TABLE_MAX), 4096);
	bytes = aligned_alloc(4096, len);
	if (!bytes)
		return err_set(e, ENOMEM, "out of memory");
	memset(bytes, 0, len);
	ret = file_pread(q->file, offset, bytes, len);
	if (!ret || ret == -ENODATA)
		ret = decode_all(q, list, bytes, len);
	free(bytes);
	if (ret < 0)
		qcow2_snapshots_free(list);
	if (ret < 0)
		return err_errno(e, -ret, "disk %s: cannot read its snapshot table",
				 q->file->desc->path);
	return 0;
}

void qcow2_snapshots_free(struct qcow2_snapshots *list)
{
	unsigned i;

	for (i = 0; i < list->count; i++) {
		free(list->list[i].id);
		free(list->list[i].name);
	}
	free(list->list);
	*list = (struct qcow2_snapshots){0};
}
