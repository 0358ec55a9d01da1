/* The logger: see log.h. One writev-sized line is formatted on the stack and written at once. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define LIMIT_WINDOW_NS 10000000000ull
#define LIMIT_LINES     5

static _Atomic int current_level = LOG_WARN;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

__attribute__((format(printf, 3, 0))) static void log_write(enum log_level level, const char *note,
							    const char *fmt, va_list args)
{
	char line[1024];
	int used;

	used = snprintf(line, sizeof(line), "sarang: %s: ", level_names[level]);
	used += vsnprintf(line + used, sizeof(line) - used, fmt, args);
	if (used < (int)sizeof(line))
		used += snprintf(line + used, sizeof(line) - used, "%s\n", note);
	used = MIN(used, (int)sizeof(line));
	line[used - 1] = '\0';
	text_make_printable(line);
	line[used - 1] = '\n';
	/* One write: lines of two threads do not mix. There is nobody to tell if stderr is gone. */
	while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
		continue;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, fmt);
	log_write(level, "", fmt, args);
	va_end(args);
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	struct timespec ts;
	uint64_t now_ns, start_ns;
	uint32_t used;
	va_list args;

	if (!log_enabled(level))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	start_ns = atomic_load(&limit->window_start_ns);
	if (!start_ns || now_ns - start_ns > LIMIT_WINDOW_NS) {
		/* Losing this race costs one line more or less, nothing else. */
		atomic_store(&limit->window_start_ns, now_ns);
		atomic_store(&limit->used, 0);
	}
	used = atomic_fetch_add(&limit->used, 1);
	if (used >= LIMIT_LINES)
		return;
	va_start(args, fmt);
	log_write(level, used == LIMIT_LINES - 1 ? " (more of these are left out)" : "", fmt, args);
	va_end(args);
}
