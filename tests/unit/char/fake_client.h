/* A front-end that takes input in random small amounts, and now and then nothing at all. */
#ifndef SARANG_TESTS_CHAR_FAKE_CLIENT_H
#define SARANG_TESTS_CHAR_FAKE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "char/chr.h"

struct fake_client {
	struct loop *loop;
	struct chr *chr;
	uint64_t seed;
	bool closed;    /* takes nothing */
	bool generous;  /* never takes nothing */
	size_t granted; /* what can_receive said last */
	unsigned asked; /* how often it was asked */
	unsigned writable;
	unsigned breaks;
	size_t break_at; /* bytes received when the last one came */
	uint8_t *bytes;
	size_t len, cap;
};

/* A loop, a back-end of @kind at @path, and the client as its front-end. */
void fake_open(struct fake_client *client, enum chr_kind kind, const char *path);
void fake_close(struct fake_client *client);

/* Runs the loop, letting the client change its mind, until it has @len bytes. */
void fake_run_until(struct fake_client *client, size_t len);

/* Runs the loop a few rounds without waiting for anything in particular. */
void fake_run(struct fake_client *client, unsigned rounds);

/* Enough rounds for the console to notice who came and who left, whatever the seed. */
void fake_settle(struct fake_client *client);

/* Bytes that nobody expects, freed by the caller. */
uint8_t *fake_bytes(size_t len);

#endif
