/*
 * Datagrams by the dozen between libslirp and the host's kernel. See datagrams.c.
 *
 * All of it on the thread that runs libslirp.
 */
#ifndef SARANG_NET_SLIRP_DATAGRAMS_H
#define SARANG_NET_SLIRP_DATAGRAMS_H

#include <stdbool.h>

/* Of one socket's, read and handed out before the others are looked at again. */
#define DATAGRAMS_MAX 16

/* From now on datagrams that libslirp sends may be kept until datagrams_send, but for the first to
 * an address. */
void datagrams_gather(void);

/* Sends what is kept, and keeps no more. What the kernel refuses now is lost. */
void datagrams_send(void);

/* libslirp is about to read from @fd, of which poll(2) says @revents. */
void datagrams_ready(int fd, short revents);

/* Whether datagrams wait here that libslirp has not read: from @fd, and from any socket. */
bool datagrams_wait(int fd);
bool datagrams_wait_anywhere(void);

/* @fd is about to be closed: what libslirp has sent there is sent, what it has not read is lost. */
void datagrams_forget(int fd);

#endif
