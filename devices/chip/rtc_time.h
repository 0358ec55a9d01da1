/*
 * Time as an MC146818 keeps it in its registers: BCD or binary, 12 or 24 hours, and the alarm. Pure
 * functions on the register file; no register content is invalid to them.
 */
#ifndef SARANG_CHIP_RTC_TIME_H
#define SARANG_CHIP_RTC_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Registers (offsets in the register file). */
enum rtc_time_register {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_WEEKDAY = 0x06, /* 1: Sunday */
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_REGISTER_B = 0x0b,
	RTC_CENTURY = 0x32,
};

/* Bits of register B that say how numbers are written. */
#define RTC_B_BINARY   (1 << 2)
#define RTC_B_24_HOURS (1 << 1)

/* Whether @reg holds a part of the time (not of the alarm). */
bool rtc_time_is_register(uint8_t reg);

/* Writes @s, seconds since 1970 in UTC, into the time registers. */
void rtc_time_encode(uint8_t *cmos, int64_t s);

/* What the time registers say; values out of range carry over into the next unit. */
int64_t rtc_time_decode(const uint8_t *cmos);

/* Whether the alarm registers match the time @s. 0xc0 and above in one of them match anything. */
bool rtc_alarm_matches(const uint8_t *cmos, int64_t s);

#endif
