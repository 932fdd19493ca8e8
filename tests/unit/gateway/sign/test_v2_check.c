#include "tests/unit/gateway/auth_given.h"

#include "base/hash.h"

#define V2 "Authorization: AWS " ACCESS ":"

static void test_v2_check__aws_examples_hold(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {1175024202, "GET /photos/puppy.jpg\nHost: johnsmith.s3.amazonaws.com\n"
                     "Date: Tue, 27 Mar 2007 19:36:42 +0000\n" V2 "bWq2s1WEIj+Ydj0vQ697zp+IXMU=\n"},
        {1175030145, "PUT /photos/puppy.jpg\nContent-Type: image/jpeg\nContent-Length: 94328\n"
                     "Host: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 21:15:45 +0000\n" V2
                     "MyyxeRY7whkBe+bq8fHCL/2kKUg=\n"},
        {1175024561, "GET /?prefix=photos&max-keys=50&marker=puppy\nUser-Agent: Mozilla/5.0\n"
                     "Host: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 19:42:41 +0000\n" V2
                     "htDYFYduRNen8P9ZfE/s9SuKy0U=\n"},
        {1175024686,
         "GET /?acl\nHost: johnsmith.s3.amazonaws.com\nDate: Tue, 27 Mar 2007 19:44:46 +0000\n" V2
         "c2WLPFtWHVgbEmeEG93a4cG37dM=\n"},
        {1175029568,
         "PUT /static.johnsmith.net/db-backup.dat.gz\nHost: s3.amazonaws.com:8080\n"
         "Date: Tue, 27 Mar 2007 21:06:08 +0000\nx-amz-acl: public-read\n"
         "content-type: application/x-download\nContent-MD5: 4gJE4saaMU4BqNR0kLY+lw==\n"
         "X-Amz-Meta-ReviewedBy: joe@johnsmith.net\nX-Amz-Meta-ReviewedBy: jane@johnsmith.net\n"
         "X-Amz-Meta-FileChecksum: 0x02661779\nX-Amz-Meta-ChecksumAlgorithm: crc32\n" V2
         "ilyl83RwaSoYIEdixDQcA4OnAnc=\n"},
        {1175046589, "GET /dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re\nHost: s3.amazonaws.com\n"
                     "Date: Wed, 28 Mar 2007 01:49:49 +0000\n" V2 "DNEZGsoieTZ92F3bUfSPQcbGmlM=\n"},
    };
    char changed[2048];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        check(rows[i].text, rows[i].seconds * 1000, "OK");
        snprintf(changed, sizeof(changed), "HEAD%s", strchr(rows[i].text, ' '));
        check(changed, rows[i].seconds * 1000, "SignatureDoesNotMatch");
        check(rows[i].text, rows[i].seconds * 1000 + 16 * 60 * 1000, "RequestTimeTooSkewed");
    }
}

#define PRESIGNED_V2                                                                               \
    "GET /photos/puppy.jpg?AWSAccessKeyId=" ACCESS                                                 \
    "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620\n"                             \
    "Host: johnsmith.s3.amazonaws.com\n"

static void test_v2_check__presigned_urls(void **state)
{
    const int64_t end = INT64_C(1175139620) * 1000;
    static const struct {
        const char *from, *to, *code;
    } rows[] = {
        {"GET", "GET", "OK"},
        {"M%2B", "M+", "OK"},            /* an unencoded plus in the signature */
        {"?AWS", "?prefix=x&AWS", "OK"}, /* version 2 does not cover it */
        {"GET", "PUT", "SignatureDoesNotMatch"},
        {"puppy", "kitty", "SignatureDoesNotMatch"},
        {"?AWS", "?acl&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?legal-hold&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?versionId=1&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?response-content-type=text%2Fhtml&AWS", "SignatureDoesNotMatch"},
        {"?AWS", "?x-amz-acl=public-read&AWS", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "x-amz-copy-source: /a/b\nHost: johnsmith", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "Content-Type: text/html\nHost: johnsmith", "SignatureDoesNotMatch"},
        {"Host: johnsmith", "Host: johnsmiti", "SignatureDoesNotMatch"},
        {"=1175139620", "=1175139621", "SignatureDoesNotMatch"},
        {"=1175139620", "=soon", "AccessDenied"},
        {"=1175139620", "=-1", "AccessDenied"},
        {"=1175139620", "=9223372036854775807", "SignatureDoesNotMatch"},
        {"&Expires=1175139620", "", "AccessDenied"},
        {"NpgC", "NpgD", "SignatureDoesNotMatch"},
        {"NpgC", "Np", "SignatureDoesNotMatch"},
        {"NpgC", "Np*C", "SignatureDoesNotMatch"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        check(with(PRESIGNED_V2, rows[i].from, rows[i].to), end, rows[i].code);
    check(PRESIGNED_V2, end + 1, "AccessDenied");
}

static const char *expected_v2 = "OK";
static const char *value_v2; /* of the first argument, as the operation is to see it */
static enum auth_payload payload_v2 = AUTH_PAYLOAD_UNSIGNED;

static void check_v2(const char *to_sign, const char *text)
{
    struct given g;
    uint8_t signature[20];
    char base64[BASE64_SIZE(20)], whole[2048], escaped[128];
    struct buf b;

    assert_ok(hmac_sha1(STR(SECRET), str_of(to_sign), signature));
    base64_encode(signature, sizeof(signature), base64);
    buf_init(&b, sizeof(escaped) - 1);
    percent_encode(&b, str_of(base64), PERCENT_KEEP_NONE);
    snprintf(escaped, sizeof(escaped), STR_FMT, STR_ARG(buf_str(&b)));
    buf_fini(&b);
    const char *mark = strchr(text, '@');
    assert_non_null(mark);
    snprintf(whole, sizeof(whole), "%.*s%s%s", (int)(mark - text), text, escaped, mark + 1);
    check(whole, 0, expected_v2);
    (void)verify(&g, whole, 0);
    if (value_v2 != NULL)
        assert_str(g.auth.args[0].value, str_of(value_v2));
    assert_int_equal(g.auth.payload, payload_v2);
    arena_free(g.arena);
}

/* The signed text of one request must not serve for another. */
static void check_v2_refused(const char *to_sign, const char *text)
{
    expected_v2 = "SignatureDoesNotMatch";
    check_v2(to_sign, text);
    expected_v2 = "OK";
}

static void test_v2_check__a_sub_resource_hidden_in_a_value_is_refused(void **state)
{
    const char *both = "GET\n\n\n99\n/b/k?response-content-type=a&versionId=3";

    (void)state;
    check_v2(both, "GET /b/k?response-content-type=a&versionId=3&AWSAccessKeyId=A&Signature=@"
                   "&Expires=99\nHost: h\n");
    check_v2_refused(both, "GET /b/k?response-content-type=a%26versionId%3D3&AWSAccessKeyId=A"
                           "&Signature=@&Expires=99\nHost: h\n");
    check_v2("GET\n\n\n99\n/b/k?response-content-disposition=attachment; filename=a&b",
             "GET /b/k?response-content-disposition=attachment%3B%20filename%3Da%26b"
             "&AWSAccessKeyId=A&Signature=@&Expires=99\nHost: h\n");
}

static void test_v2_check__the_reading_that_matched_is_reported(void **state)
{
    (void)state;
    value_v2 = "/b/a+b";
    check_v2("PUT\n\n\n99\nx-amz-copy-source:/b/a+b\n/b/k",
             "PUT /b/k?x-amz-copy-source=%2Fb%2Fa+b&AWSAccessKeyId=A&Signature=@&Expires=99\n"
             "Host: h\n");
    value_v2 = "/b/a b";
    check_v2("PUT\n\n\n99\nx-amz-copy-source:/b/a b\n/b/k",
             "PUT /b/k?x-amz-copy-source=%2Fb%2Fa+b&AWSAccessKeyId=A&Signature=@&Expires=99\n"
             "Host: h\n");
    value_v2 = NULL;
}

/* The payload that a URL pins is a header's value like others: signed, and obeyed. */
static void test_v2_check__a_pinned_payload_is_obeyed(void **state)
{
    (void)state;
    payload_v2 = AUTH_PAYLOAD_SHA256;
    check_v2("PUT\n\n\n99\nx-amz-content-sha256:" EMPTY "\n/b/k",
             "PUT /b/k?x-amz-content-sha256=" EMPTY "&AWSAccessKeyId=A&Signature=@&Expires=99\n"
             "Host: h\n");
    payload_v2 = AUTH_PAYLOAD_UNSIGNED;
}

/* As boto3, aws-cli 1 and s3cmd make them. */
static void test_v2_check__urls_as_real_clients_make_them(void **state)
{
    (void)state;
    check_v2("PUT\n\n\n99\nx-amz-acl:private\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&Expires=99&x-amz-acl=private\nHost: h\n");
    check_v2("PUT\n\n\n99\nx-amz-acl:private\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&Expires=99&x-amz-acl=private\nHost: h\n"
             "x-amz-acl: private\n");
    check_v2("PUT\n\ntext/plain\n99\n/b/k",
             "PUT /b/k?AWSAccessKeyId=A&Signature=@&content-type=text%2Fplain&Expires=99\n"
             "Host: h\n");
    check_v2(
        "GET\n\n\n99\n/b/k?response-content-disposition=attachment; filename=a b&versionId=null",
        "GET /b/k?versionId=null&response-content-disposition=attachment%3B%20filename%3Da+b"
        "&AWSAccessKeyId=A&Signature=@&Expires=99\nHost: h\n");
    check_v2("GET\n\n\n99\n/b/a%20b", "GET /b/a%20b?AWSAccessKeyId=A&Signature=@&Expires=99\n"
                                      "Host: h\n");
    check_v2("GET\n\n\n99\n/b/?acl",
             "GET /b?acl&AWSAccessKeyId=A&Signature=@&Expires=99\nHost: h\n");
    check_v2("GET\n\n\n99\n/b/a~b", "GET /b/a%7eb?AWSAccessKeyId=A&Signature=@&Expires=99\n"
                                    "Host: h\n");
}

static void test_v2_check__dates_with_a_zone(void **state)
{
    const char *text = "GET /photos/puppy.jpg\nHost: johnsmith.s3.amazonaws.com\n"
                       "Date: Tue, 27 Mar 2007 12:36:42 -0700\n" V2 "x\n";

    (void)state;
    check(text, INT64_C(1175024202000), "SignatureDoesNotMatch");
    check(text, INT64_C(1175024202000) - 7 * 3600 * 1000, "RequestTimeTooSkewed");
}

static void test_v2_check__refusals(void **state)
{
    (void)state;
    check("GET /\nHost: h\nAuthorization: AWS HAHAHA\n", 0, "InvalidArgument");
    check("GET /\nHost: h\n" V2 "x\n", 0, "AccessDenied");
    check("GET /\nHost: h\nDate: Bad Date\n" V2 "x\n", 0, "AccessDenied");
    check("GET /\nHost: h\nx-amz-date: Tue, 07 Jul 1950 21:53:04 GMT\n" V2 "x\n", 0,
          "AccessDenied");
    check("GET /\nHost: h\nx-amz-date: Tue, 07 Jul 9999 21:53:04 GMT\n" V2 "x\n", 0,
          "RequestTimeTooSkewed");
    check("GET /?AWSAccessKeyId=A\nHost: h\n", 0, "AccessDenied");
    check("GET /?Signature=A\nHost: h\n", 0, "AccessDenied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2_check__aws_examples_hold),
        cmocka_unit_test(test_v2_check__presigned_urls),
        cmocka_unit_test(test_v2_check__urls_as_real_clients_make_them),
        cmocka_unit_test(test_v2_check__a_sub_resource_hidden_in_a_value_is_refused),
        cmocka_unit_test(test_v2_check__the_reading_that_matched_is_reported),
        cmocka_unit_test(test_v2_check__a_pinned_payload_is_obeyed),
        cmocka_unit_test(test_v2_check__dates_with_a_zone),
        cmocka_unit_test(test_v2_check__refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
