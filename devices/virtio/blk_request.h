/* Shared by the two halves of virtio-blk: blk.c (device, queues) and blk_request.c (one request).
 */
#ifndef SARANG_VIRTIO_BLK_REQUEST_H
#define SARANG_VIRTIO_BLK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "block/blk.h"
#include "virtio/blk.h"
#include "virtio/virtio.h"

#define VBLK_SECTOR_BYTES  512        /* the protocol's unit, whatever the disk's block is */
#define VBLK_SEGMENTS_MAX  16         /* ranges in one discard or write-zeroes */
#define VBLK_RANGE_SECTORS (1u << 21) /* and how long each may be: 1 GiB */

/* 5.2.6 */
enum vblk_type {
	VIRTIO_BLK_T_IN = 0,
	VIRTIO_BLK_T_OUT = 1,
	VIRTIO_BLK_T_FLUSH = 4,
	VIRTIO_BLK_T_GET_ID = 8,
	VIRTIO_BLK_T_DISCARD = 11,
	VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum vblk_status {
	VIRTIO_BLK_S_OK = 0,
	VIRTIO_BLK_S_IOERR = 1,
	VIRTIO_BLK_S_UNSUPP = 2,
};

struct virtio_blk_req_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct virtio_blk_range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags; /* bit 0: unmap */
};

_Static_assert(sizeof(struct virtio_blk_req_header) == 16, "virtio 1.2, 5.2.6");
_Static_assert(sizeof(struct virtio_blk_range) == 16, "virtio 1.2, 5.2.6");

/* 5.2.4; the fields up to those of features that are offered. */
struct virtio_blk_config {
	uint64_t capacity; /* sectors */
	uint32_t size_max;
	uint32_t seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t physical_block_exp; /* log2(physical / logical) */
	uint8_t alignment_offset;
	uint16_t min_io_size; /* logical blocks */
	uint32_t opt_io_size; /* logical blocks */
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
};

_Static_assert(sizeof(struct virtio_blk_config) == 64, "padded to 8; 60 bytes are shown");
#define VBLK_CONFIG_BYTES 60

struct vblk;

/* A request of the guest's under way: one for each chain that a queue can lend. */
struct vblk_request {
	struct blk_req req;
	struct vblk *disk;
	struct virtq_chain *chain;
	uint8_t *status; /* in guest memory: the last byte of the chain's in part */
	unsigned queue;
	uint32_t in_bytes; /* of the in part, with the status */
	int result;
	struct vblk_request *next_done;
	bool flush_after; /* the driver knows no flush: what is written is made stable at once */
	unsigned range_next, range_count;
	struct virtio_blk_range ranges[VBLK_SEGMENTS_MAX]; /* checked, in host byte order */
};

struct vblk {
	struct virtio_device vd;
	struct virtio_blk_config config;
	char serial[VIRTIO_BLK_SERIAL_BYTES]; /* padded with zeroes, not terminated when it is full
					       */
	struct blk *blk;
	struct loop_thread *thread;                           /* NULL: the loop is the caller's */
	struct vblk_request *requests[VIRTIO_BLK_QUEUES_MAX]; /* by slot */

	/* Only the loop's thread touches these. */
	unsigned in_flight;
	bool submitted; /* since the last blk_kick */
	struct vblk_request *done_head, **done_tail;
	bool pause_on_error;
	bool ending; /* somebody waits for all requests to end: none is kept */
	struct vblk_request *kept_head, **kept_tail; /* failed, in order; by next_done */
	char where[96];                              /* "disk0 (root.qcow2)" */
	unsigned awake; /* bit per queue: served without waiting for a notification */
	struct loop_hook hook;
	uint64_t poll_max_ns, poll_window_ns, last_done_ns;
};

/* Starts (or refuses) what is in @chain. On the loop's thread, between serve_begin and serve_end.
 */
void vblk_request_start(struct vblk *disk, unsigned queue, struct virtq_chain *chain);

/* Submits again what failed and was kept / ends it with its error. On the loop's thread. */
void vblk_requests_retry(struct vblk *disk);
void vblk_requests_give_up(struct vblk *disk);

/* Goes on with a request whose back-end part has ended: the next part, or its end. As above. */
void vblk_request_advance(struct vblk_request *r);

#endif
