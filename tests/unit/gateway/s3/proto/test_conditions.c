#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/conditions.h"
#include "tests/conditions_cases.h"

#define ETAG "d41d8cd98f00b204e9800998ecf8427e"
/* Sat, 29 Oct 1994 19:43:31 GMT and 250 ms */
#define MTIME (INT64_C(783459811) * 1000 + 250)
#define NOW   (MTIME + INT64_C(1000) * 3600 * 24 * 365)

#define BEFORE "Sat, 29 Oct 1994 19:43:30 GMT"
#define SAME   "Sat, 29 Oct 1994 19:43:31 GMT"
#define AFTER  "Sat, 29 Oct 1994 19:43:32 GMT"
#define FUTURE "Sat, 29 Oct 2094 19:43:32 GMT"

static struct str given(const char *text)
{
    return text != NULL ? str_of(text) : STR_NONE;
}

struct row {
    const char *match, *none_match, *modified, *unmodified;
    enum condition_result read;
};

static const struct row rows[] = {
    {NULL, NULL, NULL, NULL, CONDITION_PROCEED},
    {ETAG, NULL, NULL, NULL, CONDITION_PROCEED},
    {"\"" ETAG "\"", NULL, NULL, NULL, CONDITION_PROCEED},
    {"W/\"" ETAG "\"", NULL, NULL, NULL, CONDITION_PROCEED},
    {"\"a\", \"" ETAG "\"", NULL, NULL, NULL, CONDITION_PROCEED},
    {"a," ETAG, NULL, NULL, NULL, CONDITION_PROCEED},
    {"*", NULL, NULL, NULL, CONDITION_PROCEED},
    {"\"*\"", NULL, NULL, NULL, CONDITION_FAILED},
    {"\"ABCORZ\"", NULL, NULL, NULL, CONDITION_FAILED},
    {"", NULL, NULL, NULL, CONDITION_FAILED},
    {"\"" ETAG ",\"", NULL, NULL, NULL, CONDITION_FAILED},
    {NULL, ETAG, NULL, NULL, CONDITION_NOT_MODIFIED},
    {NULL, "\"a\",W/\"" ETAG "\"", NULL, NULL, CONDITION_NOT_MODIFIED},
    {NULL, "*", NULL, NULL, CONDITION_NOT_MODIFIED},
    {NULL, "ABCORZ", NULL, NULL, CONDITION_PROCEED},
    {NULL, NULL, BEFORE, NULL, CONDITION_PROCEED},
    {NULL, NULL, SAME, NULL, CONDITION_NOT_MODIFIED},
    {NULL, NULL, AFTER, NULL, CONDITION_NOT_MODIFIED},
    {NULL, NULL, FUTURE, NULL, CONDITION_PROCEED},
    {NULL, NULL, "yesterday", NULL, CONDITION_PROCEED},
    {NULL, NULL, NULL, BEFORE, CONDITION_FAILED},
    {NULL, NULL, NULL, SAME, CONDITION_PROCEED},
    {NULL, NULL, NULL, AFTER, CONDITION_PROCEED},
    {NULL, NULL, NULL, FUTURE, CONDITION_PROCEED},
    {NULL, NULL, NULL, "yesterday", CONDITION_PROCEED},
    {NULL, NULL, "Sat, 29 Oct 1994 19:43:31 UTC", NULL, CONDITION_NOT_MODIFIED},
    {NULL, NULL, "Sat, 29 Oct 1994 21:43:31 +0200", NULL, CONDITION_NOT_MODIFIED},
    {NULL, NULL, NULL, "Sat, 29 Oct 1994 9:43:31 GMT", CONDITION_FAILED},
    {NULL, NULL, NULL, "1994-10-29T19:43:30Z", CONDITION_FAILED},
    {NULL, NULL, NULL, "19941029T194331Z", CONDITION_PROCEED},
    /* what names no ETag matches nothing */
    {"\"\"", NULL, NULL, NULL, CONDITION_FAILED},
    {"W/\"\"", NULL, NULL, NULL, CONDITION_FAILED},
    {",", NULL, NULL, NULL, CONDITION_FAILED},
    {"\"" ETAG, NULL, NULL, NULL, CONDITION_FAILED},
    /* precedence */
    {ETAG, NULL, NULL, BEFORE, CONDITION_PROCEED},
    {"x", NULL, NULL, AFTER, CONDITION_FAILED},
    {NULL, ETAG, BEFORE, NULL, CONDITION_NOT_MODIFIED},
    {NULL, "x", AFTER, NULL, CONDITION_PROCEED},
    {"x", ETAG, NULL, NULL, CONDITION_FAILED},
    {ETAG, ETAG, NULL, NULL, CONDITION_NOT_MODIFIED},
    {NULL, NULL, AFTER, BEFORE, CONDITION_FAILED},
};

static void test_conditions__reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct conditions c = {given(r->match), given(r->none_match), given(r->modified),
                               given(r->unmodified)};
        if (conditions_read(&c, STR(ETAG), MTIME, NOW) != r->read)
            fail_msg("row %zu", i);
        if (conditions_copy_source(&c, STR(ETAG), MTIME, NOW) !=
            (r->read == CONDITION_PROCEED ? CONDITION_PROCEED : CONDITION_FAILED))
            fail_msg("copy source, row %zu", i);
    }
}

/* The source of a copy: a write, so what cannot match lets nothing through. */
static void test_conditions__an_empty_none_match_guards_a_copy(void **state)
{
    static const char *const empty[] = {"", "\"\"", "W/\"\"", ",", "\"" ETAG};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(empty); i++) {
        struct conditions c = {.if_none_match = str_of(empty[i])};

        assert_int_equal(conditions_read(&c, STR(ETAG), MTIME, NOW), CONDITION_PROCEED);
        assert_int_equal(conditions_copy_source(&c, STR(ETAG), MTIME, NOW), CONDITION_FAILED);
    }
}

static enum condition_result of_case(enum case_result result)
{
    return result == CASE_WRITES  ? CONDITION_PROCEED
           : result == CASE_FAILS ? CONDITION_FAILED
                                  : CONDITION_NO_OBJECT;
}

static void test_conditions__writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONDITION_CASES; i++) {
        const struct condition_case *row = &condition_cases[i];
        struct conditions c = {.if_match = given(row->match),
                               .if_none_match = given(row->none_match)};

        if (conditions_write(&c, STR_NONE) != of_case(row->on_missing) ||
            conditions_write(&c, STR(CASE_ETAG)) != of_case(row->on_there))
            fail_msg("If-Match %s, If-None-Match %s", row->match, row->none_match);
    }
}

static void test_conditions__forms(void **state)
{
    static const struct {
        const char *header;
        enum condition_form form;
        const char *etag;
    } forms[] = {
        {NULL, CONDITION_ABSENT, ""},      {"*", CONDITION_ANY, ""},
        {"e", CONDITION_ETAG, "e"},        {"\"a,b\"", CONDITION_ETAG, "a,b"},
        {",\"e\" ,", CONDITION_ETAG, "e"}, {"", CONDITION_NOTHING, NULL},
        {"a, b", CONDITION_LIST, NULL},    {"\"\", b", CONDITION_LIST, NULL},
        {"*, b", CONDITION_LIST, NULL},    {"\"\", \"\"", CONDITION_NOTHING, NULL},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(forms); i++) {
        struct str etag;

        if (conditions_form(given(forms[i].header), &etag) != forms[i].form)
            fail_msg("%s", forms[i].header);
        if (forms[i].etag != NULL)
            assert_str(etag, str_of(forms[i].etag));
    }
}

static void test_conditions__if_range(void **state)
{
    (void)state;
    assert_true(conditions_if_range(STR_NONE, STR(ETAG), MTIME));
    assert_true(conditions_if_range(STR("\"" ETAG "\""), STR(ETAG), MTIME));
    assert_true(conditions_if_range(STR(ETAG), STR(ETAG), MTIME));
    assert_true(conditions_if_range(STR(SAME), STR(ETAG), MTIME));
    assert_false(conditions_if_range(STR(AFTER), STR(ETAG), MTIME));
    assert_false(conditions_if_range(STR(BEFORE), STR(ETAG), MTIME));
    assert_false(conditions_if_range(STR("W/\"" ETAG "\""), STR(ETAG), MTIME));
    assert_false(conditions_if_range(STR("\"x\""), STR(ETAG), MTIME));
    assert_false(conditions_if_range(STR("*"), STR(ETAG), MTIME));
}

static void test_conditions__headers_are_picked_out(void **state)
{
    const struct sigv4_header headers[] = {
        {STR("if-none-match"), STR("*")},
        {STR("If-None-Match"), STR("x")},
        {STR("x-amz-copy-source-if-match"), STR("e")},
        {STR("If-Match"), STR_NONE},
    };
    struct conditions c;

    (void)state;
    conditions_of_headers(headers, 4, &c);
    assert_str(c.if_none_match, STR("*"));
    assert_non_null(c.if_match.ptr); /* empty, but there */
    assert_null(c.if_modified_since.ptr);
    assert_true(conditions_any(&c));
    conditions_of_copy_headers(headers, 4, &c);
    assert_str(c.if_match, STR("e"));
    conditions_of_headers(headers, 0, &c);
    assert_false(conditions_any(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions__reads),
        cmocka_unit_test(test_conditions__an_empty_none_match_guards_a_copy),
        cmocka_unit_test(test_conditions__writes),
        cmocka_unit_test(test_conditions__forms),
        cmocka_unit_test(test_conditions__if_range),
        cmocka_unit_test(test_conditions__headers_are_picked_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
