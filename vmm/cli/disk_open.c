/* sarang disk: opening images, and putting new ones in place. See disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "block/qcow2_tools.h"
#include "cli/disk.h"

static volatile sig_atomic_t interrupted;

static void note_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

void disk_catch_signals(void)
{
	struct sigaction action = {.sa_handler = note_signal}, old;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* A terminal that is closed; nohup has it ignored. */
	if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
}

bool disk_interrupted(void)
{
	return interrupted;
}

int disk_open(struct disk *disk, const struct blk_options *options, struct err *e)
{
	int ret;

	*disk = (struct disk){0};
	ret = loop_new(&disk->loop, e);
	if (!ret)
		ret = blk_open(options, disk->loop, &disk->blk, e);
	if (ret < 0)
		disk_close(disk);
	return ret;
}

void disk_close(struct disk *disk)
{
	blk_close(disk->blk);
	loop_free(disk->loop);
	*disk = (struct disk){0};
}

/* 1 when @path begins as a qcow2 does, 0 when not, -errno with a sentence. */
static int looks_like_qcow2(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char magic[4] = {0};
	ssize_t got;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "disk %s does not exist", path);
	if (fd < 0)
		return err_errno(e, errno, "cannot open disk %s", path);
	got = fd_pread_full(fd, magic, sizeof(magic), 0);
	close(fd);
	return got == sizeof(magic) && get_be32(magic) == QCOW2_MAGIC;
}

const char *disk_read_format(const char *path, const char *said, struct err *e)
{
	int ret = said ? 0 : looks_like_qcow2(path, e);

	if (ret < 0)
		return NULL;
	return said ? said : ret ? "qcow2" : "raw";
}

const char *disk_write_format(const char *path, const char *said, struct err *e)
{
	int ret = said ? 0 : looks_like_qcow2(path, e);

	if (ret > 0)
		err_set(e, EINVAL,
			"disk %s looks like a qcow2 image, which a raw disk's guest may have "
			"written: say which it is with -f qcow2 or -f raw",
			path);
	return ret ? NULL : said ? said : "raw";
}

/*
 * What is there under the new file's name: nothing, a file or a device. An image that somebody uses
 * must not disappear from under him.
 */
static int examine_old(struct disk_new *file, struct err *e)
{
	struct file_options options = {.path = file->path};
	struct file_desc desc;
	int ret;

	if (!*file->path)
		return err_set(e, EINVAL, "the new disk needs a name");
	if (stat(file->path, &file->old) < 0)
		return lstat(file->path, &file->old) < 0
			       ? 0
			       : err_set(e, ENOENT, "%s is a symbolic link that leads nowhere",
					 file->path);
	file->device = S_ISBLK(file->old.st_mode);
	if (!file->device && !S_ISREG(file->old.st_mode))
		return err_set(e, EINVAL, "%s is there, and is not a file", file->path);
	file->replaces = !file->device;
	ret = file_desc_open(&desc, &options, e);
	if (!ret)
		file_desc_close(&desc);
	return ret;
}

/* Who may use the new file: as with the one in whose place it comes. */
static int keep_owner(const struct disk_new *file, int fd, struct err *e)
{
	const struct stat *old = &file->old;

	if (!file->replaces)
		return 0;
	/* Another's file stays his where that is possible; the mode must not give away more. */
	if (fchown(fd, old->st_uid, old->st_gid) < 0 && errno != EPERM)
		return err_errno(e, errno, "cannot set the owner of %s", file->temporary);
	if (fchmod(fd, old->st_mode & 07777) < 0)
		return err_errno(e, errno, "cannot set the mode of %s", file->temporary);
	return 0;
}

static int create_temporary(struct disk_new *file, struct err *e)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, ret;
	int fd = open(file->temporary, flags, file->replaces ? 0600 : 0666);

	if (fd < 0) {
		ret = err_errno(e, errno, "cannot create %s", file->temporary);
		/* If it is there, it is not ours to remove. */
		free(file->temporary);
		file->temporary = NULL;
		return ret;
	}
	ret = keep_owner(file, fd, e);
	close(fd);
	return ret;
}

int disk_new_begin(struct disk_new *file, const char *path, struct err *e)
{
	int ret;

	*file = (struct disk_new){.path = path};
	ret = examine_old(file, e);
	if (ret < 0)
		return ret;
	/* A symbolic link stays, and leads to the new file. */
	file->real = file->replaces ? realpath(path, NULL) : strdup(path);
	if (!file->real)
		return err_errno(e, errno, "cannot find %s", path);
	if (asprintf(&file->temporary, file->device ? "%s" : "%s.%d.part", file->real,
		     (int)getpid()) < 0) {
		file->temporary = NULL;
		ret = err_set(e, ENOMEM, "out of memory");
	}
	if (!ret && !file->device)
		ret = create_temporary(file, e);
	if (ret < 0)
		disk_new_abandon(file);
	return ret;
}

char *disk_beside(const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');
	char *path = NULL;

	if (name[0] == '/' || !slash)
		return strdup(name);
	return asprintf(&path, "%.*s/%s", (int)(slash - image), image, name) < 0 ? NULL : path;
}

json_t *disk_json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy, *p;

	if (json)
		return json;
	copy = strdup(text);
	for (p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

/* Makes the new name itself durable. */
static void sync_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	if (slash)
		slash[1] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

int disk_new_commit(struct disk_new *file, struct err *e)
{
	if (!file->device && rename(file->temporary, file->real) < 0)
		return err_errno(e, errno, "cannot put %s in place", file->path);
	if (!file->device)
		sync_folder(file->real);
	free(file->temporary);
	file->temporary = NULL;
	return 0;
}

void disk_new_abandon(struct disk_new *file)
{
	if (file->temporary && !file->device)
		unlink(file->temporary);
	free(file->temporary);
	free(file->real);
	file->temporary = file->real = NULL;
}
