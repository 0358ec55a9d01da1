/*
 * The keys of a stdio console: Ctrl-A is the prefix, as in QEMU and picocom.
 *
 * Pure: bytes in, what they mean out.
 */
#ifndef SARANG_CHAR_KEYS_H
#define SARANG_CHAR_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum keys_meaning {
	KEYS_NOTHING, /* part of a sequence, or an unknown one */
	KEYS_BYTE,    /* the byte goes to the guest */
	KEYS_PREFIX,  /* Ctrl-A itself goes to the guest: Ctrl-A Ctrl-A or Ctrl-A a */
	KEYS_QUIT,    /* Ctrl-A x */
	KEYS_HELP,    /* Ctrl-A h or ? */
	KEYS_BREAK,   /* Ctrl-A b */
	KEYS_RESUME,  /* Ctrl-A c */
	KEYS_POWER,   /* Ctrl-A p */
};

/* Zero-initialised. */
struct keys {
	bool prefixed;
};

enum keys_meaning keys_feed(struct keys *keys, uint8_t byte);

/* What Ctrl-A h prints, in lines that end in CR LF. */
#define KEYS_CTRL_A 0x01
extern const char keys_help[];

#endif
