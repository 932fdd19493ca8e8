#include "tests/unit/base/unit.h"

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

static void test_clock__runs_forward(void **state)
{
    (void)state;
    int64_t boot = clock_boot_ms(), mono = clock_mono_us(), wall = clock_wall_ms();
    assert_true(boot > 0);
    assert_true(wall > INT64_C(1700000000000));
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_in_range(clock_mono_us() - mono, 20000, 20000000);
    assert_in_range(clock_boot_ms() - boot, 19, 20000);
}

static void test_clock__prints_the_three_forms(void **state)
{
    static const struct {
        int64_t ms;
        const char *http, *iso, *amz;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z", "19700101T000000Z"},
        {INT64_C(1255369800123), "Mon, 12 Oct 2009 17:50:00 GMT", "2009-10-12T17:50:00.123Z",
         "20091012T175000Z"},
        {INT64_C(951827696789), "Tue, 29 Feb 2000 12:34:56 GMT", "2000-02-29T12:34:56.789Z",
         "20000229T123456Z"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59.999Z", "19691231T235959Z"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.999Z",
         "99991231T235959Z"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT", "0000-01-01T00:00:00.000Z",
         "00000101T000000Z"},
    };
    char text[CLOCK_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        clock_http(cases[i].ms, text);
        assert_string_equal(text, cases[i].http);
        clock_iso(cases[i].ms, text);
        assert_string_equal(text, cases[i].iso);
        clock_amz(cases[i].ms, text);
        assert_string_equal(text, cases[i].amz);
    }
}

static void test_clock__agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        /* years 0000 to 9999 */
        int64_t s = (int64_t)(test_random() % UINT64_C(315569520000)) - INT64_C(62167219200);
        time_t t = (time_t)s;
        char mine[CLOCK_TEXT_MAX], theirs[CLOCK_TEXT_MAX];
        struct tm tm;
        gmtime_r(&t, &tm);
        clock_http(s * 1000 + 999, mine);
        strftime(theirs, sizeof(theirs), "%a, %d %b ", &tm);
        size_t len = strlen(theirs);
        snprintf(theirs + len, sizeof(theirs) - len, "%04d ", tm.tm_year + 1900);
        strftime(theirs + len + 5, sizeof(theirs) - len - 5, "%H:%M:%S GMT", &tm);
        assert_string_equal(mine, theirs);
    }
}

static void test_clock__reads_what_it_prints(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        int64_t ms = (int64_t)(test_random() % UINT64_C(315569520000000)) - INT64_C(62167219200000);
        int64_t whole = ms - ((ms % 1000) + 1000) % 1000, back = 0;
        char text[CLOCK_TEXT_MAX];
        clock_iso(ms, text);
        assert_ok(clock_parse_iso(str_of(text), &back));
        assert_true(back == ms);
        clock_http(ms, text);
        assert_ok(clock_parse_http(str_of(text), &back));
        assert_true(back == whole);
        clock_amz(ms, text);
        assert_ok(clock_parse_amz(str_of(text), &back));
        assert_true(back == whole);
    }
}

static void test_clock__reads_all_dates_of_http(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Wed, 12 Oct 2009 17:50:00 GMT", 1255369800}, /* Amazon's: it was a Monday */
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Friday, 31-Dec-99 00:00:00 GMT", 946598400},
        {"Tuesday, 01-Jan-30 00:00:00 GMT", 1893456000},
        /* what clients make of them, and S3 takes */
        {"Sun, 06 Nov 1994 08:49:37 UTC", 784111777},
        {"Sun, 06 Nov 1994 08:49:37 UT", 784111777},
        {"Sun, 06 Nov 1994 08:49:37 Z", 784111777},
        {"Sun, 06 Nov 1994 08:49:37 +0000", 784111777},
        {"Sun, 06 Nov 1994 10:49:37 +0200", 784111777},
        {"Sun, 06 Nov 1994 03:19:37 -05:30", 784111777},
        {"Sun, 6 Nov 1994 8:49:37 GMT", 784111777},
        {"sun, 06 nov 1994 08:49:37 gmt", 784111777},
        {"SUNDAY, 06-NOV-94 08:49:37 GMT", 784111777},
        {"Sun, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun, 06-Nov-1994 08:49:37 GMT", 784111777},
        {"Sun, 06 Nov 94 08:49:37 GMT", 784111777},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sun 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sun,  06  Nov 1994  08:49:37  GMT", 784111777},
        {" Sun, 06 Nov 1994 08:49:37 GMT ", 784111777},
        {"Sun, 06 Nov 1994 08:49 GMT", 784111740},
        {"Sun Nov 6 08:49:37 1994", 784111777},
        {"Sun Nov 06 8:49:37 UTC 1994", 784111777},
        {"Sun Nov  6 10:49:37 +0200 1994", 784111777},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        int64_t ms = -1;
        if (clock_parse_http(str_of(cases[i].text), &ms) != OK || ms != cases[i].s * 1000)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

static void test_clock__refuses_other_dates_of_http(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun, 06 Nov 1994 08:49:37 +2400",
        "Sun, 06 Nov 1994 08:49:37 +0060",
        "Sun, 06 Nov 1994 08:49:37 +200",
        "Sun, 06 Nov 1994 08:49:37 GMT+0200",
        "Sun, 06 Nov 1994 08:49:37 GMT x",
        "Sun, 006 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 008:49:37 GMT",
        "Sun, 06 Nov 1994 08:9:37 GMT",
        "Sun, 06 Nov 994 08:49:37 GMT",
        "Sun, 06-Nov 1994 08:49:37 GMT",
        "Sun, 06 11 1994 08:49:37 GMT",
        "Sun, 06 Novem 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1900 00:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 08:49:37 199",
        "Sun Nov  6 08:49:37 ",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
    };
    int64_t ms = 7;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (clock_parse_http(str_of(bad[i]), &ms) != ERR_INVALID)
            fail_msg("\"%s\" was taken for a date", bad[i]);
    assert_int_equal(clock_parse_http(STR("Sun, 06 Nov 1994 08:49:37 GMT\0"), &ms), ERR_INVALID);
    assert_true(ms == 7);
}

static void test_clock__reads_iso_dates_with_fractions_and_zones(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2009-10-12T17:50:00Z", INT64_C(1255369800000)},
        {"2009-10-12T17:50:00.1Z", INT64_C(1255369800100)},
        {"2009-10-12T17:50:00.1239999999Z", INT64_C(1255369800123)},
        {"2009-10-12T19:50:00.123+02:00", INT64_C(1255369800123)},
        {"2009-10-12T12:20:00-05:30", INT64_C(1255369800000)},
        {"2009-10-12", INT64_C(1255305600000)},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2009-10-12t17:50:00z", INT64_C(1255369800000)},
        {"2009-10-12T19:50:00+0200", INT64_C(1255369800000)},
    };
    static const char *const bad[] = {
        "",
        "2009",
        "2009-10",
        "2009-10-12T",
        "2009-10-12T17:50Z",
        "2009-10-12T17:50:00",
        "2009-10-12 17:50:00Z",
        "2009-10-12T17:50:00.Z",
        "2009-10-12T17:50:00+24:00",
        "2009-13-12T17:50:00Z",
        "2009-02-29T17:50:00Z",
        "2009-10-12T17:50:00ZZ",
        "20091012T175000Z",
        "2009-00-12T17:50:00Z",
        "+009-10-12T17:50:00Z",
    };
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++)
        if (clock_parse_iso(str_of(cases[i].text), &ms) != OK || ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (clock_parse_iso(str_of(bad[i]), &ms) != ERR_INVALID)
            fail_msg("\"%s\" was taken for a date", bad[i]);
}

static void test_clock__reads_any_form(void **state)
{
    static const char *const forms[] = {"Mon, 12 Oct 2009 17:50:00 UTC", "2009-10-12T17:50:00Z",
                                        " 20091012T175000Z "};
    int64_t ms = 0;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(forms); i++)
        if (clock_parse_any(str_of(forms[i]), &ms) != OK || ms != INT64_C(1255369800000))
            fail_msg("%s: %lld", forms[i], (long long)ms);
    assert_int_equal(clock_parse_any(STR(""), &ms), ERR_INVALID);
    assert_int_equal(clock_parse_any(STR("yesterday"), &ms), ERR_INVALID);
}

static void test_clock__reads_dates_of_sigv4_strictly(void **state)
{
    static const char *const bad[] = {
        "",
        "20091012",
        "20091012T175000",
        "20091012T175000z",
        "20091012T1750Z",
        "20091012T17500Z",
        "20091312T175000Z",
        "2009-10-12T17:50:00Z",
        "20091012T175000ZZ",
        "2009101 T175000Z",
    };
    int64_t ms = 0;

    (void)state;
    assert_ok(clock_parse_amz(STR("20091012T175000Z"), &ms));
    assert_true(ms == INT64_C(1255369800000));
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (clock_parse_amz(str_of(bad[i]), &ms) != ERR_INVALID)
            fail_msg("\"%s\" was taken for a date", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__runs_forward),
        cmocka_unit_test(test_clock__prints_the_three_forms),
        cmocka_unit_test(test_clock__agrees_with_the_c_library),
        cmocka_unit_test(test_clock__reads_what_it_prints),
        cmocka_unit_test(test_clock__reads_all_dates_of_http),
        cmocka_unit_test(test_clock__refuses_other_dates_of_http),
        cmocka_unit_test(test_clock__reads_iso_dates_with_fractions_and_zones),
        cmocka_unit_test(test_clock__reads_any_form),
        cmocka_unit_test(test_clock__reads_dates_of_sigv4_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
