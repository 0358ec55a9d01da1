/* sarang disk: what its verbs share. Private to cmd_disk.c and disk_*.c. */
#ifndef SARANG_CLI_DISK_H
#define SARANG_CLI_DISK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "block/blk.h"
#include "block/file.h"
#include "cli/option.h"

/* What can be said to any of them. */
struct disk_settings {
	char *format;     /* -f: of the image; NULL: not said */
	char *out_format; /* -O */
	char *prealloc;   /* off, metadata, falloc, full */
	char *backing, *backing_format;
	char *compression;
	char *repair;  /* leaks, all */
	char *pattern; /* seq, rand */
	char *data_file;
	uint64_t cluster_bytes, sparse_bytes, size_bytes, step_bytes;
	unsigned depth, count, flush_every;
	bool json, chain, shrink, backing_ok, compress, unsafe, write, direct;
};

struct disk_verb {
	const char *name;
	const char *usage;
	const char *options; /* the names it knows, each between blanks */
	size_t operands_min, operands_max;
	/* Exit status, or -errno with a sentence. */
	int (*run)(const struct disk_settings *settings, char *const *operands, size_t count,
		   struct err *e);
};

extern const struct disk_verb disk_create, disk_info, disk_check, disk_convert, disk_resize,
	disk_map, disk_compare, disk_snapshot, disk_commit, disk_rebase, disk_measure, disk_bench;

/* An image that is open on a loop of its own. */
struct disk {
	struct loop *loop;
	struct blk *blk;
};

/* Opens for reading or writing. 0 or -errno with a sentence. */
int disk_open(struct disk *disk, const struct blk_options *options, struct err *e);
void disk_close(struct disk *disk);

/*
 * The format of @path, for reading only: the one that is @said, or qcow2 where it looks like one,
 * else raw. NULL with a sentence.
 */
const char *disk_read_format(const char *path, const char *said, struct err *e);

/* The same for writing, where it is never guessed: what looks like a qcow2 has to be named. */
const char *disk_write_format(const char *path, const char *said, struct err *e);

/*
 * A new file beside @path, in its place only when disk_new_commit has succeeded: with the mode and,
 * if that is possible, the owner of the file that is there. Ends with disk_new_abandon.
 */
struct disk_new {
	const char *path;
	char *real;      /* @path without a symbolic link at its end */
	char *temporary; /* what is written; @path itself for a device */
	struct stat old; /* of what is there */
	bool device;     /* is there, and is written in place */
	bool replaces;   /* a file is there */
};

int disk_new_begin(struct disk_new *file, const char *path, struct err *e);
int disk_new_commit(struct disk_new *file, struct err *e);
/* After commit it does nothing. */
void disk_new_abandon(struct disk_new *file);

/* What is to be made. */
struct disk_recipe {
	const char *format;
	uint64_t size_bytes;
	const struct disk_settings *settings;
	const char *backing, *backing_format;
	const char *data_file; /* is there, and empty */
};

/* Makes the image in @path, which is there and empty, or a device. 0 or -errno with a sentence. */
int disk_make(const char *path, const struct disk_recipe *recipe, struct err *e);

/* @name as seen from the folder of @image, to be freed; NULL: out of memory. */
char *disk_beside(const char *image, const char *name);

/* A file's or a snapshot's name, which may be anything, where JSON wants UTF-8. */
json_t *disk_json_text(const char *text);

/* Set by SIGINT, SIGTERM and SIGHUP once disk_catch_signals was called. */
void disk_catch_signals(void);
bool disk_interrupted(void);

#endif
