#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/range.h"

static void test_range__headers_of_get(void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        enum range_result result;
        uint64_t first, len;
    } rows[] = {
        {"", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0-0", 10, RANGE_PART, 0, 1},
        {"bytes=0-9", 10, RANGE_PART, 0, 10},
        {"bytes=0-10", 10, RANGE_PART, 0, 10},
        {"bytes=4-", 10, RANGE_PART, 4, 6},
        {"bytes=9-", 10, RANGE_PART, 9, 1},
        {"bytes=-1", 10, RANGE_PART, 9, 1},
        {"bytes=-10", 10, RANGE_PART, 0, 10},
        {"bytes=-11", 10, RANGE_PART, 0, 10},
        {"Bytes=2-3", 10, RANGE_PART, 2, 2},
        {" bytes=2-3 ", 10, RANGE_PART, 2, 2},
        {"bytes=3-18446744073709551615", 10, RANGE_PART, 3, 7},
        {"bytes=3-99999999999999999999999", 10, RANGE_PART, 3, 7},
        {"bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10},
        {"bytes=0-", UINT64_MAX, RANGE_PART, 0, UINT64_MAX},
        {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=10-20", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=99999999999999999999999-", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=18446744073709551615-", UINT64_MAX, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RANGE_WHOLE, 0, 0}, /* all that there is */
        {"bytes=-99999999999999999999999", 0, RANGE_WHOLE, 0, 0},
        /* ignored */
        {"bytes=5-4", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 10},
        {"bytes=-", 10, RANGE_WHOLE, 0, 10},
        {"bytes=", 10, RANGE_WHOLE, 0, 10},
        {"bytes", 10, RANGE_WHOLE, 0, 10},
        {"bytes=5", 10, RANGE_WHOLE, 0, 10},
        {"bytes=+1-2", 10, RANGE_WHOLE, 0, 10},
        {"bytes=--1", 10, RANGE_WHOLE, 0, 10},
        {"bytes=1--2", 10, RANGE_WHOLE, 0, 10},
        {"bytes=a-b", 10, RANGE_WHOLE, 0, 10},
        {"bytes=1-2x", 10, RANGE_WHOLE, 0, 10},
        {"items=1-2", 10, RANGE_WHOLE, 0, 10},
        {"0-5", 10, RANGE_WHOLE, 0, 10},
        {"bytes= -1", 10, RANGE_WHOLE, 0, 10},
        {"bytes= 0-1", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0 -1", 10, RANGE_WHOLE, 0, 10},
        {"bytes=0- 1", 10, RANGE_WHOLE, 0, 10},
        {"bytes=\t0-1", 10, RANGE_WHOLE, 0, 10},
        {"bytes =0-1", 10, RANGE_WHOLE, 0, 10},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct range r;
        enum range_result got = range_parse(str_of(rows[i].header), rows[i].size, &r);
        if (got != rows[i].result ||
            (got != RANGE_UNSATISFIABLE && (r.first != rows[i].first || r.len != rows[i].len)))
            fail_msg("\"%s\": %d, %llu+%llu", rows[i].header, (int)got, (unsigned long long)r.first,
                     (unsigned long long)r.len);
    }
}

static void test_range__a_part_is_always_within_the_object(void **state)
{
    static const char alphabet[] = "bytes=-,0123456789 ";

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char text[24] = "bytes=";
        struct range r;
        size_t len = 6 + test_random() % 17;
        for (size_t i = 6; i < len; i++)
            text[i] = alphabet[6 + test_random() % (sizeof(alphabet) - 7)];
        uint64_t size = test_random() % 3 ? test_random() % 1000 : test_random();
        if (range_parse((struct str){text, len}, size, &r) == RANGE_PART &&
            (r.len == 0 || r.first >= size || r.len > size - r.first))
            fail_msg("\"%.*s\" of %llu", (int)len, text, (unsigned long long)size);
    }
}

static void test_range__of_a_copy_is_strict(void **state)
{
    static const struct {
        const char *header;
        enum s3_code code;
    } rows[] = {
        {"", S3_OK},
        {"bytes=0-4", S3_OK},
        {"bytes=4-4", S3_OK},
        {"bytes=0-5", S3_INVALID_RANGE},
        {"bytes=5-5", S3_INVALID_RANGE},
        {"bytes=0-21", S3_INVALID_RANGE},
        {"bytes=0-99999999999999999999999", S3_INVALID_ARGUMENT},
        {"bytes=0-18446744073709551614", S3_INVALID_RANGE},
        {"bytes=4-3", S3_INVALID_ARGUMENT},
        {"0-2", S3_INVALID_ARGUMENT},
        {"bytes=0", S3_INVALID_ARGUMENT},
        {"bytes=0-", S3_INVALID_ARGUMENT},
        {"bytes=-2", S3_INVALID_ARGUMENT},
        {"bytes=hello-world", S3_INVALID_ARGUMENT},
        {"bytes=0-bar", S3_INVALID_ARGUMENT},
        {"bytes=hello-", S3_INVALID_ARGUMENT},
        {"bytes=0-2,3-5", S3_INVALID_ARGUMENT},
        {"bytes= 0-2", S3_INVALID_ARGUMENT},
        {"bytes=0 - 2", S3_INVALID_ARGUMENT},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct range r;
        enum s3_code got = range_parse_copy(str_of(rows[i].header), 5, &r, NULL);
        if (got != rows[i].code)
            fail_msg("\"%s\": %s", rows[i].header, s3_code_name(got));
    }
}

static void test_range__of_a_patch(void **state)
{
    static const struct {
        const char *header;
        bool ok;
        uint64_t first, len;
    } rows[] = {
        {"bytes 0-0/*", true, 0, 1},
        {"bytes 5-9/10", true, 5, 5},
        {"bytes 5-9/3", true, 5, 5}, /* the complete length is not looked at */
        {"bytes 5-9", true, 5, 5},
        {" Bytes 5-9/* ", true, 5, 5},
        {"bytes 7-/*", true, 7, 0},
        {"bytes 0-9223372036854775806/*", true, 0, INT64_MAX},
        {"", false, 0, 0},
        {"bytes", false, 0, 0},
        {"bytes */5", false, 0, 0},
        {"bytes=0-5/*", false, 0, 0},
        {"bytes 5-4/*", false, 0, 0},
        {"bytes -4/*", false, 0, 0},
        {"bytes 4/*", false, 0, 0},
        {"bytes a-b/*", false, 0, 0},
        {"bytes 0-1-2/*", false, 0, 0},
        {"bytes 0-9223372036854775807/*", false, 0, 0},
        {"bytes 99999999999999999999-99999999999999999999/*", false, 0, 0},
        {"items 0-5/*", false, 0, 0},
        {"bytes  0-5/*", false, 0, 0},
        {"bytes 0 -5/*", false, 0, 0},
        {"bytes 0- 5/*", false, 0, 0},
        {"bytes 0-5/ *", false, 0, 0},
        {"bytes 0-5/", false, 0, 0},
        {"bytes 0-5/x", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct range r;
        enum s3_code got = range_parse_content(str_of(rows[i].header), &r, NULL);
        if (got != (rows[i].ok ? S3_OK : S3_INVALID_ARGUMENT))
            fail_msg("\"%s\": %s", rows[i].header, s3_code_name(got));
        if (rows[i].ok && (r.first != rows[i].first || r.len != rows[i].len))
            fail_msg("\"%s\": %llu, %llu", rows[i].header, (unsigned long long)r.first,
                     (unsigned long long)r.len);
    }
}

static void test_range__content_range_text(void **state)
{
    char text[RANGE_TEXT_MAX];

    (void)state;
    range_content(&(struct range){2, 3}, 10, text);
    assert_string_equal(text, "bytes 2-4/10");
    range_content_unsatisfiable(10, text);
    assert_string_equal(text, "bytes */10");
    range_content(&(struct range){0, UINT64_MAX}, UINT64_MAX, text);
    assert_string_equal(text, "bytes 0-18446744073709551614/18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range__headers_of_get),
        cmocka_unit_test(test_range__a_part_is_always_within_the_object),
        cmocka_unit_test(test_range__of_a_copy_is_strict),
        cmocka_unit_test(test_range__of_a_patch),
        cmocka_unit_test(test_range__content_range_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
