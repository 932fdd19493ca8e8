#include "base/clock.h"

#include <time.h>

#define MS_PER_DAY INT64_C(86400000)

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec t = {0};

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * per_second + (int64_t)t.tv_nsec / (1000000000 / per_second);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

int64_t clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

int64_t clock_seconds(int64_t wall_ms)
{
    return wall_ms >= 0 ? wall_ms / 1000 : -((999 - wall_ms) / 1000);
}

struct timespec clock_mono_after(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

void clock_nap(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* --- the calendar ---------------------------------------------------------------------------
 * Own arithmetic (Gregorian, UTC) because timegm() and strftime() know time zones and locales.
 * Years are counted from March here, so that the leap day is a year's last.
 */

struct date {
    int64_t year;
    int64_t month; /* 1..12 */
    int64_t day;   /* 1..31 */
    int64_t hour, minute, second, ms;
    int64_t weekday; /* 0 is Sunday */
};

static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char weekdays_long[7][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Days since 1970-01-01 of a date in the years 0..9999. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year + 399 : year + 400; /* 400 years more: never negative */
    int64_t m = (month + 9) % 12;                     /* March is 0 */

    /* 719468 days lie between 0000-03-01 and 1970-01-01, 146097 in 400 years. */
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468 - 146097;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    return month == 12 ? 31 : days_of(year, month + 1, 1) - days_of(year, month, 1);
}

static struct date date_of(int64_t wall_ms)
{
    /* All formats have four digits for the year: 0000-01-01 to 9999-12-31. */
    const int64_t first = days_of(0, 1, 1) * MS_PER_DAY;
    const int64_t last = (days_of(9999, 12, 31) + 1) * MS_PER_DAY - 1;
    struct date d = {0};

    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    int64_t days = (wall_ms - first) / MS_PER_DAY, ms = (wall_ms - first) % MS_PER_DAY;

    d.weekday = (days + 6) % 7; /* 0000-01-01 was a Saturday */
    d.hour = ms / 3600000;
    d.minute = ms / 60000 % 60;
    d.second = ms / 1000 % 60;
    d.ms = ms % 1000;

    /* The inverse of days_of: days since March 1 of the year -400, in 400 years, in a year. */
    int64_t since_march = days + 146097 - 60;
    int64_t in_400 = since_march % 146097;
    int64_t year = (in_400 - in_400 / 1460 + in_400 / 36524 - in_400 / 146096) / 365;
    int64_t in_year = in_400 - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* March is 0 */

    d.day = in_year - (153 * month + 2) / 5 + 1;
    d.month = month < 10 ? month + 3 : month - 9;
    d.year = since_march / 146097 * 400 - 400 + year + (d.month <= 2 ? 1 : 0);
    return d;
}

/* A page of a listing prints a thousand times, so the texts are made by hand. */
static char *put_digits(char *to, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

static char *put_text(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    *to = '\0';
    return to;
}

/* The numbers of date and time with what stands between them. */
static char *put_day(char *to, const struct date *d, const char *between)
{
    to = put_text(put_digits(to, d->year, 4), between);
    to = put_text(put_digits(to, d->month, 2), between);
    return put_digits(to, d->day, 2);
}

static char *put_time(char *to, const struct date *d, const char *between)
{
    to = put_text(put_digits(to, d->hour, 2), between);
    to = put_text(put_digits(to, d->minute, 2), between);
    return put_digits(to, d->second, 2);
}

void clock_http(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    struct date d = date_of(wall_ms);
    char *to = put_text(put_text(out, weekdays[d.weekday]), ", ");

    to = put_text(put_digits(to, d.day, 2), " ");
    to = put_text(put_text(to, months[d.month - 1]), " ");
    to = put_text(put_digits(to, d.year, 4), " ");
    put_text(put_time(to, &d, ":"), " GMT");
}

void clock_iso(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    struct date d = date_of(wall_ms);
    char *to = put_text(put_day(out, &d, "-"), "T");

    to = put_text(put_time(to, &d, ":"), ".");
    put_text(put_digits(to, d.ms, 3), "Z");
}

void clock_amz(int64_t wall_ms, char out[CLOCK_TEXT_MAX])
{
    struct date d = date_of(wall_ms);
    char *to = put_text(put_day(out, &d, ""), "T");

    put_text(put_time(to, &d, ""), "Z");
}

/* --- parsing: a cursor that remembers whether all matched so far ------------------------------ */

struct scan {
    struct str rest;
    bool ok;
};

static void scan_text(struct scan *s, struct str text)
{
    if (s->ok && str_starts(s->rest, text))
        s->rest = str_sub(s->rest, text.len, s->rest.len);
    else
        s->ok = false;
}

/* Exactly `width` digits. */
static int64_t scan_digits(struct scan *s, size_t width)
{
    uint64_t v = 0;

    if (s->ok && s->rest.len >= width && str_to_u64(str_sub(s->rest, 0, width), &v) == OK)
        s->rest = str_sub(s->rest, width, s->rest.len);
    else
        s->ok = false;
    return (int64_t)v;
}

/* What stands at the front without regard to case; false: something else does. */
static bool scan_word(struct scan *s, const char *word)
{
    if (!s->ok || !str_starts_nocase(s->rest, str_of(word)))
        return false;
    s->rest = str_sub(s->rest, str_of(word).len, s->rest.len);
    return true;
}

static bool scan_sees_digit(const struct scan *s)
{
    return s->rest.len > 0 && s->rest.ptr[0] >= '0' && s->rest.ptr[0] <= '9';
}

/* At least one digit and at most `width`. */
static int64_t scan_number(struct scan *s, size_t width, size_t *out_width)
{
    int64_t v = 0;

    for (*out_width = 0; *out_width < width && scan_sees_digit(s); (*out_width)++)
        v = v * 10 + scan_digits(s, 1);
    s->ok = s->ok && *out_width > 0;
    return v;
}

static int64_t scan_one_or_two(struct scan *s)
{
    size_t width;

    return scan_number(s, 2, &width);
}

/* One blank, or more. */
static void scan_blanks(struct scan *s)
{
    scan_text(s, STR(" "));
    while (s->ok && s->rest.len > 0 && s->rest.ptr[0] == ' ')
        scan_text(s, STR(" "));
}

static int64_t scan_month(struct scan *s)
{
    for (size_t i = 0; s->ok && i < 12; i++)
        if (scan_word(s, months[i]))
            return (int64_t)i + 1;
    s->ok = false;
    return 1;
}

/* Four digits; or two, and RFC 9110: what seems more than 50 years in the future is the past. */
static int64_t scan_year(struct scan *s)
{
    int64_t this_year = date_of(clock_wall_ms()).year;
    size_t width;
    int64_t year = scan_number(s, 4, &width);

    if (width == 4)
        return year;
    s->ok = s->ok && width == 2;
    year += this_year / 100 * 100;
    return year > this_year + 50 ? year - 100 : year;
}

/* A day's name, long or short, if there is one. Whether it is the date's is not asked: Amazon's
 * own examples get it wrong. */
static void scan_weekday(struct scan *s)
{
    for (size_t i = 0; i < 7; i++) {
        if (!scan_word(s, weekdays_long[i]) && !scan_word(s, weekdays[i]))
            continue;
        (void)scan_word(s, ",");
        scan_blanks(s);
        return;
    }
}

static void scan_time(struct scan *s, struct date *d)
{
    d->hour = scan_digits(s, 2);
    scan_text(s, STR(":"));
    d->minute = scan_digits(s, 2);
    scan_text(s, STR(":"));
    d->second = scan_digits(s, 2);
}

/* "8:49:37", "08:49" (RFC 5322 lets the seconds be missing). */
static void scan_loose_time(struct scan *s, struct date *d)
{
    d->hour = scan_one_or_two(s);
    scan_text(s, STR(":"));
    d->minute = scan_digits(s, 2);
    if (scan_word(s, ":"))
        d->second = scan_digits(s, 2);
}

/* "+05:30" or "+0530" behind a name or alone: what to take away, in milliseconds. */
static int64_t scan_offset(struct scan *s)
{
    int64_t sign = scan_word(s, "-") ? -1 : 1;

    if (sign > 0)
        scan_text(s, STR("+"));
    int64_t hours = scan_digits(s, 2);
    (void)scan_word(s, ":");
    int64_t minutes = scan_digits(s, 2);
    s->ok = s->ok && hours <= 23 && minutes <= 59;
    return sign * (hours * 60 + minutes) * 60000;
}

static int64_t scan_named_zone(struct scan *s)
{
    if (scan_word(s, "GMT") || scan_word(s, "UTC") || scan_word(s, "UT") || scan_word(s, "Z"))
        return 0;
    return scan_offset(s);
}

/* True and the time, if all of the text was read and is a date that exists. */
static bool scan_end(const struct scan *s, const struct date *d, int64_t *out_wall_ms)
{
    if (!s->ok || s->rest.len != 0 || d->month < 1 || d->month > 12 || d->day < 1 ||
        d->day > days_in_month(d->year, d->month) || d->hour > 23 || d->minute > 59 ||
        d->second > 60) /* 60: a leap second, which is the next minute's first */
        return false;
    *out_wall_ms = days_of(d->year, d->month, d->day) * MS_PER_DAY + d->hour * 3600000 +
                   d->minute * 60000 + d->second * 1000 + d->ms;
    return true;
}

/* "06 Nov 1994 08:49:37 GMT", "6-Nov-94 8:49:37 +0000", after the name of the day. */
static bool parse_day_first(struct scan s, int64_t *out_wall_ms)
{
    struct date d = {0};
    bool dashes;

    d.day = scan_one_or_two(&s);
    dashes = scan_word(&s, "-");
    if (!dashes)
        scan_blanks(&s);
    d.month = scan_month(&s);
    if (dashes)
        scan_text(&s, STR("-"));
    else
        scan_blanks(&s);
    d.year = scan_year(&s);
    scan_blanks(&s);
    scan_loose_time(&s, &d);
    scan_blanks(&s);
    int64_t zone_ms = scan_named_zone(&s);
    if (!scan_end(&s, &d, out_wall_ms))
        return false;
    *out_wall_ms -= zone_ms;
    return true;
}

/* "Nov  6 08:49:37 1994", "Nov 6 08:49:37 UTC 1994", after the name of the day. */
static bool parse_month_first(struct scan s, int64_t *out_wall_ms)
{
    struct date d = {0};
    int64_t zone_ms = 0;
    size_t width;

    d.month = scan_month(&s);
    scan_blanks(&s);
    d.day = scan_one_or_two(&s);
    scan_blanks(&s);
    scan_loose_time(&s, &d);
    scan_blanks(&s);
    if (s.ok && !scan_sees_digit(&s)) {
        zone_ms = scan_named_zone(&s);
        scan_blanks(&s);
    }
    d.year = scan_number(&s, 4, &width);
    s.ok = s.ok && width == 4;
    if (!scan_end(&s, &d, out_wall_ms))
        return false;
    *out_wall_ms -= zone_ms;
    return true;
}

enum err clock_parse_http(struct str text, int64_t *out_wall_ms)
{
    struct scan s = {str_trim(text), true};
    int64_t wall_ms;

    scan_weekday(&s);
    if (!parse_day_first(s, &wall_ms) && !parse_month_first(s, &wall_ms))
        return err_set(ERR_INVALID, "not a date of HTTP");
    *out_wall_ms = wall_ms;
    return OK;
}

enum err clock_parse_any(struct str text, int64_t *out_wall_ms)
{
    text = str_trim(text);
    if (clock_parse_http(text, out_wall_ms) == OK || clock_parse_iso(text, out_wall_ms) == OK ||
        clock_parse_amz(text, out_wall_ms) == OK)
        return OK;
    return err_set(ERR_INVALID, "not a date in any form that S3 takes");
}

/* A fraction of a second, cut to milliseconds. */
static int64_t scan_fraction(struct scan *s)
{
    int64_t ms = 0, unit = 100;

    scan_text(s, STR("."));
    do {
        ms += scan_digits(s, 1) * unit;
        unit /= 10;
    } while (s->ok && s->rest.len > 0 && s->rest.ptr[0] >= '0' && s->rest.ptr[0] <= '9');
    return ms;
}

/* "Z", "+05:30" or "+0530": what to take away, in milliseconds. */
static int64_t scan_zone(struct scan *s)
{
    return scan_word(s, "Z") ? 0 : scan_offset(s);
}

enum err clock_parse_iso(struct str text, int64_t *out_wall_ms)
{
    struct scan s = {text, true};
    struct date d = {0};
    int64_t zone_ms = 0, wall_ms = 0;

    d.year = scan_digits(&s, 4);
    scan_text(&s, STR("-"));
    d.month = scan_digits(&s, 2);
    scan_text(&s, STR("-"));
    d.day = scan_digits(&s, 2);
    if (s.ok && s.rest.len > 0) {
        s.ok = scan_word(&s, "T");
        scan_time(&s, &d);
        if (str_starts(s.rest, STR(".")))
            d.ms = scan_fraction(&s);
        zone_ms = scan_zone(&s);
    }
    if (!scan_end(&s, &d, &wall_ms))
        return err_set(ERR_INVALID, "not an ISO 8601 date");
    *out_wall_ms = wall_ms - zone_ms;
    return OK;
}

enum err clock_parse_amz(struct str text, int64_t *out_wall_ms)
{
    struct scan s = {text, true};
    struct date d = {0};

    d.year = scan_digits(&s, 4);
    d.month = scan_digits(&s, 2);
    d.day = scan_digits(&s, 2);
    scan_text(&s, STR("T"));
    d.hour = scan_digits(&s, 2);
    d.minute = scan_digits(&s, 2);
    d.second = scan_digits(&s, 2);
    scan_text(&s, STR("Z"));
    if (!scan_end(&s, &d, out_wall_ms))
        return err_set(ERR_INVALID, "not a date of the form 20091012T175000Z");
    return OK;
}
