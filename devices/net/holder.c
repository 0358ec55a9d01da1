/*
 * Who has a port: see holder.h. /proc/net/{tcp,udp}{,6} (proc(5)) give the inode of each socket
 * with its local port, and /proc/PID/fd links name the inode of each socket that a process has
 * open.
 */
#include "net/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

#define TCP_LISTENING 0x0a

/* The inode of the socket in the table at @path that is bound to @port (and listens); 0: none. */
static unsigned long find_inode(const char *path, uint16_t port, bool udp)
{
	unsigned long inode, found = 0;
	unsigned local, state;
	char line[512];
	FILE *table = fopen(path, "re");

	while (table && !found && fgets(line, sizeof(line), table))
		if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu",
			   &local, &state, &inode) == 3 &&
		    local == port && (udp || state == TCP_LISTENING))
			found = inode;
	if (table)
		fclose(table);
	return found;
}

static bool process_has(const char *pid, unsigned long inode)
{
	char wanted[64], path[64], name[64];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *dir;

	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, name, sizeof(name) - 1);
		name[MAX(len, 0)] = '\0';
		found = !strcmp(name, wanted);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void write_holder(const char *pid, char text[NET_HOLDER_TEXT_MAX])
{
	char path[64], name[32] = "?";
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	comm = fopen(path, "re");
	if (comm && fgets(name, sizeof(name), comm))
		name[strcspn(name, "\n")] = '\0';
	if (comm)
		fclose(comm);
	snprintf(text, NET_HOLDER_TEXT_MAX, "process %.16s (%s) has it", pid, name);
}

bool net_port_holder(const struct net_forward *wanted, char text[NET_HOLDER_TEXT_MAX])
{
	static const char *const tables[2][2] = {
		{"/proc/net/tcp", "/proc/net/tcp6"},
		{"/proc/net/udp", "/proc/net/udp6"},
	};
	unsigned long inode = 0;
	struct dirent *entry;
	bool found = false;
	DIR *dir;
	int i;

	for (i = 0; i < 2 && !inode; i++)
		inode = find_inode(tables[wanted->udp][i], net_endpoint_port(&wanted->host),
				   wanted->udp);
	dir = inode ? opendir("/proc") : NULL;
	while (dir && !found && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name) && process_has(entry->d_name, inode)) {
			write_holder(entry->d_name, text);
			found = true;
		}
	if (dir)
		closedir(dir);
	return found;
}
