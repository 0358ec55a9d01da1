/* A front-end for tests: see fake_client.h. */
#include "fake_client.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static size_t can_receive(void *opaque)
{
	struct fake_client *client = opaque;
	uint64_t r = unit_random(&client->seed);

	client->asked++;
	client->granted =
		client->closed || (r % 4 == 0 && !client->generous) ? 0 : 1 + (r >> 8) % 97;
	return client->granted;
}

static void receive(void *opaque, const uint8_t *bytes, size_t len)
{
	struct fake_client *client = opaque;

	/* Never more than was granted, never without having asked again. */
	ck_assert_uint_gt(len, 0);
	ck_assert_uint_le(len, client->granted);
	client->granted = 0;
	if (client->len + len > client->cap) {
		client->cap = 2 * (client->len + len);
		client->bytes = realloc(client->bytes, client->cap);
		ck_assert_ptr_nonnull(client->bytes);
	}
	memcpy(client->bytes + client->len, bytes, len);
	client->len += len;
}

static void writable(void *opaque)
{
	((struct fake_client *)opaque)->writable++;
}

static void input_break(void *opaque)
{
	struct fake_client *client = opaque;

	client->breaks++;
	client->break_at = client->len;
}

void fake_open(struct fake_client *client, enum chr_kind kind, const char *path)
{
	struct chr_options options = {.kind = kind, .path = path};
	struct chr_client front = {
		.can_receive = can_receive,
		.receive = receive,
		.writable = writable,
		.input_break = input_break,
		.opaque = client,
	};
	struct err e = {0};

	memset(client, 0, sizeof(*client));
	client->seed = unit_seed();
	ck_assert_int_eq(loop_new(&client->loop, NULL), 0);
	ck_assert_msg(!chr_open(&options, client->loop, NULL, &client->chr, &e), "%s", e.text);
	ck_assert_int_eq(chr_start(client->chr, &front, NULL), 0);
}

void fake_close(struct fake_client *client)
{
	chr_close(client->chr);
	loop_free(client->loop);
	free(client->bytes);
}

void fake_run(struct fake_client *client, unsigned rounds)
{
	while (rounds--) {
		loop_run_once(client->loop, 2);
		chr_accept(client->chr);
	}
}

void fake_settle(struct fake_client *client)
{
	client->generous = true;
	fake_run(client, 10);
	client->generous = false;
}

void fake_run_until(struct fake_client *client, size_t len)
{
	while (client->len < len) {
		loop_run_once(client->loop, 10);
		chr_accept(client->chr);
	}
}

uint8_t *fake_bytes(size_t len)
{
	uint8_t *bytes = malloc(len);
	uint64_t seed = unit_seed() ^ len;
	size_t i;

	ck_assert_ptr_nonnull(bytes);
	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)unit_random(&seed);
	return bytes;
}
