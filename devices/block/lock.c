/*
 * Image locks: see lock.h.
 *
 * Open file description locks (fcntl(2), F_OFD_SETLK): unlike the older POSIX record locks they
 * belong to one opening of the file, so that another part of the process that opens and closes the
 * same file does not drop them.
 *
 * The scheme is QEMU's. Each permission is a number; who uses permission n holds a shared lock on
 * byte 100 + n, who does not tolerate it with others holds one on byte 200 + n. Everybody takes
 * shared locks first, then tests whether an exclusive lock would be possible on the opposite byte:
 * somebody else's "uses" against one's own "does not tolerate", and the other way round. Of two
 * that come at the same moment both may be refused, never none.
 *
 * Blocking, on any thread.
 */
#include "block/lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define LOCK_USED_BASE   100
#define LOCK_DENIED_BASE 200

/* QEMU's BLK_PERM_ bits, by number. */
#define PERM_CONSISTENT_READ 0
#define PERM_WRITE           1
#define PERM_RESIZE          3
#define PERM_COUNT           4

/* How long a lock that no process seems to hold is waited for. */
#define GHOST_TRIES   20u
#define GHOST_WAIT_US 10000u

#define BIT(n) (1u << (n))

static int take_shared(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Whether another opening holds a lock on @byte. */
static bool held_by_other(int fd, off_t byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int take_all(int fd, unsigned used, unsigned denied)
{
	unsigned n;
	int ret = 0;

	for (n = 0; n < PERM_COUNT && !ret; n++) {
		if (used & BIT(n))
			ret = take_shared(fd, LOCK_USED_BASE + (off_t)n);
		if (!ret && (denied & BIT(n)))
			ret = take_shared(fd, LOCK_DENIED_BASE + (off_t)n);
	}
	return ret;
}

static bool conflicts(int fd, unsigned used, unsigned denied)
{
	unsigned n;

	for (n = 0; n < PERM_COUNT; n++) {
		if ((used & BIT(n)) && held_by_other(fd, LOCK_DENIED_BASE + (off_t)n))
			return true;
		if ((denied & BIT(n)) && held_by_other(fd, LOCK_USED_BASE + (off_t)n))
			return true;
	}
	return false;
}

/* Whether descriptor @fd_name of process @pid holds an open file description lock. */
static bool holds_lock(const char *pid, const char *fd_name)
{
	char path[64], line[256];
	bool found = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd_name);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (!found && fgets(line, sizeof(line), info))
		found = strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK");
	fclose(info);
	return found;
}

static bool process_holds(const char *pid, const struct stat *image, int own_fd)
{
	bool self = strtol(pid, NULL, 10) == getpid();
	struct dirent *entry;
	bool found = false;
	struct stat st;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (self && strtol(entry->d_name, NULL, 10) == own_fd)
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) < 0)
			continue;
		found = st.st_dev == image->st_dev && st.st_ino == image->st_ino &&
			holds_lock(pid, entry->d_name);
	}
	closedir(dir);
	return found;
}

/*
 * Who else has @fd's file locked, as the kernel shows it to us: the locks themselves carry no
 * process. Returns the process, 0 for unknown (another user's, another host's).
 */
static pid_t find_holder(int fd)
{
	struct dirent *entry;
	struct stat image;
	pid_t holder = 0;
	DIR *proc;

	if (fstat(fd, &image) < 0)
		return 0;
	proc = opendir("/proc");
	if (!proc)
		return 0;
	while (!holder && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    process_holds(entry->d_name, &image, fd))
			holder = (pid_t)strtol(entry->d_name, NULL, 10);
	closedir(proc);
	return holder;
}

static void command_name(pid_t pid, char *name, size_t size)
{
	char path[64];
	FILE *comm;

	snprintf(name, size, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	comm = fopen(path, "re");
	if (!comm)
		return;
	if (fgets(name, (int)size, comm))
		name[strcspn(name, "\n")] = '\0';
	fclose(comm);
}

static int refuse(int fd, const char *path, pid_t holder, struct err *e)
{
	bool written = held_by_other(fd, LOCK_USED_BASE + PERM_WRITE);
	const char *how = written ? "open for writing" : "open";
	char name[32];

	if (!holder)
		return err_set(e, EBUSY, "disk %s is in use: another process has it %s", path, how);
	if (holder == getpid())
		return err_set(e, EBUSY, "disk %s is in use: it is given twice, and one has it %s",
			       path, how);
	command_name(holder, name, sizeof(name));
	return err_set(e, EBUSY, "disk %s is in use: process %d (%s) has it %s", path, (int)holder,
		       name, how);
}

int lock_image(int fd, const char *path, bool writer, struct err *e)
{
	unsigned denied = BIT(PERM_WRITE) | BIT(PERM_RESIZE);
	unsigned used = BIT(PERM_CONSISTENT_READ) | (writer ? denied : 0);
	unsigned tries = 0;
	pid_t holder;
	int ret;

	for (;;) {
		ret = take_all(fd, used, denied);
		/* Somebody holds one of these bytes for himself alone: not QEMU's way, but in use.
		 */
		if (ret != -EAGAIN && ret != -EACCES) {
			if (ret < 0)
				log_warn("disk %s is used without a lock: %s", path,
					 strerror(-ret));
			if (ret < 0 || !conflicts(fd, used, denied))
				return 0;
		}
		holder = find_holder(fd);
		/* A killed process is gone before the I/O it had under way is, which keeps its
		 * locks. */
		if (holder || tries++ >= GHOST_TRIES)
			break;
		usleep(GHOST_WAIT_US);
	}
	lock_release(fd);
	return refuse(fd, path, holder, e);
}

void lock_release(int fd)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	fcntl(fd, F_OFD_SETLK, &lock);
}
