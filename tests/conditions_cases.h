/*
 * What If-Match and If-None-Match of a write mean: the one table that the evaluation in C
 * (gateway/s3/proto/conditions.c) and the one in SQL (meta/) are both tested with.
 *
 * NULL: the header is absent. The object, where there is one, has CASE_ETAG. A row whose
 * If-None-Match names nothing is refused at the head of a request (gateway/s3/core/refuse.c).
 */
#ifndef KISEKI_TESTS_CONDITIONS_CASES_H
#define KISEKI_TESTS_CONDITIONS_CASES_H

#define CASE_ETAG "0cc175b9c0f1b6a831c399e269772661"

enum case_result { CASE_WRITES, CASE_FAILS, CASE_NO_KEY };

static const struct condition_case {
    const char *match, *none_match;
    enum case_result on_missing, on_there;
} condition_cases[] = {
    {NULL, NULL, CASE_WRITES, CASE_WRITES},

    {"*", NULL, CASE_NO_KEY, CASE_WRITES},
    {" * ", NULL, CASE_NO_KEY, CASE_WRITES},
    {CASE_ETAG, NULL, CASE_NO_KEY, CASE_WRITES},
    {"\"" CASE_ETAG "\"", NULL, CASE_NO_KEY, CASE_WRITES},
    {"W/\"" CASE_ETAG "\"", NULL, CASE_NO_KEY, CASE_WRITES},
    {"\"" CASE_ETAG "\",", NULL, CASE_NO_KEY, CASE_WRITES},
    {"\"other\"", NULL, CASE_NO_KEY, CASE_FAILS},
    {CASE_ETAG "-1", NULL, CASE_NO_KEY, CASE_FAILS},
    {"0CC175B9C0F1B6A831C399E269772661", NULL, CASE_NO_KEY, CASE_FAILS},
    /* no ETag: matches nothing */
    {"", NULL, CASE_NO_KEY, CASE_FAILS},
    {" ", NULL, CASE_NO_KEY, CASE_FAILS},
    {"\"\"", NULL, CASE_NO_KEY, CASE_FAILS},
    {"W/\"\"", NULL, CASE_NO_KEY, CASE_FAILS},
    {"W/", NULL, CASE_NO_KEY, CASE_FAILS},
    {",", NULL, CASE_NO_KEY, CASE_FAILS},
    {"\"*\"", NULL, CASE_NO_KEY, CASE_FAILS},
    {"\"" CASE_ETAG, NULL, CASE_NO_KEY, CASE_FAILS},
    {CASE_ETAG "\"", NULL, CASE_NO_KEY, CASE_FAILS},
    {"\"\"" CASE_ETAG "\"\"", NULL, CASE_NO_KEY, CASE_FAILS},

    {NULL, "*", CASE_WRITES, CASE_FAILS},
    {NULL, CASE_ETAG, CASE_WRITES, CASE_FAILS},
    {NULL, "\"" CASE_ETAG "\"", CASE_WRITES, CASE_FAILS},
    {NULL, "W/\"" CASE_ETAG "\"", CASE_WRITES, CASE_FAILS},
    {NULL, "\"other\"", CASE_WRITES, CASE_WRITES},
    {NULL, "\"*\"", CASE_WRITES, CASE_WRITES},
    /* no ETag: nobody can tell what was to be kept */
    {NULL, "", CASE_FAILS, CASE_FAILS},
    {NULL, "\"\"", CASE_FAILS, CASE_FAILS},
    {NULL, "W/\"\"", CASE_FAILS, CASE_FAILS},
    {NULL, ",", CASE_FAILS, CASE_FAILS},
    {NULL, "\"" CASE_ETAG, CASE_FAILS, CASE_FAILS},

    {"*", "*", CASE_NO_KEY, CASE_FAILS},
    {CASE_ETAG, "*", CASE_NO_KEY, CASE_FAILS},
    {CASE_ETAG, CASE_ETAG, CASE_NO_KEY, CASE_FAILS},
    {CASE_ETAG, "other", CASE_NO_KEY, CASE_WRITES},
    {"", "other", CASE_NO_KEY, CASE_FAILS},
    {"\"\"", "*", CASE_NO_KEY, CASE_FAILS},
};

#define CONDITION_CASES (sizeof(condition_cases) / sizeof(condition_cases[0]))

#endif
