/*
 * What all virtio devices share, whatever they do and whatever transport they sit on: features, the
 * status machine, queues, configuration space, interrupts, and going quiet. Virtio 1.2, chapters
 * 2, 3.
 *
 *      guest vCPUs              transport (mmio.c)          this              the device (blk.c
 * ...) register access  ------> decodes ----------------> virtio_* doorbell         ------> eventfd
 * ----------------> on the loop ----->  ops->notify virtio_serve_begin    virtio_pop interrupt
 * <------ transport->pulse <------- virtio_serve_end      virtio_push
 *
 * Two locks, taken in this order:
 *   change  held over a whole change of state: activation, reset, start, stop. Such a change may
 * wait for the device's loop to finish what is under way, so no loop ever takes it. lock    held
 * for a moment: registers and queues. Whoever serves a queue holds it (virtio_serve_begin), so a
 * device's own per-queue state needs no other. Not held during a bus call, an interrupt or a wait
 * for another thread.
 */
#ifndef SARANG_VIRTIO_VIRTIO_H
#define SARANG_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "bus/device.h"
#include "loop/loop.h"
#include "virtio/features.h"
#include "virtio/queue.h"

#define VIRTIO_QUEUES_MAX 16

/* Device status, 2.1. */
enum virtio_status {
	VIRTIO_ACKNOWLEDGE = 1,
	VIRTIO_DRIVER = 2,
	VIRTIO_DRIVER_OK = 4,
	VIRTIO_FEATURES_OK = 8,
	VIRTIO_NEEDS_RESET = 64,
	VIRTIO_FAILED = 128,
};

/* Why the driver is interrupted: the bits of InterruptStatus (4.2.2). */
enum virtio_cause {
	VIRTIO_CAUSE_USED = 1 << 0,
	VIRTIO_CAUSE_CONFIG = 1 << 1,
};

struct virtio_device;

/* What a kind of device is. All calls but notify and destroy may be NULL. */
struct virtio_ops {
	uint32_t device_id; /* enum virtio_device_id */
	uint16_t queue_size;
	/* Notifications are frequent: have them caught by the kernel (a doorbell for each queue).
	 */
	bool doorbells;

	/* Before anything is served / after everything has stopped; on the thread that starts the
	 * machine. */
	int (*start)(struct virtio_device *vd, struct err *e);
	void (*stop)(struct virtio_device *vd);

	/* The driver has notified queue @queue. On the device's loop, no lock held; may come for
	 * nothing. */
	void (*notify)(struct virtio_device *vd, unsigned queue);
	/*
	 * Queues have been opened (or a pause is over) and are about to be served: a device that
	 * has somebody else serve them lets that one begin. Under `change`, `lock` not held; ends
	 * with quiesce.
	 */
	void (*hand_over)(struct virtio_device *vd);
	/*
	 * Returns when no request is under way any more; nothing new is popped meanwhile and what
	 * is completed still reaches the driver. On a vCPU or the main thread, `lock` not held.
	 */
	void (*quiesce)(struct virtio_device *vd);
	/* See struct device_class. On the main thread, `lock` not held. */
	void (*retry)(struct virtio_device *vd);
	/* Chains of @queue that the device has kept are gone. Under `lock`. */
	void (*queue_closed)(struct virtio_device *vd, unsigned queue);
	/* Frees the device, @vd included (through virtio_fini). */
	void (*destroy)(struct virtio_device *vd);
};

/* What a transport does for the device above it. */
struct virtio_transport {
	/* One interrupt; vd->isr says why. Any thread, no lock held. */
	void (*pulse)(struct virtio_device *vd);
	/* Sets up or takes back the doorbells of the open queues. Under `change` only. */
	void (*doorbells)(struct virtio_device *vd, bool on);
	/* An eventfd that interrupts when it is signalled; -1: there is none. */
	int (*call_fd)(struct virtio_device *vd);
};

struct virtio_queue {
	struct virtq_config config;
	struct virtq live;
	struct virtio_device *vd;
	struct loop_fd bell; /* an eventfd: the driver has notified; valid as long as the device */
};

struct virtio_device {
	const struct virtio_ops *ops;
	const struct virtio_transport *transport;
	void *transport_opaque;
	const struct device_env *env;
	struct loop *loop; /* where notify runs */
	char id[32];
	unsigned queue_count;
	struct virtio_queue queues[VIRTIO_QUEUES_MAX];
	const void *config; /* configuration space, little-endian; read-only for the driver */
	uint32_t config_bytes;

	pthread_mutex_t change;
	bool started; /* under change */

	pthread_mutex_t lock; /* guards what follows, and all of queues but bell.fd */
	uint64_t offered;
	uint64_t accepted;
	bool accepted_unknown; /* the driver took a feature beyond the 64 there are */
	uint8_t status;        /* without NEEDS_RESET */
	bool serving;          /* queues may be popped */
	unsigned due;          /* enum virtio_cause: gathered while `lock` is held */

	_Atomic bool broken; /* NEEDS_RESET */
	_Atomic uint32_t isr;
	/* enum virtio_cause that the driver always sees set: somebody else interrupts for it. */
	_Atomic uint32_t isr_elsewhere;
	_Atomic uint32_t generation;
	struct log_limit limit;
};

/* What a device's constructor knows. Strings are copied, the rest outlives the device. */
struct virtio_setup {
	const struct virtio_ops *ops;
	const struct device_env *env;
	struct loop *loop;
	const char *id;
	unsigned queue_count;
	const void *config;
	uint32_t config_bytes;
};

/*
 * Initialises the shared part; offers VERSION_1, EVENT_IDX and INDIRECT_DESC. 0 or -errno, after
 * which nothing is to be freed. virtio_fini undoes it; nobody serves or watches any more.
 */
int virtio_init(struct virtio_device *vd, const struct virtio_setup *setup, struct err *e);
void virtio_fini(struct virtio_device *vd);

/* Offers a feature; before the machine runs. */
void virtio_offer(struct virtio_device *vd, enum virtio_feature feature);

/* Whether driver and device have agreed on it. Under `lock`, or where the status cannot change. */
bool virtio_has_feature(const struct virtio_device *vd, enum virtio_feature feature);

/* ---- for devices, on any thread ---- */

/* Takes `lock`; returns whether queues may be popped. Always followed by virtio_serve_end. */
bool virtio_serve_begin(struct virtio_device *vd);

/* Publishes all that was pushed, gives the lock back, then raises one interrupt where one is due.
 */
void virtio_serve_end(struct virtio_device *vd);

/* Between the two: 1 with a chain, 0 for none. A malformed chain breaks the device and gives 0. */
int virtio_pop(struct virtio_device *vd, unsigned queue, struct virtq_chain **chain);
void virtio_push(struct virtio_device *vd, unsigned queue, struct virtq_chain *chain, uint32_t len);

/* The chain makes no sense to the device. It is never pushed; the device needs a reset. Logged
 * once. */
void virtio_break(struct virtio_device *vd, unsigned queue, enum chain_fault fault);

/* The configuration space has changed (its bytes were written between begin and end). Between the
 * two. */
void virtio_config_changed(struct virtio_device *vd);

/* The device cannot go on, which is not the driver's fault; it needs a reset. Logged once. Between
 * the two. */
void virtio_give_up(struct virtio_device *vd, const char *why);

/* Makes ops->notify run (again) for @queue, later. Any thread, no lock needed. */
void virtio_ring(struct virtio_device *vd, unsigned queue);

/* ---- for transports, on vCPU threads; none with a lock held ---- */

/* A 32-bit word of the feature bits; words past the second are empty. */
uint32_t virtio_device_features(const struct virtio_device *vd, uint32_t word);
void virtio_accept_features(struct virtio_device *vd, uint32_t word, uint32_t bits);

/* The status machine, 3.1: 0 resets and returns when the device is quiet; impossible steps are
 * ignored. */
uint8_t virtio_status(struct virtio_device *vd);
void virtio_set_status(struct virtio_device *vd, uint8_t value);

/* A field of a queue's configuration that the driver sets. */
enum virtio_queue_field {
	VIRTIO_QUEUE_SIZE,
	VIRTIO_QUEUE_DESC_LOW,
	VIRTIO_QUEUE_DESC_HIGH,
	VIRTIO_QUEUE_AVAIL_LOW,
	VIRTIO_QUEUE_AVAIL_HIGH,
	VIRTIO_QUEUE_USED_LOW,
	VIRTIO_QUEUE_USED_HIGH,
};

/* Ignored for a queue that there is not, that is ready, or once the driver is running. */
void virtio_queue_set(struct virtio_device *vd, uint32_t queue, enum virtio_queue_field field,
		      uint32_t value);
uint16_t virtio_queue_size_max(const struct virtio_device *vd, uint32_t queue);
bool virtio_queue_ready(struct virtio_device *vd, uint32_t queue);

/*
 * Makes it ready where its configuration is sound (else it stays not ready), or takes it away from
 * the device; the latter returns when the device does not use it any more.
 */
void virtio_queue_set_ready(struct virtio_device *vd, uint32_t queue, bool ready);

/* The latter, for a queue that there is. */
void virtio_queue_close(struct virtio_device *vd, unsigned queue);

/* Bytes of the configuration space; all ones for what is not there. */
uint64_t virtio_config_read(struct virtio_device *vd, uint64_t offset, unsigned size);

/* The device's life-cycle, see bus/device.h; virtio_reset also is the guest's. */
int virtio_start(struct virtio_device *vd, struct err *e);
void virtio_stop(struct virtio_device *vd);
void virtio_reset(struct virtio_device *vd);

#endif
