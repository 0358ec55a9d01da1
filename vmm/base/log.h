/*
 * The one logger: lines "sarang: LEVEL: text" on stderr, from any thread.
 *
 * What a guest can provoke goes through log_limited, so that no guest fills a disk with our log.
 * The level is process-wide on purpose, the single piece of global state here: two machines in one
 * process share one stderr.
 */
#ifndef SARANG_BASE_LOG_H
#define SARANG_BASE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR, /* something asked for was not done */
	LOG_WARN,  /* done, but not as one would expect */
	LOG_INFO,  /* what a curious user wants to know; off by default */
	LOG_DEBUG, /* what a developer wants to know; off by default */
};

/* Lines above @level are dropped. Default: LOG_WARN. */
void log_set_level(enum log_level level);

/* Whether lines of @level are printed at present. */
_Bool log_enabled(enum log_level level);

/* Prints one line; whole lines never mix. Control characters become "?". */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Zero-initialised, one for each place or object that a guest can make speak. */
struct log_limit {
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t used;
};

/* As log_line, at most 5 lines in 10 s for @limit; the last one says that more are left out. */
void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
