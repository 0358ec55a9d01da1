/*
 * The network back-end: what stands on the host's side of a network card.
 *
 *      virtio-net                  net.c                     user.c, tap.c, stream.c
 *      (struct net_client)         limits, capture           (struct net_ops)
 *   guest sends  --- net_tx ------------------------------------> ops->tx
 *   has room again <--- client->tx_ready ------------------------ net_tx_ready
 *   fills buffers  <--- client->rx_begin, rx_end ---------------- net_rx_begin, net_rx_end
 *   has buffers again --- net_rx_resume ------------------------> ops->rx_resume
 *
 * Both directions hold back instead of dropping. A back-end that cannot take a frame says so, and
 * says later when it can. A front-end that has no buffers says so; the back-end then reads nothing
 * more from the host until it is resumed: what the host does with the surplus is its own business.
 *
 * A frame travels as iovecs. The first is always the header (struct net_header) and nothing else,
 * in both directions, so that a tap device can be given all of them as they are. A back-end that
 * does not carry headers leaves the first out.
 *
 * Everything runs on the loop that the back-end was opened on, but for net_open and net_close,
 * which also may be called where nobody runs it.
 */
#ifndef SARANG_NET_NET_H
#define SARANG_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"
#include "net/header.h"
#include "net/limit.h"

#define NET_MAC_BYTES 6
/* Iovecs of one frame, as one system call takes them (IOV_MAX). */
#define NET_IOV_MAX 1024

/* The front-end's side. */
struct net_client {
	/* Frames are about to arrive; false: not now (net_rx_resume will tell). */
	bool (*rx_open)(void *opaque);
	/*
	 * Room for one frame of @len bytes, or of up to NET_FRAME_MAX where that is 0: returns the
	 * number of iovecs at *@iov, the header's (zeroed) first; 0 where the guest has no buffers:
	 * the back-end stops reading and waits for ops->rx_resume. Between rx_open and rx_close.
	 */
	int (*rx_begin)(void *opaque, size_t len, struct iovec **iov);
	/* @len bytes of frame, without header, have been put there; 0: none, after all. */
	void (*rx_end)(void *opaque, size_t len);
	/* The last of them, for now. */
	void (*rx_close)(void *opaque);
	/* A frame that was refused with NET_TX_BUSY may be sent again. */
	void (*tx_ready)(void *opaque);
	/* The cable was plugged in or pulled out. */
	void (*link_changed)(void *opaque, bool up);
	void *opaque;
};

enum net_tx_result {
	NET_TX_DONE, /* sent, or lost as frames may be */
	NET_TX_BUSY, /* not now: client->tx_ready will tell */
};

struct net;
struct net_capture;

struct net_ops {
	/* Begins to serve; net->client is set. 0 or -errno. */
	int (*start)(struct net *net, struct err *e);
	/* Goes quiet: calls the client no more until started again. */
	void (*stop)(struct net *net);
	/* @iov[0] is the header; @count is at most NET_IOV_MAX. */
	enum net_tx_result (*tx)(struct net *net, const struct iovec *iov, int count);
	/*
	 * Whether the host's side is still at work on what was sent, and says when it is done by
	 * waking the loop up: until then nobody needs to hear of further frames. NULL: never.
	 */
	bool (*tx_busy)(struct net *net);
	/* There is room again, after client->rx_begin or rx_open refused. */
	void (*rx_resume)(struct net *net);
	/* What the driver has agreed to (a part of info.offloads). NULL: it makes no difference. */
	void (*set_offloads)(struct net *net, unsigned offloads);
	/* The driver uses so many queue pairs from now on. NULL: it makes no difference. */
	void (*set_queues)(struct net *net, unsigned count);
	/* The tap device behind the pair @queue, for the host's kernel to serve instead of us (then
	 * start is not called). NULL: there is none. */
	int (*tap_fd)(struct net *net, unsigned queue);
	void (*close)(struct net *net);
};

/* What a back-end says of itself once it is open. */
struct net_info {
	unsigned offloads;  /* enum net_offload that it can carry */
	uint16_t mtu_bytes; /* what the guest is told; 0: nothing (1500 then) */
	bool link_up;       /* at first */
};

/* The part all back-ends share, embedded in each. */
struct net {
	const struct net_ops *ops;
	struct loop *loop;
	struct net_info info;
	char id[32]; /* "net0", for messages */
	struct net_client client;
	unsigned offloads; /* those that the driver has agreed to */
	/* The part that net.c plays between front-end and back-end. */
	struct net_limit rx_limit, tx_limit;
	struct loop_timer rx_timer, tx_timer;
	char *capture_file;          /* NULL: none */
	unsigned card, cards;        /* in there */
	struct net_capture *capture; /* once it has begun */
	const struct iovec *rx_iov;  /* of the frame that is being received */
	int rx_count;
	struct log_limit limit;
};

/* Which back-end, and how. Strings are borrowed for the call. */
enum net_kind {
	NET_USER,
	NET_TAP,
	NET_STREAM,
};

struct net_options {
	enum net_kind kind;
	const char *id;
	const struct net_user_options *user;     /* net/user.h; NET_USER */
	const struct net_tap_options *tap;       /* net/tap.h; NET_TAP */
	const struct net_stream_options *stream; /* net/stream.h; NET_STREAM */
	uint64_t bits_per_s, frames_per_s;       /* in each direction; 0: no limit */
	const char *capture; /* a file that all frames are written to; NULL: none */
	unsigned card;       /* this network's number in there; 0 makes the file */
	unsigned cards;      /* how many there are */
};

/* Opens it on @loop. *@out is freed with net_close. 0, or -errno with a sentence and NULL. */
int net_open(const struct net_options *options, struct loop *loop, struct net **out, struct err *e);

/* Frees it; it is stopped. NULL is fine. */
void net_close(struct net *net);

/* ---- for the front-end ---- */

/* Names the front-end (copied), which is called from now on, and begins to serve. 0 or -errno. */
int net_start(struct net *net, const struct net_client *client, struct err *e);
void net_stop(struct net *net);

/* Sends a frame: see struct net_ops. */
enum net_tx_result net_tx(struct net *net, const struct iovec *iov, int count);

/* See struct net_ops. */
bool net_tx_busy(struct net *net);

/* The guest has buffers again. */
void net_rx_resume(struct net *net);

/* How many queue pairs the driver uses. */
void net_set_queues(struct net *net, unsigned count);

/* What the driver has agreed to. */
void net_set_offloads(struct net *net, unsigned offloads);

/* ---- for back-ends ---- */

bool net_rx_open(struct net *net);
int net_rx_begin(struct net *net, struct iovec **iov);
void net_rx_end(struct net *net, size_t len);
void net_rx_close(struct net *net);
/* Between open and close: the frame of @len bytes at @frame, whose checksums are right. False: the
 * guest has no buffers, and ops->rx_resume will be called. */
bool net_rx_copy(struct net *net, const uint8_t *frame, size_t len);
void net_tx_ready(struct net *net);
void net_link_changed(struct net *net, bool up);

#endif
