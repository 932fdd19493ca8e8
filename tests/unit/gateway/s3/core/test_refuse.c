#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/refuse.h"

static void check(const char *request, const char *header, enum s3_code expected)
{
    struct s3_given g;
    char text[512];
    enum s3_code code;

    snprintf(text, sizeof(text), "%s\n%s", request, header);
    given(&g, text);
    if (g.r.op == NULL)
        fail_msg("%s reaches nothing", request);
    code = s3_refuse_headers(&g.r);
    if (code != expected)
        fail_msg("%s with %s: %s, not %s", request, header, s3_code_name(code),
                 s3_code_name(expected));
    if (code == S3_NOT_IMPLEMENTED)
        assert_string_equal(g.r.error.extra[0].name, "Header");
    given_free(&g);
}

static void test_refuse__headers_that_are_not_built_are_refused(void **state)
{
    static const char *const headers[] = {
        "x-amz-server-side-encryption: AES256",
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id: k",
        "x-amz-server-side-encryption-context: e30=",
        "x-amz-server-side-encryption-bucket-key-enabled: true",
        "x-amz-server-side-encryption-customer-algorithm: AES256",
        "x-amz-server-side-encryption-customer-key: a",
        "x-amz-server-side-encryption-customer-key-md5: a",
        "x-amz-copy-source-server-side-encryption-customer-algorithm: AES256",
        "x-amz-copy-source-server-side-encryption-customer-key: a",
        "x-amz-object-lock-mode: GOVERNANCE",
        "x-amz-object-lock-retain-until-date: 2030-01-01T00:00:00Z",
        "x-amz-object-lock-legal-hold: ON",
        "x-amz-bucket-object-lock-enabled: true",
        "x-amz-object-ownership: ObjectWriter",
        "x-amz-tagging: a=b",
        "x-amz-tagging-directive: REPLACE",
        "x-amz-acl: public-read",
        "x-amz-acl: public-read-write",
        "x-amz-acl: authenticated-read",
        "x-amz-acl: nonsense",
        "X-Amz-Acl: public-read",
        "x-amz-grant-read: id=1",
        "x-amz-grant-write: id=1",
        "x-amz-grant-read-acp: id=1",
        "x-amz-grant-write-acp: id=1",
        "x-amz-grant-full-control: id=1",
        "x-amz-website-redirect-location: /x",
        "x-amz-rename-source: /b/s",
        "x-amz-mfa: 1 2",
        "x-amz-create-session-mode: ReadOnly",
        "x-amz-skip-destination-validation: true",
        "x-amz-transition-default-minimum-object-size: x",
        "x-amz-what-is-this: 1",
        "x-amz-bucket-namespace: a",
        "x-amz-confirm-remove-self-bucket-access: true",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(headers); i++) {
        check("PUT /b/k", headers[i], S3_NOT_IMPLEMENTED);
        check("GET /b/k", headers[i], S3_NOT_IMPLEMENTED);
        check("DELETE /b/k", headers[i], S3_NOT_IMPLEMENTED);
        check("PUT /b", headers[i], S3_NOT_IMPLEMENTED);
        check("POST /b/k?uploads", headers[i], S3_NOT_IMPLEMENTED);
    }
    check("PUT /b/k", "x-amz-security-token: t", S3_INVALID_TOKEN);
}

static void test_refuse__headers_that_are_built_are_accepted(void **state)
{
    static const char *const headers[] = {
        "x-amz-date: 20260101T000000Z",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        "x-amz-decoded-content-length: 1",
        "x-amz-trailer: x-amz-checksum-crc32",
        "x-amz-checksum-crc32: AAAAAA==",
        "x-amz-checksum-mode: ENABLED",
        "x-amz-checksum-algorithm: CRC32",
        "x-amz-sdk-checksum-algorithm: CRC32",
        "X-Amz-Meta-Anything: 1",
        "x-amz-acl: private",
        "x-amz-acl: bucket-owner-full-control",
        "x-amz-storage-class: STANDARD_IA",
        "x-amz-object-ownership: BucketOwnerEnforced",
        "x-amz-bucket-object-lock-enabled: false",
        "x-amz-object-lock-legal-hold: OFF",
        "x-amz-expected-bucket-owner: 1",
        "x-amz-request-payer: requester",
        "x-amz-user-agent: aws-sdk-js",
        /* proxies, and what S3 answers with */
        "X-Amz-Cf-Id: abc==",
        "X-Amz-Cf-Pop: FRA2",
        "x-amzn-trace-id: Root=1",
        "X-Amzn-RequestId: 1",
        "x-amz-id-2: 1",
        "x-amz-request-id: 1",
        "x-amz-apigw-id: 1",
        "x-amz-version-id: null",
        "x-amz-bucket-region: us-east-1",
        "x-amz-mp-parts-count: 3",
        "x-amz-expiration: a",
        /* empty: as if absent */
        "x-amz-acl:",
        "x-amz-tagging:",
        "x-amz-server-side-encryption:",
        "x-amz-object-lock-mode:",
        "x-amz-security-token:",
        "x-amz-what-is-this:",
        "x-amz-checksum-algorithm:",
        "Content-Range:",
        "Content-Type: text/plain",
        "Expires: never",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(headers); i++)
        check("PUT /b/k", headers[i], S3_OK);
    check("GET /b/k?attributes", "x-amz-object-attributes: ETag", S3_OK);
    check("POST /b/k?uploadId=u", "x-amz-mp-object-size: 1", S3_OK);
    check("DELETE /b/k", "x-amz-if-match-size: 1", S3_OK);
    check("DELETE /b/k", "x-amz-if-match-last-modified-time: 2009-10-12T17:50:00Z", S3_OK);
    check("PUT /b/k", "x-amz-if-match-size: 1", S3_NOT_IMPLEMENTED);
    check("DELETE /b", "x-amz-if-match-size: 1", S3_NOT_IMPLEMENTED);
}

static void test_refuse__a_copy_source_belongs_to_a_copy(void **state)
{
    (void)state;
    check("PUT /b/k\nx-amz-copy-source: b/s", "x-amz-metadata-directive: REPLACE", S3_OK);
    check("PUT /b/k\nx-amz-copy-source: b/s", "x-amz-tagging-directive: COPY", S3_OK);
    check("PUT /b/k\nx-amz-copy-source: b/s", "x-amz-copy-source-if-match: e", S3_OK);
    check("PUT /b/k\nx-amz-copy-source: b/s", "x-amz-source-expected-bucket-owner: 1", S3_OK);
    check("PUT /b/k?partNumber=1&uploadId=u\nx-amz-copy-source: b/s",
          "x-amz-copy-source-range: bytes=0-1", S3_OK);
    check("PUT /b/k\nx-amz-copy-source: b/s", "x-amz-copy-source-range: bytes=0-1",
          S3_NOT_IMPLEMENTED);
    check("PUT /b/k", "x-amz-copy-source-range: bytes=0-1", S3_NOT_IMPLEMENTED);
    check("PUT /b/k", "x-amz-copy-source-if-match: e", S3_NOT_IMPLEMENTED);
    check("PUT /b", "x-amz-copy-source: b/s", S3_NOT_IMPLEMENTED);
    check("GET /b/k", "x-amz-copy-source: b/s", S3_NOT_IMPLEMENTED);
    check("POST /b/k?uploads", "x-amz-copy-source: b/s", S3_NOT_IMPLEMENTED);
}

/* A condition that no transaction would judge, and a range that a PUT would not keep to. */
static void test_refuse__conditions_where_nothing_judges_them(void **state)
{
    static const char *const judged[] = {"PUT /b/k",          "PUT /b/k\nx-amz-copy-source: b/s",
                                         "POST /b/k?uploads", "POST /b/k?uploadId=u",
                                         "DELETE /b/k",       "GET /b/k",
                                         "HEAD /b/k"};
    static const char *const others[] = {"PUT /b/k?partNumber=1&uploadId=u", "PUT /b", "DELETE /b",
                                         "POST /b?delete", "DELETE /b/k?uploadId=u"};

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(judged); i++) {
        check(judged[i], "If-Match: e", S3_OK);
        check(judged[i], "If-None-Match: *", S3_OK);
    }
    for (size_t i = 0; i < LENGTH_OF(others); i++) {
        check(others[i], "If-Match: e", S3_NOT_IMPLEMENTED);
        check(others[i], "if-none-match: *", S3_NOT_IMPLEMENTED);
    }
    /* the commit compares with one ETag: a list would go unjudged */
    check("PUT /b/k", "If-None-Match: \"a\", \"b\"", S3_NOT_IMPLEMENTED);
    check("PUT /b/k\nIf-None-Match: a", "If-None-Match: b", S3_NOT_IMPLEMENTED);
    check("GET /b/k", "If-None-Match: \"a\", \"b\"", S3_OK);
    check("GET /b/k\nIf-None-Match: a", "If-None-Match: b", S3_OK);
    check("PUT /b/k", "If-Unmodified-Since: Wed, 12 Oct 2009 17:50:00 GMT", S3_NOT_IMPLEMENTED);
    check("DELETE /b/k", "If-Unmodified-Since: Wed, 12 Oct 2009 17:50:00 GMT", S3_NOT_IMPLEMENTED);
    check("GET /b/k", "If-Unmodified-Since: Wed, 12 Oct 2009 17:50:00 GMT", S3_OK);
    check("PUT /b/k", "If-Modified-Since: Wed, 12 Oct 2009 17:50:00 GMT", S3_OK); /* RFC 9110 */
    check("PATCH /b/k", "If-Match: e", S3_OK);
    check("PATCH /b/k", "If-Unmodified-Since: Wed, 12 Oct 2009 17:50:00 GMT", S3_OK);
    check("PATCH /b/k", "Content-Range: bytes 0-1/4", S3_OK);
    check("PUT /b/k", "Content-Range: bytes 0-1/4", S3_NOT_IMPLEMENTED);
    check("PUT /b/k?partNumber=1&uploadId=u", "Content-Range: bytes 0-1/4", S3_NOT_IMPLEMENTED);
}

static const char *const writes[] = {"PUT /b/k",
                                     "PUT /b/k\nx-amz-copy-source: b/s",
                                     "PUT /b/k\nx-amz-write-offset-bytes: 0",
                                     "PATCH /b/k",
                                     "POST /b/k?uploads",
                                     "POST /b/k?uploadId=u",
                                     "DELETE /b/k"};

/* See conditions.h: If-Match that names no ETag matches nothing, which the commit finds out. */
static void test_refuse__a_none_match_without_an_etag_lets_no_write_through(void **state)
{
    static const char *const empty[] = {"", "\"\"", "W/\"\"", ",", "\"a"};
    char header[64];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(empty); i++) {
        snprintf(header, sizeof(header), "If-None-Match: %s", empty[i]);
        for (size_t j = 0; j < LENGTH_OF(writes); j++)
            check(writes[j], header, S3_PRECONDITION_FAILED);
        check("GET /b/k", header, S3_OK);
        check("HEAD /b/k", header, S3_OK);
        snprintf(header, sizeof(header), "If-Match: %s", empty[i]);
        for (size_t j = 0; j < LENGTH_OF(writes); j++)
            check(writes[j], header, S3_OK);
    }
}

static void test_refuse__dates_that_cannot_be_read_guard_nothing(void **state)
{
    static const struct {
        const char *request, *name;
    } dated[] = {
        {"PATCH /b/k", "If-Unmodified-Since"},
        {"PUT /b/k\nx-amz-copy-source: b/s", "x-amz-copy-source-if-modified-since"},
        {"PUT /b/k\nx-amz-copy-source: b/s", "x-amz-copy-source-if-unmodified-since"},
        {"PUT /b/k?partNumber=1&uploadId=u\nx-amz-copy-source: b/s",
         "x-amz-copy-source-if-unmodified-since"},
        {"DELETE /b/k", "x-amz-if-match-last-modified-time"},
    };
    static const char *const good[] = {"Mon, 12 Oct 2009 17:50:00 GMT",
                                       "Mon, 12 Oct 2009 7:50:00 UTC",
                                       "Mon, 12 Oct 2009 17:50:00 +0200", "2009-10-12T17:50:00Z"};
    static const char *const bad[] = {"", "yesterday", "Mon, 32 Oct 2009 17:50:00 GMT",
                                      "1255369800"};
    char header[128];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(dated); i++) {
        for (size_t j = 0; j < 4; j++) {
            snprintf(header, sizeof(header), "%s: %s", dated[i].name, good[j]);
            check(dated[i].request, header, S3_OK);
            snprintf(header, sizeof(header), "%s: %s", dated[i].name, bad[j]);
            check(dated[i].request, header, S3_INVALID_ARGUMENT);
        }
    }
    check("GET /b/k", "If-Unmodified-Since: yesterday", S3_OK);
    check("HEAD /b/k", "If-Modified-Since:", S3_OK);
}

static void test_refuse__an_append_offset_belongs_to_put_object(void **state)
{
    static const char *const others[] = {"GET /b/k",
                                         "PATCH /b/k",
                                         "DELETE /b/k",
                                         "PUT /b",
                                         "PUT /b/k?partNumber=1&uploadId=u",
                                         "PUT /b/k\nx-amz-copy-source: b/s",
                                         "POST /b/k?uploads"};

    (void)state;
    check("PUT /b/k", "x-amz-write-offset-bytes: 0", S3_OK);
    for (size_t i = 0; i < LENGTH_OF(others); i++)
        check(others[i], "x-amz-write-offset-bytes: 0", S3_NOT_IMPLEMENTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuse__headers_that_are_not_built_are_refused),
        cmocka_unit_test(test_refuse__headers_that_are_built_are_accepted),
        cmocka_unit_test(test_refuse__a_copy_source_belongs_to_a_copy),
        cmocka_unit_test(test_refuse__conditions_where_nothing_judges_them),
        cmocka_unit_test(test_refuse__a_none_match_without_an_etag_lets_no_write_through),
        cmocka_unit_test(test_refuse__dates_that_cannot_be_read_guard_nothing),
        cmocka_unit_test(test_refuse__an_append_offset_belongs_to_put_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
