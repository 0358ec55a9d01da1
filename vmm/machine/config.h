/*
 * What a user wants of a machine: plain data, filled from the option table and the config file,
 * validated before anything is touched. The one input of machine_build, inspect, and later restore.
 */
#ifndef SARANG_MACHINE_CONFIG_H
#define SARANG_MACHINE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "block/blk.h"
#include "boot/hardware.h"
#include "char/chr.h"

#define MACHINE_DISKS_MAX  12
#define MACHINE_SERIAL_MAX 20 /* virtio-blk's limit for a serial number */

#define MACHINE_DISK_BPS_MAX (1ull << 40) /* more than there is */

#define MACHINE_NETS_MAX   8
#define MACHINE_MTU_MIN    1280
#define MACHINE_MTU_MAX    65521
#define MACHINE_QUEUES_MAX 4

#define MACHINE_NAME_MAX 63

/* One -d. Strings are owned by the config. */
struct disk_config {
	char *path;
	char *format;   /* NULL: raw */
	char *serial;   /* NULL: none */
	char *on_error; /* "report", "pause"; NULL: report */
	char *backing;  /* "ok": backing files may be anywhere; NULL: beside the image */
	bool read_only;
	bool direct;
	bool ephemeral;
	unsigned iops, iops_max; /* operations a second, and at once; 0: no limit */
	uint64_t bps, bps_max;   /* the same in bytes */
};

/* One -n, as it was written: network.h says what it means. Strings are owned by the config. */
struct net_config {
	char *kind;     /* "user", "tap", "passt", "none" */
	char *mac;      /* NULL: made from the machine's name */
	char *forwards; /* separated by blanks; NULL: none */
	char *hostname;
	char *ifname;    /* of a tap device */
	char *fd;        /* a descriptor of one, in decimal */
	char *path;      /* of passt's socket; NULL: passt is started */
	char *bps;       /* bits a second in each direction; NULL: no limit */
	unsigned pps;    /* frames a second; 0: no limit */
	unsigned mtu;    /* 0: the kind's own */
	unsigned queues; /* of a tap device; 0: 1 */
	bool restricted;
	bool vhost;
};

/* --console and --hvc. */
struct console_config {
	enum chr_kind kind;
	char *path; /* of CHR_FILE and CHR_UNIX; owned by the config */
};

struct machine_config {
	char *name;   /* NULL until machine_config_finish makes one */
	char *kernel; /* required */
	char *initrd;
	char *append;
	unsigned cpus;
	uint64_t memory_bytes;
	enum hardware hardware; /* how the guest is told of its devices */
	struct disk_config disks[MACHINE_DISKS_MAX];
	unsigned disk_count;
	struct net_config nets[MACHINE_NETS_MAX];
	unsigned net_count;
	struct console_config console; /* the serial port's */
	struct console_config hvc;     /* the virtio console's; CHR_NONE: the guest has none */
	uint64_t timeout_ns;           /* 0: none */
	char *dump_acpi;               /* directory */
	char *dump_dtb;                /* file */
	char *pcap;                    /* file */
};

/* Fills in the defaults: 1 vCPU, 512 MiB, hardware told as fits, console on stdio. */
void machine_config_init(struct machine_config *config);

/* How a disk is to be opened; the strings stay the config's. */
struct blk_options disk_config_options(const struct disk_config *disk);

/* Frees what it owns. */
void machine_config_free(struct machine_config *config);

/*
 * Checks everything that can be checked without touching the host, rounds the memory up to 64 KiB,
 * and makes a name where none was given: after the first disk, else the kernel. 0, or -EINVAL with
 * a sentence that names the option and both values of a contradiction.
 */
int machine_config_finish(struct machine_config *config, struct err *e);

/* Refuses that the machine writes to @path, a file that its settings were read from. 0, or -EINVAL
 * with a sentence. */
int machine_config_check_source(const struct machine_config *config, const char *path,
				struct err *e);

#endif
