#include "cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

void cut_write(const struct qcow2_case *c, const struct cut *cut, const char *name)
{
	const struct file_record *record = &c->record;
	uint64_t chance = unit_random(cut->random) % 5;
	size_t size = cut->before_len, i;
	unsigned char *image;
	char path[96];
	FILE *file;

	for (i = 0; i < record->count; i++)
		if (record->entries[i].op == FILE_WRITE)
			size = MAX(size, (size_t)(record->entries[i].offset_bytes +
						  record->entries[i].len_bytes));
	image = calloc(1, size);
	ck_assert_ptr_nonnull(image);
	memcpy(image, cut->before, cut->before_len);
	for (i = 0; i < cut->at; i++)
		if (record->entries[i].stable_at <= cut->at ||
		    unit_random(cut->random) % 4 < chance)
			file_record_apply(record, i, image, size);
	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(image, 1, size, file), size);
	fclose(file);
	free(image);
}
