/* A front-end for back-ends under test: room for one frame at a time, and counts of what it is
 * told. One a process: Check runs each test in its own. */
#ifndef SARANG_TESTS_NET_FRONT_H
#define SARANG_TESTS_NET_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

struct front {
	bool room;
	unsigned frames, downs, ups, ready;
	struct net_header header;
	uint8_t frame[NET_FRAME_MAX];
	size_t len;
	struct iovec iov[2];
	/* What is under test. */
	struct loop *loop;
	struct net *net;
	struct err e;
};

extern struct front front;

/* Opens and starts the back-end; 0, or -errno with front.e. */
int front_open(const struct net_options *options);
int front_start(void);
void front_close(void);

/* Runs the loop until *@counter is @wanted or much time is over, which fails the test. */
void front_run_until(const unsigned *counter, unsigned wanted, const char *what);

/* Sends @len bytes as one frame in two pieces; waits for room as often as it has to. */
void front_send(const void *frame, size_t len);

/* Makes room for one frame and waits for it. */
void front_receive(void);

#endif
