/* What the network process may still do once it is set up. See sandbox.c. */
#ifndef SARANG_NET_SLIRP_SANDBOX_H
#define SARANG_NET_SLIRP_SANDBOX_H

#include "base/err.h"

/*
 * Gives up everything that serving needs not. *@asks is the descriptor of the filter's
 * notifications, for sarang; -1 where this kernel has none. 0, or -errno with a sentence.
 */
int sandbox_enter(int *asks, struct err *e);

#endif
