#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/proto/stored.h"
#include "gateway/s3/proto/xml_write.h"

static struct checksum sum_of(enum checksum_algo algo, enum checksum_type type, uint32_t parts)
{
    struct checksum sum = {.algo = algo, .type = type, .parts = parts};

    for (size_t i = 0; i < checksum_size(algo); i++)
        sum.bytes[i] = (uint8_t)(i + 1);
    return sum;
}

/* --- packed forms --------------------------------------------------------------------------- */

static void test_stored__codes_hold_algorithm_and_type(void **state)
{
    (void)state;
    for (int a = 0; a < CHECKSUM_ALGOS; a++) {
        for (int t = 0; t <= CHECKSUM_COMPOSITE; t++) {
            int code = stored_checksum_code((enum checksum_algo)a, (enum checksum_type)t);

            assert_int_equal(stored_checksum_algo(code), a);
            assert_int_equal(stored_checksum_type(code), t);
        }
    }
    assert_int_equal(stored_checksum_code(CHECKSUM_NONE, CHECKSUM_TYPE_NONE), 0);
    assert_int_equal(stored_checksum_algo(0x7f), CHECKSUM_NONE);
    assert_int_equal(stored_checksum_type(0x0701), CHECKSUM_TYPE_NONE);
}

static void test_stored__checksums_come_back(void **state)
{
    struct arena *a = arena_new(1 << 20);

    (void)state;
    for (int algo = 1; algo < CHECKSUM_ALGOS; algo++) {
        struct checksum sum = sum_of((enum checksum_algo)algo, CHECKSUM_COMPOSITE, 10000), back;
        struct str packed = stored_checksum_pack(a, &sum);

        back = stored_checksum_unpack(packed);
        assert_true(checksum_eq(&sum, &back));
        assert_int_equal(back.type, CHECKSUM_COMPOSITE);
        assert_int_equal(back.parts, 10000);
        for (size_t cut = 0; cut < packed.len; cut++)
            assert_int_equal(stored_checksum_unpack(str_sub(packed, 0, cut)).algo, CHECKSUM_NONE);
    }
    assert_str(stored_checksum_pack(a, &(struct checksum){0}), STR(""));
    assert_int_equal(stored_checksum_unpack(STR("")).algo, CHECKSUM_NONE);
    assert_int_equal(stored_checksum_unpack(STR("\x02\x01\x01____crcc")).algo, CHECKSUM_NONE);
    arena_free(a);
}

static void test_stored__lists_of_parts_come_back(void **state)
{
    struct arena *a = arena_new(8 << 20);
    struct stored_part *parts = arena_array(a, 10000, sizeof(*parts)), *back;
    struct str packed;
    size_t count;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++)
        parts[i] = (struct stored_part){i + 1, (UINT64_C(5) << 30) + i,
                                        sum_of(i % CHECKSUM_ALGOS, CHECKSUM_FULL_OBJECT, 0)};
    packed = stored_parts_pack(a, parts, 10000);
    assert_non_null(packed.ptr);
    assert_ok(stored_parts_unpack(a, packed, &back, &count));
    assert_int_equal(count, 10000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(back[i].number, i + 1);
        assert_int_equal(back[i].size, parts[i].size);
        assert_int_equal(back[i].sum.algo, parts[i].sum.algo);
    }
    packed = stored_parts_pack(a, parts, 3);
    assert_ok(stored_parts_unpack(a, STR(""), &back, &count));
    assert_int_equal(count, 0);
    for (size_t cut = 1; cut < packed.len; cut++)
        assert_int_equal(stored_parts_unpack(a, str_sub(packed, 0, cut), &back, &count),
                         ERR_CORRUPT);
    assert_int_equal(stored_parts_unpack(a, STR("\x01\xff\xff\xff\xff"), &back, &count),
                     ERR_CORRUPT);
    arena_free(a);
}

/* --- headers that are kept ------------------------------------------------------------------- */

static void kept(const char *request, const char *name, const char *expected)
{
    struct s3_given g;
    struct pairs headers;
    struct str value;

    given(&g, request);
    assert_int_equal(stored_headers_of(&g.r, &headers), S3_OK);
    value = pairs_get(headers, str_of(name));
    if (!str_eq(value, str_of(expected)))
        fail_msg("%s: %s is \"" STR_FMT "\", not \"%s\"", request, name, STR_ARG(value), expected);
    given_free(&g);
}

static void test_stored__framing_is_no_encoding_of_the_object(void **state)
{
    (void)state;
    kept("PUT /b/k\nContent-Encoding: aws-chunked", "Content-Encoding", "");
    kept("PUT /b/k\nContent-Encoding: aws-chunked,gzip", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: AWS-Chunked, gzip", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: gzip, aws-chunked", "Content-Encoding", "gzip");
    kept("PUT /b/k\nContent-Encoding: gzip, br", "Content-Encoding", "gzip, br");
    kept("PUT /b/k\nContent-Encoding: my-aws-chunked", "Content-Encoding", "my-aws-chunked");
}

static void test_stored__standard_headers_are_kept(void **state)
{
    (void)state;
    kept("PUT /b/k\ncontent-type: text/x", "Content-Type", "text/x");
    kept("PUT /b/k\nContent-Disposition: inline", "Content-Disposition", "inline");
    kept("PUT /b/k\nContent-Language: de", "Content-Language", "de");
    kept("PUT /b/k\nCache-Control: no-store", "Cache-Control", "no-store");
    kept("PUT /b/k\nExpires: never", "Expires", "never");
    kept("PUT /b/k\nUser-Agent: x", "User-Agent", "");
}

static void test_stored__user_metadata_is_lower_case_and_joined(void **state)
{
    (void)state;
    kept("PUT /b/k\nX-Amz-Meta-Two: a\nx-amz-meta-two: b", "x-amz-meta-two", "a,b");
    kept("PUT /b/k\nx-amz-meta-empty:", "x-amz-meta-empty", "");
    kept("PUT /b/k\nx-amz-meta-u: \xc3\xa4", "x-amz-meta-u", "\xc3\xa4");
}

/* Names without their prefix, and values. */
static void test_stored__user_metadata_has_a_limit_of_2_kib(void **state)
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
        assert_int_equal(stored_headers_of(&g.r, &headers),
                         len + 6 <= 2048 ? S3_OK : S3_METADATA_TOO_LARGE);
        given_free(&g);
    }
}

static void test_stored__storage_classes_are_s3s(void **state)
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
        assert_int_equal(stored_class_of(&g.r, &class), cases[i].code);
        if (cases[i].code == S3_OK)
            assert_str(class, str_of(cases[i].kept));
        given_free(&g);
    }
    assert_str(stored_class_name(STR("")), STR("STANDARD"));
    assert_str(stored_class_name(STR("SNOW")), STR("SNOW"));
}

/* --- answers --------------------------------------------------------------------------------- */

static struct str answered(const struct s3_given *g, const char *name)
{
    for (struct http_reply_field *f = g->http.reply.fields; f != NULL; f = f->next)
        if (str_eq_nocase(f->name, str_of(name)))
            return f->value;
    return STR_NONE;
}

static void test_stored__arguments_override_what_is_kept(void **state)
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
    stored_reply(&g.r, &o);
    assert_str(answered(&g, "Content-Type"), STR("a/b"));
    assert_str(answered(&g, "Expires"), STR("never"));
    assert_str(answered(&g, "Cache-Control"), STR("no-store"));
    assert_str(answered(&g, "x-amz-meta-a"), STR("1"));
    assert_str(answered(&g, "ETag"), STR("\"e\""));
    assert_str(answered(&g, "x-amz-storage-class"), STR("SNOW"));
    assert_null(answered(&g, "Content-Disposition").ptr);
    given_free(&g);
    given(&g, "GET /b/k?response-content-type=a%0D%0Ab:c");
    stored_reply(&g.r, &(struct object){.attr = {.etag = STR("e")}});
    assert_null(answered(&g, "b").ptr); /* no header is injected */
    given_free(&g);
    given(&g, "GET /b/k");
    stored_reply(&g.r, &(struct object){.attr = {.etag = STR("e")}});
    assert_str(answered(&g, "Content-Type"), STR("binary/octet-stream"));
    assert_null(answered(&g, "x-amz-storage-class").ptr);
    given_free(&g);
}

static void test_stored__versions_are_null_or_refused(void **state)
{
    struct s3_given g;
    struct str version;

    (void)state;
    given(&g, "GET /b/k?versionId=null");
    assert_int_equal(stored_version_of(&g.r, &version), S3_OK);
    assert_str(version, STR("null"));
    given_free(&g);
    given(&g, "GET /b/k?versionId=abc");
    assert_int_equal(stored_version_of(&g.r, &version), S3_INVALID_ARGUMENT);
    given_free(&g);
    given(&g, "GET /b/k?versionId=");
    assert_int_equal(stored_version_of(&g.r, &version), S3_INVALID_ARGUMENT);
    given_free(&g);
}

static void test_stored__conditions_of_a_write(void **state)
{
    struct s3_given g;
    struct object_cond cond;

    (void)state;
    given(&g, "PUT /b/k\nIf-Match: \"e\"\nIf-None-Match: *");
    cond = stored_write_cond(&g.r);
    assert_str(cond.if_match, STR("e"));
    assert_true(cond.if_absent && !cond.if_present);
    given_free(&g);
    given(&g, "PUT /b/k\nIf-Match: *\nIf-None-Match: e");
    cond = stored_write_cond(&g.r);
    assert_str(cond.if_none_match, STR("e"));
    assert_true(cond.if_present && !cond.if_absent);
    given_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored__codes_hold_algorithm_and_type),
        cmocka_unit_test(test_stored__checksums_come_back),
        cmocka_unit_test(test_stored__lists_of_parts_come_back),
        cmocka_unit_test(test_stored__framing_is_no_encoding_of_the_object),
        cmocka_unit_test(test_stored__standard_headers_are_kept),
        cmocka_unit_test(test_stored__user_metadata_is_lower_case_and_joined),
        cmocka_unit_test(test_stored__user_metadata_has_a_limit_of_2_kib),
        cmocka_unit_test(test_stored__storage_classes_are_s3s),
        cmocka_unit_test(test_stored__arguments_override_what_is_kept),
        cmocka_unit_test(test_stored__versions_are_null_or_refused),
        cmocka_unit_test(test_stored__conditions_of_a_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
