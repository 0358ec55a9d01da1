/* The network process: starting it, hearing that it is ready, and what it asks of us. See
 * protocol.h for what is said. */
#ifndef SARANG_NET_PROCESS_H
#define SARANG_NET_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "net/protocol.h"
#include "net/user.h"

struct net_process {
	pid_t pid;  /* 0: there is none */
	int socket; /* ours, non-blocking; -1: none */
	int event;  /* an eventfd: the process has put frames into the ring, or made room; -1: none
		     */
	int signal; /* an eventfd: wakes the process; -1: none */
	struct net_rings *rings; /* mapped; NULL: none */
	struct net_ring tx, rx;  /* our ends */
	int asks;                /* notifications of its seccomp filter; -1: none */
	int end;                 /* a pidfd: readable once it has ended; -1: none */
};

/*
 * Starts it with the configuration @options on its command line. It gets the socket and standard
 * error, no other descriptor, and no environment but what finds its libraries. 0, or -errno with a
 * sentence. Returns before the process has done anything: see net_process_hear.
 */
int net_process_start(const struct net_user_options *options, struct net_process *process,
		      struct err *e);

/*
 * Takes its first message, which is its only one: 0 when it is ready, -EAGAIN when it has not
 * spoken yet, else -errno with a sentence, for example that a forwarded port is taken and by whom.
 */
int net_process_hear(const struct net_user_options *options, struct net_process *process,
		     struct err *e);

/* Ends it and waits until it is gone. Returns its status as waitpid(2) has it. Repeatable. */
int net_process_end(struct net_process *process);

/*
 * Its filter lets it open no file, but it has to know the host's name servers: whatever it tries to
 * open, it gets /etc/resolv.conf, opened here. Called when @asks is readable.
 */
void net_process_answer(struct net_process *process);

#endif
