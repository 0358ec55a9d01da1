/* The MC146818's way to write times: see rtc_time.h. Pure functions. */
#include "chip/rtc_time.h"

#include <time.h>

#define HOUR_PM   0x80
#define DONT_CARE 0xc0

static uint8_t encode(const uint8_t *cmos, unsigned value)
{
	if (cmos[RTC_REGISTER_B] & RTC_B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 << 4 | value % 10);
}

static unsigned decode(const uint8_t *cmos, uint8_t value)
{
	if (cmos[RTC_REGISTER_B] & RTC_B_BINARY)
		return value;
	return (value >> 4) * 10u + (value & 0xf);
}

static uint8_t encode_hour(const uint8_t *cmos, unsigned hour)
{
	unsigned hour12 = hour % 12 ? hour % 12 : 12;

	if (cmos[RTC_REGISTER_B] & RTC_B_24_HOURS)
		return encode(cmos, hour);
	return encode(cmos, hour12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const uint8_t *cmos, uint8_t value)
{
	if (cmos[RTC_REGISTER_B] & RTC_B_24_HOURS)
		return decode(cmos, value);
	return decode(cmos, value & (uint8_t)~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

bool rtc_time_is_register(uint8_t reg)
{
	switch (reg) {
	case RTC_SECONDS:
	case RTC_MINUTES:
	case RTC_HOURS:
	case RTC_WEEKDAY:
	case RTC_DAY:
	case RTC_MONTH:
	case RTC_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

void rtc_time_encode(uint8_t *cmos, int64_t s)
{
	time_t time = (time_t)s;
	struct tm tm = {0};
	unsigned year;

	gmtime_r(&time, &tm);
	year = (unsigned)(tm.tm_year + 1900) % 10000;
	cmos[RTC_SECONDS] = encode(cmos, (unsigned)tm.tm_sec);
	cmos[RTC_MINUTES] = encode(cmos, (unsigned)tm.tm_min);
	cmos[RTC_HOURS] = encode_hour(cmos, (unsigned)tm.tm_hour);
	cmos[RTC_WEEKDAY] = encode(cmos, (unsigned)tm.tm_wday + 1);
	cmos[RTC_DAY] = encode(cmos, (unsigned)tm.tm_mday);
	cmos[RTC_MONTH] = encode(cmos, (unsigned)tm.tm_mon + 1);
	cmos[RTC_YEAR] = encode(cmos, year % 100);
	cmos[RTC_CENTURY] = encode(cmos, year / 100);
}

int64_t rtc_time_decode(const uint8_t *cmos)
{
	struct tm tm = {
		.tm_sec = (int)decode(cmos, cmos[RTC_SECONDS]),
		.tm_min = (int)decode(cmos, cmos[RTC_MINUTES]),
		.tm_hour = (int)decode_hour(cmos, cmos[RTC_HOURS]),
		.tm_mday = (int)decode(cmos, cmos[RTC_DAY]),
		.tm_mon = (int)decode(cmos, cmos[RTC_MONTH]) - 1,
		.tm_year = (int)(decode(cmos, cmos[RTC_CENTURY]) * 100 +
				 decode(cmos, cmos[RTC_YEAR])) -
			   1900,
	};

	return timegm(&tm);
}

static bool part_matches(unsigned value, uint8_t alarm, unsigned decoded)
{
	return alarm >= DONT_CARE || decoded == value;
}

bool rtc_alarm_matches(const uint8_t *cmos, int64_t s)
{
	unsigned second = (unsigned)(((s % 86400) + 86400) % 86400);
	uint8_t sec = cmos[RTC_SECONDS_ALARM], min = cmos[RTC_MINUTES_ALARM];
	uint8_t hour = cmos[RTC_HOURS_ALARM];

	return part_matches(second % 60, sec, decode(cmos, sec)) &&
	       part_matches(second / 60 % 60, min, decode(cmos, min)) &&
	       part_matches(second / 3600, hour, decode_hour(cmos, hour));
}
