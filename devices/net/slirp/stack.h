/* The guest's network as libslirp plays it, and the loop around it. See stack.c. */
#ifndef SARANG_NET_SLIRP_STACK_H
#define SARANG_NET_SLIRP_STACK_H

#include "net/user.h"

struct stack;

/* Makes it; frames go to and come from @socket. NULL where libslirp refuses. */
struct stack *stack_new(const struct net_user_options *options, int socket);

/* Listens on the host's side of @forward. 0 or -errno. */
int stack_forward(struct stack *stack, const struct net_forward *forward);

/* Serves until the other end of the socket is closed. */
void stack_run(struct stack *stack);

#endif
