/*
 * printf on a 16550 UART at port 0x3f8, by polling.
 *
 * Each access to the port is an exit into the VMM, so the line status register is read once for 16
 * characters, as many as the transmit FIFO takes, and not before each.
 */
#include <stdarg.h>

#include "bare.h"

enum {
	UART_THR = PORT_UART,
	UART_FCR = PORT_UART + 2,
	UART_LSR = PORT_UART + 5,
	FCR_ENABLE = 1,
	LSR_THR_EMPTY = 1 << 5,
	FIFO_BYTES = 16,
};

struct line {
	char text[FIFO_BYTES];
	unsigned used;
};

static void flush(struct line *line)
{
	while (!(in8(UART_LSR) & LSR_THR_EMPTY))
		relax();
	for (unsigned i = 0; i < line->used; i++)
		out8(UART_THR, (uint8_t)line->text[i]);
	line->used = 0;
}

static void put(struct line *line, char c)
{
	line->text[line->used++] = c;
	if (line->used == FIFO_BYTES)
		flush(line);
}

struct number_format {
	unsigned base;
	unsigned width;
	char pad;
	bool negative;
};

static void put_number(struct line *line, uint64_t value, const struct number_format *format)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % format->base];
		value /= format->base;
	} while (value);
	if (format->negative)
		digits[n++] = '-';
	for (unsigned i = n; i < format->width; i++)
		put(line, format->pad);
	while (n)
		put(line, digits[--n]);
}

/* One conversion, @fmt behind its '%'; returns what follows it. */
static const char *convert(struct line *line, const char *fmt, va_list *args)
{
	struct number_format number = {.base = 10, .pad = ' '};
	bool is_long = false;
	const char *text;
	int64_t value;

	if (*fmt == '0')
		number.pad = '0';
	while (*fmt >= '0' && *fmt <= '9')
		number.width = number.width * 10 + (unsigned)(*fmt++ - '0');
	for (; *fmt == 'l'; fmt++)
		is_long = true;
	switch (*fmt) {
	case 's':
		for (text = va_arg(*args, const char *); *text; text++)
			put(line, *text);
		break;
	case 'c':
		put(line, (char)va_arg(*args, int));
		break;
	case 'd':
		value = is_long ? va_arg(*args, long) : va_arg(*args, int);
		number.negative = value < 0;
		put_number(line, number.negative ? -(uint64_t)value : (uint64_t)value, &number);
		break;
	case 'x':
		number.base = 16;
		__attribute__((fallthrough));
	case 'u':
		put_number(line, is_long ? va_arg(*args, unsigned long) : va_arg(*args, unsigned),
			   &number);
		break;
	default:
		put(line, *fmt);
	}
	return fmt + 1;
}

static void print_args(const char *fmt, va_list *args)
{
	struct line line = {.used = 0};

	out8(UART_FCR, FCR_ENABLE);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(&line, fmt + 1, args);
		else
			put(&line, *fmt++);
	}
	flush(&line);
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_args(fmt, &args);
	va_end(args);
}

void panic(const char *fmt, ...)
{
	va_list args;

	print("\npanic: ");
	va_start(args, fmt);
	print_args(fmt, &args);
	va_end(args);
	print("\n");
	out8(PORT_PVPANIC, 1);
	out8(PORT_RESET, 1); /* for a machine without pvpanic */
	for (;;)
		relax();
}
