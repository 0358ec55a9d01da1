/*
 * Who has a port: see holder.h. /proc/net/{tcp,udp}{,6} (proc(5)) give the inode of each socket
 * with its local address and port, and /proc/PID/fd links name the inode of each socket that a
 * process has open.
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

/* "0100007F": an address as the tables have it, 32 bits at a time as they lie in memory. */
static bool read_address(const char *text, union net_endpoint *end)
{
	uint32_t words[4] = {0};
	size_t count = strlen(text) / 8, i;

	for (i = 0; i < count && i < ARRAY_SIZE(words); i++)
		if (sscanf(text + 8 * i, "%8" SCNx32, &words[i]) != 1)
			return false;
	memset(end, 0, sizeof(*end));
	end->any.sa_family = count == 4 ? AF_INET6 : AF_INET;
	if (count == 4)
		memcpy(&end->v6.sin6_addr, words, sizeof(end->v6.sin6_addr));
	else
		memcpy(&end->v4.sin_addr, words, sizeof(end->v4.sin_addr));
	return count == 1 || count == 4;
}

/* Whether who has @held keeps others from @wanted; their ports are the same. */
static bool in_the_way(const union net_endpoint *held, const union net_endpoint *wanted)
{
	/* Such a socket has all IPv4 addresses as well, unless it said not to: here it was in the
	 * way. */
	if (net_endpoint_is_any(held) && held->any.sa_family == AF_INET6)
		return true;
	return net_endpoints_overlap(held, wanted);
}

/* The inode of the socket in the table at @path that has the port of @wanted (and listens); 0:
 * none. */
static unsigned long find_inode(const char *path, const struct net_forward *wanted)
{
	unsigned long inode, found = 0;
	char line[512], address[33];
	union net_endpoint held;
	unsigned port, state;
	FILE *table = fopen(path, "re");

	while (table && !found && fgets(line, sizeof(line), table))
		if (sscanf(line, " %*u: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu",
			   address, &port, &state, &inode) == 4 &&
		    port == net_endpoint_port(&wanted->host) &&
		    (wanted->udp || state == TCP_LISTENING) && read_address(address, &held) &&
		    in_the_way(&held, &wanted->host))
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
		inode = find_inode(tables[wanted->udp][i], wanted);
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
