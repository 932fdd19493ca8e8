#include "tests/unit/gateway/auth_given.h"

static void check_headers(const char *text, const char *expected)
{
    struct given g;
    const struct sigv4_header *headers;
    size_t count;
    struct buf b;

    (void)parse(&g, text, 0);
    buf_init(&b, 4096);
    assert_int_equal(auth_headers(&g.request, g.arena, &headers, &count, &g.error), S3_OK);
    for (size_t i = g.request.header_count; i < count; i++)
        buf_printf(&b, STR_FMT "=" STR_FMT ";", STR_ARG(headers[i].name),
                   STR_ARG(headers[i].value));
    assert_str(buf_str(&b), str_of(expected));
    buf_fini(&b);
    arena_free(g.arena);
}

static void test_hoist__arguments_of_a_presigned_url_stand_for_headers(void **state)
{
    (void)state;
    check_headers("GET /b/k?x-amz-acl=private\nHost: h\n", "");
    check_headers("PUT /b/k?X-Amz-Signature=s&X-Amz-Date=d&X-Amz-Acl=private&x-amz-meta-a=1%202"
                  "&content-type=text&prefix=p&x-amz-copy-source=%2Fa%2Fb\nHost: h\n",
                  "X-Amz-Acl=private;x-amz-meta-a=1 2;x-amz-copy-source=/a/b;");
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-acl=private\nHost: h\nX-AMZ-ACL: private\n",
                  "");
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-checksum-crc32=AAAAAA%3D%3D"
                  "&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED\nHost: h\n",
                  "x-amz-checksum-mode=ENABLED;");
    check_headers("PUT /b/k?AWSAccessKeyId=a&Signature=s&Expires=1&content-type=text%2Fplain"
                  "&x-amz-acl=private\nHost: h\n",
                  "content-type=text/plain;x-amz-acl=private;");
}

/* What would be no header, or says something else than the header that is there. */
static void test_hoist__what_is_no_header_is_refused(void **state)
{
    static const char *const queries[][2] = {
        {"x-amz-meta-a%20b=1", ""},
        {"x-amz-meta-a+b=1", ""},
        {"x-amz-meta-a%0D%0Ab=1", ""},
        {"x-amz-meta-a:b=1", ""},
        {"x-amz-meta-%C3%A9=1", ""},
        {"x-amz-meta-a=1%0Ax-amz-meta-b:2", ""},
        {"x-amz-meta-a=1%0D", ""},
        {"x-amz-meta-a=%00", ""},
        {"X-Amz-Acl=a%7F", ""},
        {"x-amz-checksum-crc32=a%0Ab", ""},
        {"x-amz-acl=private", "X-Amz-Acl: public-read\n"},
        {"x-amz-acl", "X-Amz-Acl: private\n"},
        {"x-amz-copy-source=%2Fb%2Fk", "x-amz-copy-source: /b/l\n"},
        {"x-amz-meta-a=1", "x-amz-meta-a: 1\nx-amz-meta-a: 2\n"},
    };
    static const char *const marks[] = {"X-Amz-Signature=s", "AWSAccessKeyId=a&Signature=s"};
    const struct sigv4_header *headers;
    char text[512];
    size_t count;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(queries); i++) {
        for (size_t m = 0; m < LENGTH_OF(marks); m++) {
            struct given g;
            snprintf(text, sizeof(text), "PUT /b/k?%s&%s\nHost: h\n%s", marks[m], queries[i][0],
                     queries[i][1]);
            (void)parse(&g, text, 0);
            if (auth_headers(&g.request, g.arena, &headers, &count, &g.error) !=
                S3_INVALID_ARGUMENT)
                fail_msg("taken: %s", text);
            arena_free(g.arena);
        }
    }
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-meta-a=%C3%A9%09b\nHost: h\n",
                  "x-amz-meta-a=\xc3\xa9\tb;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hoist__arguments_of_a_presigned_url_stand_for_headers),
        cmocka_unit_test(test_hoist__what_is_no_header_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
