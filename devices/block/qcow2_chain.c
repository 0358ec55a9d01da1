/*
 * The other files that an image names: its backing file and its external data file.
 *
 * An image from somewhere else may name any file of the host (CVE-2024-4467, CVE-2026-27211). So
 * only files that really lie, after all symbolic links, in the image's own directory or below are
 * opened, unless the user allows more; and only with the format that the image names.
 */
#include "block/qcow2_chain.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define CHAIN_MAX 64u

/* The directory of @path, resolved, without a slash at its end; owned by the caller. */
static char *directory_of(const char *path)
{
	char *real = realpath(path, NULL), *slash;

	slash = real ? strrchr(real, '/') : NULL;
	if (slash)
		*slash = '\0';
	return real;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* @name as seen from the directory of @image. */
static char *join(const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');
	struct strbuf path = {0};

	if (name[0] != '/' && slash)
		strbuf_add(&path, image, (size_t)(slash - image) + 1);
	strbuf_addstr(&path, name);
	return strbuf_take(&path);
}

int qcow2_chain_path(const char *image, const char *name, const char *what,
		     const struct blk_options *options, char **out, struct err *e)
{
	char *joined, *real = NULL, *dir = NULL;
	int ret = 0;

	/* "nbd:", "json:{...}" and the like are QEMU's, and no files. */
	if (!strncmp(name, "file:", 5))
		name += 5;
	else if (strchr(name, ':') && strcspn(name, ":") < strcspn(name, "/"))
		return err_set(e, ENOTSUP, "disk %s: its %s %s is not a file", image, what, name);
	joined = join(image, name);
	if (options->backing_ok) {
		*out = joined;
		return 0;
	}
	real = realpath(joined, NULL);
	dir = directory_of(image);
	if (!real || !dir)
		ret = err_errno(e, errno, "disk %s: cannot find its %s %s", image, what, name);
	else if (!is_below(real, dir))
		ret = err_set(
			e, EACCES,
			"disk %s names a %s outside of its own directory, %s: add "
			"backing=ok to the disk (for sarang disk: --backing-ok) if you trust it",
			image, what, name);
	free(joined);
	free(dir);
	if (ret < 0)
		free(real);
	else
		*out = real;
	return ret;
}

int qcow2_chain_open(const char *image, const struct qcow2_header *h,
		     const struct blk_options *options, struct loop *loop, struct blk **out,
		     struct err *e)
{
	struct blk_options below = {
		.format = h->backing_format,
		.read_only = true,
		.direct = options->direct,
		.backing_ok = options->backing_ok,
		.depth = options->depth + 1,
	};
	char *path;
	int ret;

	if (!h->backing_format)
		return err_set(
			e, EINVAL,
			"disk %s does not say which format its backing file %s has, and that "
			"is never guessed: sarang disk rebase -u -b FILE -F FORMAT says it",
			image, h->backing_name);
	if (below.depth > CHAIN_MAX)
		return err_set(e, ELOOP,
			       "disk %s: more than %u backing files in a row: the chain may lead "
			       "back to itself",
			       image, CHAIN_MAX);
	ret = qcow2_chain_path(image, h->backing_name, "backing file", options, &path, e);
	if (ret < 0)
		return ret;
	below.path = path;
	ret = blk_open(&below, loop, out, e);
	/* Once: in a long chain, what it is about would not be seen any more. */
	if (ret < 0 && !options->depth)
		ret = err_prefix(e, "backing file of %s", image);
	free(path);
	return ret;
}

int qcow2_chain_data(const char *image, const struct qcow2_header *h,
		     const struct blk_options *options, struct loop *loop, struct file **out,
		     struct err *e)
{
	struct file_options data = {.read_only = options->read_only, .direct = options->direct};
	char *path;
	int ret;

	if (!h->data_name)
		return err_set(e, EINVAL, "disk %s does not name its data file", image);
	ret = qcow2_chain_path(image, h->data_name, "data file", options, &path, e);
	if (ret < 0)
		return ret;
	data.path = path;
	ret = file_open(&data, loop, out, e);
	if (ret < 0)
		ret = err_prefix(e, "data file of %s", image);
	free(path);
	return ret;
}
