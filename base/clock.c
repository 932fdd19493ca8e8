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

static int64_t scan_month(struct scan *s)
{
    for (size_t i = 0; s->ok && i < 12; i++) {
        if (str_starts(s->rest, str_of(months[i]))) {
            s->rest = str_sub(s->rest, 3, s->rest.len);
            return (int64_t)i + 1;
        }
    }
    s->ok = false;
    return 1;
}

/* Whether the day is the date's is not asked: Amazon's own examples get it wrong. */
static bool scan_weekday(struct scan *s, const char *name)
{
    if (!str_starts(s->rest, str_of(name)))
        return false;
    scan_text(s, str_of(name));
    return true;
}

static void scan_time(struct scan *s, struct date *d)
{
    d->hour = scan_digits(s, 2);
    scan_text(s, STR(":"));
    d->minute = scan_digits(s, 2);
    scan_text(s, STR(":"));
    d->second = scan_digits(s, 2);
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

/* "Sun, 06 Nov 1994 08:49:37 GMT", after the name of the day. */
static bool parse_imf(struct scan s, int64_t *out_wall_ms)
{
    struct date d = {0};

    scan_text(&s, STR(", "));
    d.day = scan_digits(&s, 2);
    scan_text(&s, STR(" "));
    d.month = scan_month(&s);
    scan_text(&s, STR(" "));
    d.year = scan_digits(&s, 4);
    scan_text(&s, STR(" "));
    scan_time(&s, &d);
    scan_text(&s, STR(" GMT"));
    return scan_end(&s, &d, out_wall_ms);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", after the name of the day. */
static bool parse_rfc850(struct scan s, int64_t *out_wall_ms)
{
    struct date d = {0};
    int64_t this_year = date_of(clock_wall_ms()).year;

    scan_text(&s, STR(", "));
    d.day = scan_digits(&s, 2);
    scan_text(&s, STR("-"));
    d.month = scan_month(&s);
    scan_text(&s, STR("-"));
    d.year = scan_digits(&s, 2) + this_year / 100 * 100;
    /* RFC 9110: what seems more than 50 years in the future is the past. */
    if (d.year > this_year + 50)
        d.year -= 100;
    scan_text(&s, STR(" "));
    scan_time(&s, &d);
    scan_text(&s, STR(" GMT"));
    return scan_end(&s, &d, out_wall_ms);
}

/* "Sun Nov  6 08:49:37 1994", after the name of the day. */
static bool parse_asctime(struct scan s, int64_t *out_wall_ms)
{
    struct date d = {0};

    scan_text(&s, STR(" "));
    d.month = scan_month(&s);
    scan_text(&s, STR(" "));
    if (str_starts(s.rest, STR(" "))) {
        scan_text(&s, STR(" "));
        d.day = scan_digits(&s, 1);
    } else {
        d.day = scan_digits(&s, 2);
    }
    scan_text(&s, STR(" "));
    scan_time(&s, &d);
    scan_text(&s, STR(" "));
    d.year = scan_digits(&s, 4);
    return scan_end(&s, &d, out_wall_ms);
}

enum err clock_parse_http(struct str text, int64_t *out_wall_ms)
{
    for (size_t i = 0; i < 7; i++) {
        struct scan s = {text, true};
        if (scan_weekday(&s, weekdays_long[i])) {
            if (parse_rfc850(s, out_wall_ms))
                return OK;
        } else if (scan_weekday(&s, weekdays[i])) {
            if (parse_imf(s, out_wall_ms) || parse_asctime(s, out_wall_ms))
                return OK;
        }
    }
    return err_set(ERR_INVALID, "not a date of HTTP");
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

/* "Z" or "+05:30": what to take away, in milliseconds. */
static int64_t scan_zone(struct scan *s)
{
    if (!s->ok || s->rest.len == 0 || s->rest.ptr[0] == 'Z') {
        scan_text(s, STR("Z"));
        return 0;
    }
    int64_t sign = s->rest.ptr[0] == '-' ? -1 : 1;
    scan_text(s, sign < 0 ? STR("-") : STR("+"));
    int64_t hours = scan_digits(s, 2);
    scan_text(s, STR(":"));
    int64_t minutes = scan_digits(s, 2);
    if (hours > 23 || minutes > 59)
        s->ok = false;
    return sign * (hours * 60 + minutes) * 60000;
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
        scan_text(&s, STR("T"));
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
