/*
 * Clocks and the formats that HTTP and S3 print times in. Pure but for reading the clocks.
 */
#ifndef KISEKI_BASE_CLOCK_H
#define KISEKI_BASE_CLOCK_H

#include "base/err.h"
#include "base/str.h"

#include <time.h>

/* Milliseconds since 1970 UTC; may jump. For what people see, never for leases. */
int64_t clock_wall_ms(void);
/* Milliseconds since boot, counting sleep (CLOCK_BOOTTIME): leases and deadlines. */
int64_t clock_boot_ms(void);
/* Microseconds, monotonic: durations in metrics. */
int64_t clock_mono_us(void);

/* Whole seconds, rounded down also before 1970: dates of conditions compare in these. Pure. */
int64_t clock_seconds(int64_t wall_ms);

/* The moment `ms` from now by CLOCK_MONOTONIC, for waits on condition variables. */
struct timespec clock_mono_after(int64_t ms);
/* Sleeps so long, or a little longer. */
void clock_nap(int64_t ms);

#define CLOCK_TEXT_MAX 40

/* "Wed, 12 Oct 2009 17:50:00 GMT" (RFC 9110 IMF-fixdate). Seconds; the rest is cut. */
void clock_http(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);
/* "2009-10-12T17:50:00.123Z", as S3's XML has it. */
void clock_iso(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);
/* "20091012T175000Z", as SigV4 has it. */
void clock_amz(int64_t wall_ms, char out[CLOCK_TEXT_MAX]);

/*
 * Dates as S3 reads them in headers: ERR_INVALID for anything else, and for a date that does not
 * exist. *out_wall_ms is set only when the date was read.
 *
 * http: the three forms of RFC 9110 5.6.7, and what clients make of them (RFC 5322, date(1)): any
 * case, no name of the day, one digit for day and hour, a year of two digits, no seconds, the zones
 * GMT, UTC, UT, Z and +hhmm. A zone must be there, but in asctime's form.
 */
MUST_USE enum err clock_parse_http(struct str text, int64_t *out_wall_ms);
/* "2009-10-12", or with a time and a zone: "2009-10-12T17:50:00.123Z", "... 17:50:00+02:00". */
MUST_USE enum err clock_parse_iso(struct str text, int64_t *out_wall_ms);
/* "20091012T175000Z" and nothing else. */
MUST_USE enum err clock_parse_amz(struct str text, int64_t *out_wall_ms);
/* Any of the three, with blanks around it. */
MUST_USE enum err clock_parse_any(struct str text, int64_t *out_wall_ms);

#endif
