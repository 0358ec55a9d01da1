/* A raw image in a directory of its own, opened the way a test wants it, and requests that are
 * checked. */
#ifndef SARANG_TESTS_BLOCK_IMAGE_CASE_H
#define SARANG_TESTS_BLOCK_IMAGE_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "block/blk.h"
#include "block/file.h"
#include "fault/file_faults.h"
#include "fault/file_record.h"
#include "suite.h"

struct image_case {
	struct loop *loop;
	char dir[32];
	char path[64];
	char device[32]; /* opened in place of the image when it is set */
	struct file *file;
	struct blk *blk;
	struct file_faults plan;   /* in front of the file from image_open on */
	struct file_record record; /* in front of that */
	unsigned completions;
	bool inside_submit;
};

/* The ways an image is opened in tests that run over all of them. */
enum image_way {
	IMAGE_URING,
	IMAGE_THREADS,
	IMAGE_URING_DIRECT,
	IMAGE_THREADS_DIRECT,
	IMAGE_WAYS,
};

/* Makes the directory, the loop and an image of @size bytes of zeroes. */
void image_make(struct image_case *c, uint64_t size);

/* Opens the image for writing. False: this file system does no direct I/O. */
bool image_open(struct image_case *c, enum image_way way);

/* Closes the image, which may have requests under way; the rest stays. */
void image_close(struct image_case *c);

/* Removes everything. */
void image_free(struct image_case *c);

/* A request whose completion is counted, and checked for not coming inside submit. */
struct image_req {
	struct blk_req req;
	struct image_case *owner;
	unsigned completions;
	int result;
};

/* Submits it; the members of @r->req but done and opaque are filled. */
void image_submit(struct image_case *c, struct image_req *r);

/* Submits a request without iovecs and waits for its result. */
int image_do(struct image_case *c, enum blk_op op, uint64_t offset, uint64_t len);

#endif
