/*
 * Networking through passt, which like sarang-slirp turns what the guest sends into sockets of an
 * ordinary user, but gives the guest the host's own addresses. passt(1); its protocol is that of
 * QEMU's `-netdev stream`: over a Unix stream socket each frame comes after its length, 32 bits,
 * big-endian.
 *
 * Where path= names a socket we connect to it; else passt is started with one end of a socket pair.
 * A connection that ends, or on which a length makes no sense, is given up: the card's cable is
 * pulled out until there is another. One that dies young is replaced after a while only, twice as
 * long each time.
 *
 * Frames are received many at a time into a buffer here, and copied to where the guest has room. A
 * frame that was sent in part is kept here until the rest has gone.
 *
 * On the card's loop.
 */
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "net/net.h"
#include "net/peer.h"
#include "net/spawn.h"

#define ROUND        64 /* frames before others on the loop get their turn */
#define PREFIX_BYTES sizeof(uint32_t)
#define MESSAGE_MAX  (PREFIX_BYTES + NET_FRAME_MAX)
#define IN_ROOM      (4 * MESSAGE_MAX)
#define PASST        "passt"
#define WORDS_MAX    8
#define PEER_TEXT(s) ((s)->path ? (s)->path : PASST)

struct net_stream {
	struct net net;
	char *path, *program;
	pid_t pid; /* of the passt that was started; 0: none */
	struct loop_fd source;
	struct loop_fd end;  /* a pidfd */
	struct loop_work go; /* goes on with what was received already */
	struct net_peer peer;
	bool rx_stalled; /* the guest has no buffers */
	bool tx_blocked; /* the socket is full */
	size_t in_start, in_end;
	size_t out_start, out_end;
	uint8_t in[IN_ROOM];
	uint8_t out[MESSAGE_MAX];
};

static struct net_stream *from_net(struct net *net)
{
	return container_of(net, struct net_stream, net);
}

static void watch(struct net_stream *stream)
{
	bool full = stream->tx_blocked || stream->out_end;
	uint32_t events =
		(stream->rx_stalled ? 0 : (uint32_t)EPOLLIN) | (full ? (uint32_t)EPOLLOUT : 0);

	if (stream->source.watched && stream->source.events != events)
		loop_mod_fd(stream->net.loop, &stream->source, events);
}

/* ---- the connection ---- */

static int connect_to(const char *path, int *fd, struct err *e)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int ret = 0;

	if (strlen(path) >= sizeof(to.sun_path))
		return err_set(e, ENAMETOOLONG, "the path of a socket has at most %zu bytes: %s",
			       sizeof(to.sun_path) - 1, path);
	strcpy(to.sun_path, path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return err_errno(e, errno, "cannot make a socket");
	if (connect(*fd, &to, sizeof(to)) < 0) {
		ret = err_errno(e, errno, "cannot connect to passt's socket %s", path);
		fd_close(fd);
	}
	return ret;
}

static int start_passt(struct net_stream *stream, int *fd, struct err *e)
{
	const char *program = stream->program ? stream->program : PASST;
	struct strbuf mtu = {0};
	const char *words[WORDS_MAX] = {PASST, "--foreground", "--quiet", "--fd", "3", "--mtu"};
	int ends[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, errno, "cannot make a socket");
	strbuf_addf(&mtu, "%u", stream->net.info.mtu_bytes);
	words[6] = mtu.data;
	ret = net_spawn(program, words, &ends[1], 1, &stream->pid);
	strbuf_free(&mtu);
	fd_close(&ends[1]);
	if (!ret)
		ret = fd_set_nonblock(ends[0], true);
	if (!ret) {
		*fd = ends[0];
		stream->end.fd = pidfd_open(stream->pid, 0);
		return 0;
	}
	fd_close(&ends[0]);
	net_spawn_end(&stream->pid);
	if (ret == -ENOENT)
		return err_set(e, ENOENT,
			       "there is no program %s here: install the package passt, or name "
			       "the socket of one that runs with path=",
			       program);
	return err_errno(e, -ret, "cannot start %s", program);
}

static int join(struct net_stream *stream, struct err *e)
{
	stream->in_start = stream->in_end = stream->out_start = stream->out_end = 0;
	stream->rx_stalled = stream->tx_blocked = false;
	net_peer_begins(&stream->peer);
	return stream->path ? connect_to(stream->path, &stream->source.fd, e)
			    : start_passt(stream, &stream->source.fd, e);
}

/* Ends the connection and the program, if there are any, and plans the next. */
static void lose(struct net_stream *stream, const char *why)
{
	bool was_blocked = stream->tx_blocked;

	loop_del_fd(stream->net.loop, &stream->source);
	loop_del_fd(stream->net.loop, &stream->end);
	fd_close(&stream->source.fd);
	fd_close(&stream->end.fd);
	net_spawn_end(&stream->pid);
	stream->in_start = stream->in_end = stream->out_start = stream->out_end = 0;
	stream->rx_stalled = stream->tx_blocked = false;
	log_limited(&stream->net.limit, LOG_WARN, "%s: %s: %s; sarang tries again", stream->net.id,
		    PEER_TEXT(stream), why);
	net_peer_lost(&stream->peer);
	/* What waited for room is sent, and lost, now. */
	if (was_blocked)
		net_tx_ready(&stream->net);
}

static int watch_connection(struct net_stream *stream)
{
	stream->source.events = EPOLLIN;
	if (stream->end.fd >= 0)
		(void)loop_add_fd(stream->net.loop, &stream->end);
	return loop_add_fd(stream->net.loop, &stream->source);
}

static void retry(void *opaque)
{
	struct net_stream *stream = opaque;
	struct err e = {0};
	int ret = join(stream, &e);

	if (!ret)
		ret = watch_connection(stream);
	if (ret < 0)
		lose(stream, *e.text ? e.text : "cannot watch it");
	else
		net_peer_serves(&stream->peer);
}

/* Also when nobody looks at the socket because the guest has no buffers. */
static void ended(void *opaque, uint32_t events)
{
	struct net_stream *stream = opaque;
	char text[64];

	(void)events;
	lose(stream, net_spawn_status(net_spawn_end(&stream->pid), text, sizeof(text)));
}

/* ---- towards the guest ---- */

/* Length of the frame that the buffer begins with; 0: it is not all there; -1: it makes no sense.
 */
static ssize_t next_frame(const struct net_stream *stream)
{
	size_t have = stream->in_end - stream->in_start;
	uint32_t len;

	if (have < PREFIX_BYTES)
		return 0;
	memcpy(&len, stream->in + stream->in_start, PREFIX_BYTES);
	len = ntohl(len);
	if (len < NET_ETHERNET_BYTES || len > NET_FRAME_MAX)
		return -1;
	return have < PREFIX_BYTES + len ? 0 : (ssize_t)len;
}

/* Hands a frame of @len bytes to the guest; false: it has no buffers now. */
static bool deliver(struct net_stream *stream, size_t len)
{
	/* passt has computed the checksums, or had them from the host's kernel. */
	if (!net_rx_copy(&stream->net, stream->in + stream->in_start + PREFIX_BYTES, len)) {
		stream->rx_stalled = true;
		return false;
	}
	stream->in_start += PREFIX_BYTES + len;
	return true;
}

/* Receives what there is, as far as there is room. 0, -EAGAIN, or why the connection is lost. */
static int fill(struct net_stream *stream)
{
	ssize_t len;

	memmove(stream->in, stream->in + stream->in_start, stream->in_end - stream->in_start);
	stream->in_end -= stream->in_start;
	stream->in_start = 0;
	do
		len = recv(stream->source.fd, stream->in + stream->in_end,
			   sizeof(stream->in) - stream->in_end, MSG_DONTWAIT);
	while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len ? -errno : -ECONNRESET;
	stream->in_end += (size_t)len;
	return 0;
}

/* Delivers whole frames until there is none, or the guest has no buffers, or it is enough. */
static int deliver_round(struct net_stream *stream)
{
	ssize_t len = 0;
	int i, ret = 0;

	for (i = 0; i < ROUND && !ret; i++) {
		len = next_frame(stream);
		if (len < 0)
			return -EPROTO;
		if (!len)
			ret = fill(stream);
		else if (!deliver(stream, (size_t)len))
			return 0;
	}
	/* The socket may be empty now with more in the buffer. */
	if (i == ROUND)
		loop_post(stream->net.loop, &stream->go);
	return ret == -EAGAIN ? 0 : ret;
}

static void receive(struct net_stream *stream)
{
	int ret;

	if (!net_rx_open(&stream->net)) {
		stream->rx_stalled = true;
		watch(stream);
		return;
	}
	ret = deliver_round(stream);
	net_rx_close(&stream->net);
	if (ret < 0)
		lose(stream, ret == -EPROTO ? "what it sends is no frame" : strerror(-ret));
	else
		watch(stream);
}

static void go_on(void *opaque)
{
	struct net_stream *stream = opaque;

	if (stream->source.watched && !stream->rx_stalled)
		receive(stream);
}

/* ---- from the guest ---- */

/* Sends the rest of a frame; false: there still is some. A lost connection takes it along. */
static bool flush(struct net_stream *stream)
{
	ssize_t len;

	while (stream->out_start < stream->out_end) {
		len = send(stream->source.fd, stream->out + stream->out_start,
			   stream->out_end - stream->out_start, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (len < 0 && errno == EAGAIN)
			return false;
		if (len < 0 && errno != EINTR)
			break;
		stream->out_start += (size_t)MAX(len, (ssize_t)0);
	}
	stream->out_start = stream->out_end = 0;
	return true;
}

/* Keeps what is left of a message of which @sent bytes have gone. */
static void keep_rest(struct net_stream *stream, const struct iovec *iov, int count, size_t sent)
{
	int i;

	for (i = 0; i < count; i++) {
		size_t skip = MIN(sent, iov[i].iov_len);

		memcpy(stream->out + stream->out_end, (char *)iov[i].iov_base + skip,
		       iov[i].iov_len - skip);
		stream->out_end += iov[i].iov_len - skip;
		sent -= skip;
	}
}

/* False: the socket is full. */
static bool send_frame(struct net_stream *stream, const struct iovec *iov, int count)
{
	struct iovec with_prefix[NET_IOV_MAX];
	struct msghdr message = {.msg_iov = with_prefix, .msg_iovlen = (size_t)count};
	size_t len = 0;
	uint32_t prefix;
	ssize_t sent;
	int i;

	if (!flush(stream))
		return false;
	/* The header's place is the length's. */
	memcpy(with_prefix, iov, (size_t)count * sizeof(*iov));
	for (i = 1; i < count; i++)
		len += iov[i].iov_len;
	prefix = htonl((uint32_t)len);
	with_prefix[0] = (struct iovec){&prefix, sizeof(prefix)};
	do
		sent = sendmsg(stream->source.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0 && (size_t)sent < PREFIX_BYTES + len) {
		keep_rest(stream, with_prefix, count, (size_t)sent);
		watch(stream);
	}
	return sent >= 0 || errno != EAGAIN;
}

static enum net_tx_result stream_tx(struct net *net, const struct iovec *iov, int count)
{
	struct net_stream *stream = from_net(net);

	/* What is sent while the cable is out is lost. */
	if (stream->source.fd < 0 || send_frame(stream, iov, count))
		return NET_TX_DONE;
	stream->tx_blocked = true;
	watch(stream);
	return NET_TX_BUSY;
}

static void socket_ready(void *opaque, uint32_t events)
{
	struct net_stream *stream = opaque;

	if ((events & EPOLLOUT) && flush(stream)) {
		if (stream->tx_blocked) {
			stream->tx_blocked = false;
			net_tx_ready(&stream->net);
		}
		watch(stream);
	}
	if ((events & ~(uint32_t)EPOLLOUT) && stream->source.watched)
		receive(stream);
}

static void stream_rx_resume(struct net *net)
{
	struct net_stream *stream = from_net(net);

	stream->rx_stalled = false;
	watch(stream);
	/* There may be frames here already, for which the socket will not be ready. */
	if (stream->in_end > stream->in_start)
		loop_post(net->loop, &stream->go);
}

/* ---- start and stop ---- */

static int stream_start(struct net *net, struct err *e)
{
	struct net_stream *stream = from_net(net);
	int ret;

	if (stream->source.fd < 0) {
		net_peer_plan(&stream->peer);
		return 0;
	}
	ret = watch_connection(stream);
	return ret < 0 ? err_errno(e, -ret, "%s: cannot watch its socket", net->id) : 0;
}

static void stream_stop(struct net *net)
{
	struct net_stream *stream = from_net(net);

	net_peer_stop(&stream->peer);
	loop_del_fd(net->loop, &stream->source);
	loop_del_fd(net->loop, &stream->end);
}

static void stream_close(struct net *net)
{
	struct net_stream *stream = from_net(net);

	fd_close(&stream->source.fd);
	fd_close(&stream->end.fd);
	net_spawn_end(&stream->pid);
	free(stream->path);
	free(stream->program);
	free(stream);
}

static const struct net_ops stream_ops = {
	.start = stream_start,
	.stop = stream_stop,
	.tx = stream_tx,
	.rx_resume = stream_rx_resume,
	.close = stream_close,
};

int net_stream_open(const char *id, const struct net_stream_options *options, struct loop *loop,
		    struct net **out, struct err *e)
{
	struct net_stream *stream = calloc(1, sizeof(*stream));
	int ret;

	if (!stream)
		return err_set(e, ENOMEM, "out of memory");
	stream->net = (struct net){
		.ops = &stream_ops,
		.loop = loop,
		.info = {.offloads = NET_RX_CSUM, .mtu_bytes = options->mtu_bytes, .link_up = true},
	};
	snprintf(stream->net.id, sizeof(stream->net.id), "%s", id);
	stream->path = options->path ? strdup(options->path) : NULL;
	stream->program = options->program ? strdup(options->program) : NULL;
	stream->source = (struct loop_fd){.fd = -1, .ready = socket_ready, .opaque = stream};
	stream->end =
		(struct loop_fd){.fd = -1, .events = EPOLLIN, .ready = ended, .opaque = stream};
	stream->go = (struct loop_work){.run = go_on, .opaque = stream};
	net_peer_init(&stream->peer, &stream->net, retry, stream);
	ret = join(stream, e);
	if (ret < 0) {
		stream_close(&stream->net);
		return ret;
	}
	*out = &stream->net;
	return 0;
}
