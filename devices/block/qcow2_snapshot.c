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

	*s = (struct qcow2_snapshot){0};
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
		.nanoseconds = get_be32(bytes + 20),
		.vm_clock_ns = get_be64(bytes + 24),
		.vm_state_bytes = extra >= 8 ? get_be64(bytes + 40) : get_be32(bytes + 32),
		.disk_bytes = extra >= 16 ? get_be64(bytes + 48) : 0,
		.icount = extra >= 24 ? get_be64(bytes + 56) : UINT64_MAX,
		.id = text_at(bytes + ENTRY_BYTES + extra, id_len),
		.name = text_at(bytes + ENTRY_BYTES + extra + id_len, name_len),
		.raw = malloc(size),
		.raw_bytes = size,
	};
	if (!s->id || !s->name || !s->raw)
		return -ENOMEM;
	memcpy(s->raw, bytes, size);
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

static void snapshot_free(struct qcow2_snapshot *s)
{
	free(s->id);
	free(s->name);
	free(s->raw);
}

void qcow2_snapshots_free(struct qcow2_snapshots *list)
{
	unsigned i;

	for (i = 0; i < list->count; i++)
		snapshot_free(&list->list[i]);
	free(list->list);
	*list = (struct qcow2_snapshots){0};
}

const struct qcow2_snapshot *qcow2_snapshots_find(const struct qcow2_snapshots *list,
						  const char *name)
{
	unsigned i;

	for (i = 0; i < list->count; i++)
		if (!strcmp(list->list[i].id, name))
			return &list->list[i];
	for (i = 0; i < list->count; i++)
		if (!strcmp(list->list[i].name, name))
			return &list->list[i];
	return NULL;
}

#define EXTRA_BYTES 24u /* size of the VM's state, of the disk, instruction count */

int qcow2_snapshots_add(struct qcow2_snapshots *list, const struct qcow2_snapshot *s)
{
	size_t id_len = strlen(s->id), name_len = strlen(s->name);
	uint64_t size = align_up(ENTRY_BYTES + EXTRA_BYTES + id_len + name_len, 8);
	struct qcow2_snapshot *more;
	unsigned char *raw;
	int64_t ret;

	if (list->table_bytes + size > TABLE_MAX)
		return -EFBIG;
	more = reallocarray(list->list, list->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->list = more;
	raw = calloc(1, size);
	if (!raw)
		return -ENOMEM;
	put_be64(raw, s->l1_offset);
	put_be32(raw + 8, s->l1_entries);
	put_be16(raw + 12, (uint16_t)id_len);
	put_be16(raw + 14, (uint16_t)name_len);
	put_be32(raw + 16, s->seconds);
	put_be32(raw + 20, s->nanoseconds);
	put_be64(raw + 24, s->vm_clock_ns);
	put_be32(raw + 36, EXTRA_BYTES);
	put_be64(raw + 40, s->vm_state_bytes);
	put_be64(raw + 48, s->disk_bytes);
	put_be64(raw + 56, s->icount);
	memcpy(raw + ENTRY_BYTES + EXTRA_BYTES, s->id, id_len);
	memcpy(raw + ENTRY_BYTES + EXTRA_BYTES + id_len, s->name, name_len);
	ret = decode(&more[list->count], raw, size);
	if (ret > 0) {
		list->count++;
		list->table_bytes += size;
	} else {
		snapshot_free(&more[list->count]);
	}
	free(raw);
	return ret < 0 ? (int)ret : 0;
}

void qcow2_snapshots_remove(struct qcow2_snapshots *list, const struct qcow2_snapshot *s)
{
	size_t at = (size_t)(s - list->list);

	list->table_bytes -= s->raw_bytes;
	snapshot_free(&list->list[at]);
	list->count--;
	memmove(&list->list[at], &list->list[at + 1], (list->count - at) * sizeof(*list->list));
}
