#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/object_headers.h"

/* --- headers that are kept ------------------------------------------------------------------- */

static void kept(const char *request, const char *name, const char *expected)
{
    struct s3_given g;
    struct pairs headers;
    struct str value;

    given(&g, request);
    assert_int_equal(object_headers_of(&g.r, &headers), S3_OK);
    value = pairs_get(headers, str_of(name));
    if (!str_eq(value, str_of(expected)))
        fail_msg("%s: %s is \"" STR_FMT "\", not \"%s\"", request, name, STR_ARG(value), expected);
    given_free(&g);
}

static void test_object_headers__framing_is_no_encoding_of_the_object(void **state)
{
    (void)state;
    kept("PUT /b/k\nContent-Encoding: aws-chunked", "Content-Encoding", "");
    kept("PUT /b/k\nContent-Encoding: aws-chunked,gzip", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: AWS-Chunked, gzip", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: gzip, aws-chunked", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: gzip, br", "Content-Encoding", "gzip, br");
    kept("PUT /b/k\nContent-Encoding: my-aws-chunked", "Content-Encoding", "my-aws-chunked");
}

static void test_object_headers__standard_headers_are_kept(void **state)
{
    (void)state;
    kept("PUT /b/k\ncontent-type: text/x", "Content-Type", "text/x");
    kept("PUT /b/k\nContent-Disposition: inline", "Content-Disposition", "inline");
    kept("PUT /b/k\nContent-Language: de", "Content-Language", "de");
    kept("PUT /b/k\nCache-Control: no-store", "Cache-Control", "no-store");
    kept("PUT /b/k\nExpires: never", "Expires", "never");
    kept("PUT /b/k\nUser-Agent: x", "User-Agent", "");
}

static void test_object_headers__user_metadata_is_lower_case_and_joined(void **state)
{
    (void)state;
    kept("PUT /b/k\nX-Amz-Meta-Two: a\nx-amz-meta-two: b", "x-amz-meta-two", "a,b");
    kept("PUT /b/k\nx-amz-meta-empty:", "x-amz-meta-empty", "");
    kept("PUT /b/k\nx-amz-meta-u: \xc3\xa4", "x-amz-meta-u", "\xc3\xa4");
}

/* Names without their prefix, and values. */
static void test_object_headers__user_metadata_has_a_limit_of_2_kib(void **state)
{
    char text[4096], value[2049];
    struct s3_given g;
    struct pairs headers;

    (void)state;
    for (size_t len = 2040; len <= 2048; len++) {
        memset(value, 'v', len);
        value[len] = '\0';
        snprintf(text, sizeof(text), "PUT /b/k\nx-amz-meta-a: 1\nx-amz-meta-four: %s", value);
        given(&g, text);
        assert_int_equal(object_headers_of(&g.r, &headers),
                         len + 6 <= 2048 ? S3_OK : S3_METADATA_TOO_LARGE);
        given_free(&g);
    }
}

static void test_object_headers__storage_classes_are_s3s(void **state)
{
    static const struct {
        const char *request;
        const char *kept;
        enum s3_code code;
    } cases[] = {
        {"PUT /b/k", "", S3_OK},
        {"PUT /b/k\nx-amz-storage-class: STANDARD", "", S3_OK},
        {"PUT /b/k\nx-amz-storage-class: STANDARD_IA", "STANDARD_IA", S3_OK},
        {"PUT /b/k\nx-amz-storage-class: GLACIER", "GLACIER", S3_OK},
        {"PUT /b/k\nx-amz-storage-class: standard", "", S3_INVALID_STORAGE_CLASS},
        {"PUT /b/k\nx-amz-storage-class: NONE", "", S3_INVALID_STORAGE_CLASS},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct s3_given g;
        struct str class;

        given(&g, cases[i].request);
        assert_int_equal(storage_class_of(&g.r, &class), cases[i].code);
        if (cases[i].code == S3_OK)
            assert_str(class, str_of(cases[i].kept));
        given_free(&g);
    }
    assert_str(storage_class_name(STR("")), STR("STANDARD"));
    assert_str(storage_class_name(STR("SNOW")), STR("SNOW"));
}

/* --- answers --------------------------------------------------------------------------------- */

static struct str answered(const struct s3_given *g, const char *name)
{
    for (struct http_reply_field *f = g->http.reply.fields; f != NULL; f = f->next)
        if (str_eq_nocase(f->name, str_of(name)))
            return f->value;
    return STR_NONE;
}

static void test_object_headers__arguments_override_what_is_kept(void **state)
{
    const struct pair items[] = {
        {STR("Content-Type"), STR("text/plain")},
        {STR("Cache-Control"), STR("no-store")},
        {STR("x-amz-meta-a"), STR("1")},
    };
    struct object o = {.headers = {items, LENGTH_OF(items)},
                       .attr = {.etag = STR("e"), .storage_class = STR("SNOW")}};
    struct s3_given g;

    (void)state;
    given(&g, "GET /b/k?response-content-type=a%2Fb&response-expires=never&response-content-"
              "disposition=");
    object_headers_reply(&g.r, &o);
    assert_str(answered(&g, "Content-Type"), STR("a/b"));
    assert_str(answered(&g, "Expires"), STR("never"));
    assert_str(answered(&g, "Cache-Control"), STR("no-store"));
    assert_str(answered(&g, "x-amz-meta-a"), STR("1"));
    assert_str(answered(&g, "ETag"), STR("\"e\""));
    assert_str(answered(&g, "x-amz-storage-class"), STR("SNOW"));
    assert_null(answered(&g, "Content-Disposition").ptr);
    given_free(&g);
    given(&g, "GET /b/k?response-content-type=a%0D%0Ab:c");
    object_headers_reply(&g.r, &(struct object){.attr = {.etag = STR("e")}});
    assert_null(answered(&g, "b").ptr); /* no header is injected */
    given_free(&g);
    given(&g, "GET /b/k");
    object_headers_reply(&g.r, &(struct object){.attr = {.etag = STR("e")}});
    assert_str(answered(&g, "Content-Type"), STR("binary/octet-stream"));
    assert_null(answered(&g, "x-amz-storage-class").ptr);
    given_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object_headers__framing_is_no_encoding_of_the_object),
        cmocka_unit_test(test_object_headers__standard_headers_are_kept),
        cmocka_unit_test(test_object_headers__user_metadata_is_lower_case_and_joined),
        cmocka_unit_test(test_object_headers__user_metadata_has_a_limit_of_2_kib),
        cmocka_unit_test(test_object_headers__storage_classes_are_s3s),
        cmocka_unit_test(test_object_headers__arguments_override_what_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
