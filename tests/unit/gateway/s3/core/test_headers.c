#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/headers.h"

/* Each of these means one thing: a second one is refused, on whatever operation. */
static const char *const single[] = {
    "Content-Disposition",
    "Content-Range",
    "Content-Type",
    "Date",
    "Expires",
    "If-Modified-Since",
    "If-Range",
    "If-Unmodified-Since",
    "Range",
    "x-amz-acl",
    "x-amz-checksum-algorithm",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expected-bucket-owner",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-max-parts",
    "x-amz-metadata-directive",
    "x-amz-mp-object-size",
    "x-amz-part-number-marker",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-source-expected-bucket-owner",
    "x-amz-storage-class",
    "x-amz-write-offset-bytes",
};

static const char *const lists[] = {
    "Cache-Control",
    "Content-Encoding",
    "Content-Language",
    "If-Match",
    "If-None-Match",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
    "x-amz-object-attributes",
    "x-amz-optional-object-attributes",
    "x-amz-trailer",
};

static void ask(struct s3_given *g, const char *name, const char *a, const char *b, const char *c)
{
    static char text[512]; /* it is borrowed */

    snprintf(text, sizeof(text), "PUT /b/k\nx-other: 1\n%s: %s\nx-other: 2\n%s: %s\n%s: %s\n", name,
             a, name, b, name, c);
    given(g, text);
}

static void test_headers__a_second_one_with_a_single_value_is_refused(void **state)
{
    struct s3_given g;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(single); i++) {
        char upper[64];

        ask(&g, single[i], "a", "a", "c");
        if (g.code != S3_INVALID_ARGUMENT)
            fail_msg("%s twice: %s", single[i], s3_code_name(g.code));
        assert_str(g.r.error.extra[0].value, str_of(single[i]));
        given_free(&g);
        snprintf(upper, sizeof(upper), "PUT /b/k\n%s: a\n", single[i]);
        given(&g, upper);
        assert_str(s3_header(&g.r, single[i]), STR("a"));
        given_free(&g);
    }
}

static void test_headers__a_list_is_joined(void **state)
{
    struct s3_given g;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(lists); i++) {
        size_t count = 0;

        ask(&g, lists[i], "a", "b, c", "d");
        assert_int_equal(g.code, S3_OK);
        assert_str(s3_header(&g.r, lists[i]), STR("a, b, c, d"));
        for (size_t h = 0; h < g.r.header_count; h++)
            count += str_eq_nocase(g.r.headers[h].name, str_of(lists[i]));
        assert_int_equal(count, 1);
        assert_int_equal(g.r.header_count, 3); /* x-other stays apart */
        given_free(&g);
    }
    given(&g, "PUT /b/k\nCache-Control: no-cache\ncache-control:\nCACHE-CONTROL: no-store\n");
    assert_str(s3_header(&g.r, "cache-control"), STR("no-cache, no-store"));
    given_free(&g);
    given(&g, "PUT /b/k\nIf-Match: a\nIf-Match:\n"); /* an empty condition is one */
    assert_str(s3_header(&g.r, "if-match"), STR("a, "));
    given_free(&g);
}

static void test_headers__those_with_rules_of_their_own_stay_apart(void **state)
{
    static const char *const apart[] = {"Content-MD5", "x-amz-checksum-crc32", "x-amz-meta-a",
                                        "x-other", "Accept-Encoding"};
    struct s3_given g;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(apart); i++) {
        ask(&g, apart[i], "a", "", "c");
        assert_int_equal(g.code, S3_OK);
        assert_int_equal(g.r.header_count, 5);
        given_free(&g);
    }
}

static void test_headers__empty_ones_are_absent_where_nothing_hangs_on_them(void **state)
{
    static const char *const absent[] = {
        "x-amz-acl",
        "x-amz-tagging",
        "x-amz-storage-class",
        "x-amz-grant-read",
        "x-amz-checksum-type",
        "x-amz-expected-bucket-owner",
        "x-amz-request-payer",
        "x-amz-object-lock-mode",
        "x-amz-mp-object-size",
        "x-amz-what-is-this",
        "x-amz-metadata-directive",
        "Range",
    };
    static const char *const counts[] = {
        "If-Match",
        "If-None-Match",
        "If-Unmodified-Since",
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-none-match",
        "x-amz-if-match-size",
        "x-amz-write-offset-bytes",
        "Content-MD5",
        "x-amz-checksum-crc32",
        "x-amz-meta-a",
    };
    struct s3_given g;
    char text[128];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(absent) + LENGTH_OF(counts); i++) {
        bool is_absent = i < LENGTH_OF(absent);
        const char *name = is_absent ? absent[i] : counts[i - LENGTH_OF(absent)];

        snprintf(text, sizeof(text), "PUT /b/k\n%s: \n", name);
        given(&g, text);
        if ((s3_header(&g.r, name).ptr == NULL) != is_absent)
            fail_msg("%s is %s", name, is_absent ? "there" : "absent");
        given_free(&g);
    }
}

static void test_headers__names_of_any_length_are_looked_up(void **state)
{
    char text[700] = "PUT /b/k\nx-amz-meta-";
    struct s3_given g;

    (void)state;
    memset(text + strlen(text), 'm', 500);
    strncat(text, ": 1\na: 2\nx: 3\nx-amz-: 4\n", sizeof(text) - strlen(text) - 1);
    given(&g, text);
    assert_int_equal(g.r.header_count, 4);
    assert_int_equal(headers_check_built(&g.r), S3_NOT_IMPLEMENTED); /* only `x-amz-` is not */
    assert_str(g.r.error.extra[0].value, STR("x-amz-"));
    given_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers__a_second_one_with_a_single_value_is_refused),
        cmocka_unit_test(test_headers__a_list_is_joined),
        cmocka_unit_test(test_headers__those_with_rules_of_their_own_stay_apart),
        cmocka_unit_test(test_headers__names_of_any_length_are_looked_up),
        cmocka_unit_test(test_headers__empty_ones_are_absent_where_nothing_hangs_on_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
