#include "tests/unit/gateway/auth_given.h"

static void check_headers(const char *text, const char *expected)
{
    struct given g;
    const struct sigv4_header *headers;
    size_t count;
    struct buf b;

    (void)parse(&g, text, 0);
    buf_init(&b, 4096);
    assert_int_equal(auth_headers(&g.request, g.arena, &headers, &count), S3_OK);
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
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-acl=private\nHost: h\nX-AMZ-ACL: x\n", "");
    check_headers("PUT /b/k?X-Amz-Signature=s&x-amz-checksum-crc32=AAAAAA%3D%3D"
                  "&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED\nHost: h\n",
                  "x-amz-checksum-mode=ENABLED;");
    check_headers("PUT /b/k?AWSAccessKeyId=a&Signature=s&Expires=1&content-type=text%2Fplain"
                  "&x-amz-acl=private\nHost: h\n",
                  "content-type=text/plain;x-amz-acl=private;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hoist__arguments_of_a_presigned_url_stand_for_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
