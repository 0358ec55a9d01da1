/* Recording writes and flushes: see file_record.h. On the loop's thread. */
#include "fault/file_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fault/layer.h"

struct recorder {
	struct file_layer layer;
	struct file_record *record;
};

/* A request on its way, in place of the caller's. */
struct noted {
	struct file_req req;
	struct file_req *original;
	struct recorder *recorder;
	size_t index;
};

static struct recorder *recorder_of(struct file *file)
{
	return container_of(file, struct recorder, layer.file);
}

static size_t note(struct file_record *record, const struct file_req *req)
{
	struct record_entry *entry;
	uint64_t copied = 0;
	int i;

	if (record->count == record->cap) {
		record->cap = record->cap ? record->cap * 2 : 64;
		record->entries =
			reallocarray(record->entries, record->cap, sizeof(*record->entries));
		if (!record->entries)
			abort();
	}
	entry = &record->entries[record->count];
	*entry = (struct record_entry){
		.op = req->op,
		.point = req->point,
		.offset_bytes = req->offset_bytes,
		.len_bytes = req->len_bytes,
		.stable_at = SIZE_MAX,
	};
	if (req->op == FILE_WRITE) {
		entry->bytes = malloc(req->len_bytes);
		if (!entry->bytes)
			abort();
		for (i = 0; i < req->iov_count; i++) {
			memcpy(entry->bytes + copied, req->iov[i].iov_base, req->iov[i].iov_len);
			copied += req->iov[i].iov_len;
		}
	}
	return record->count++;
}

/* A flush has ended well: what had completed before it was submitted is stable now. */
static void cover(struct file_record *record, size_t flush)
{
	size_t i;

	for (i = 0; i < flush; i++) {
		struct record_entry *entry = &record->entries[i];

		if (entry->completed && entry->completed_at <= flush &&
		    entry->stable_at == SIZE_MAX)
			entry->stable_at = record->count;
	}
}

static void noted_done(struct file_req *req, int result)
{
	struct noted *noted = container_of(req, struct noted, req);
	struct file_record *record = noted->recorder->record;
	struct record_entry *entry = &record->entries[noted->index];
	struct file_req *original = noted->original;

	entry->completed = result == 0;
	entry->completed_at = record->count;
	if (entry->op == FILE_SYNC && result == 0)
		cover(record, noted->index);
	free(noted);
	original->done(original, result);
}

static void recorder_submit(struct file *file, struct file_req *req)
{
	struct recorder *recorder = recorder_of(file);
	struct noted *noted;

	if (req->op == FILE_READ) {
		file_submit(recorder->layer.below, req);
		return;
	}
	noted = malloc(sizeof(*noted));
	if (!noted)
		abort();
	noted->req = *req;
	noted->req.done = noted_done;
	noted->original = req;
	noted->recorder = recorder;
	noted->index = note(recorder->record, req);
	file_submit(recorder->layer.below, &noted->req);
}

static const struct file_ops recorder_ops = {
	.submit = recorder_submit,
	.kick = layer_kick,
	.extent = layer_extent,
	.size = layer_size,
	.resize = layer_resize,
	.close = layer_close,
};

struct file *file_record_new(struct file *below, struct file_record *record)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return NULL;
	layer_init(&recorder->layer, &recorder_ops, below);
	recorder->record = record;
	return &recorder->layer.file;
}

void file_record_apply(const struct file_record *record, size_t index, unsigned char *image,
		       size_t size)
{
	const struct record_entry *entry = &record->entries[index];
	uint64_t len;

	if (entry->op == FILE_SYNC || entry->op == FILE_ALLOCATE || entry->offset_bytes >= size)
		return;
	len = MIN(entry->len_bytes, size - entry->offset_bytes);
	if (entry->op == FILE_WRITE)
		memcpy(image + entry->offset_bytes, entry->bytes, len);
	else
		memset(image + entry->offset_bytes, 0, len);
}

void file_record_free(struct file_record *record)
{
	size_t i;

	for (i = 0; i < record->count; i++)
		free(record->entries[i].bytes);
	free(record->entries);
	*record = (struct file_record){0};
}
