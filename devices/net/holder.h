/* Who has a port: for the sentence that says it is taken. */
#ifndef SARANG_NET_HOLDER_H
#define SARANG_NET_HOLDER_H

#include <stdbool.h>

#include "net/address.h"

#define NET_HOLDER_TEXT_MAX 96

/*
 * Writes "process 4711 (nginx) has it", as far as /proc shows this user who has the port of @wanted
 * on the host. False where it does not. Takes milliseconds: for error messages only.
 */
bool net_port_holder(const struct net_forward *wanted, char text[NET_HOLDER_TEXT_MAX]);

#endif
