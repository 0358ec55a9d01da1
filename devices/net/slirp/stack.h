/* The guest's network as libslirp plays it, and the loop around it. See stack.c. */
#ifndef SARANG_NET_SLIRP_STACK_H
#define SARANG_NET_SLIRP_STACK_H

#include "net/ring.h"
#include "net/user.h"

struct stack;

/* What joins us with sarang: see net/protocol.h. */
struct stack_link {
	int socket; /* readable when sarang is gone */
	int event;  /* readable when sarang has put frames, or made room */
	struct net_ring from_guest, to_guest;
};

/* Makes it. NULL where libslirp refuses. */
struct stack *stack_new(const struct net_user_options *options, const struct stack_link *link);

/* Listens on the host's side of @forward. 0 or -errno. */
int stack_forward(struct stack *stack, const struct net_forward *forward);

/* Serves until the other end of the socket is closed. */
void stack_run(struct stack *stack);

#endif
