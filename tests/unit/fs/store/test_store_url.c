#include "fs/store/s3_internal.h"
#include "tests/unit/base/unit.h"

struct good {
    const char *spec, *base, *host, *bucket, *prefix, *region;
    bool path_style, own_endpoint, checksum;
};

static void test_store_url__understands_every_setting(void **state)
{
    static const struct good cases[] = {
        {"my-bucket", "https://my-bucket.s3.us-east-1.amazonaws.com",
         "my-bucket.s3.us-east-1.amazonaws.com", "my-bucket", "", "us-east-1", false, false, true},
        {"my-bucket?", "https://my-bucket.s3.us-east-1.amazonaws.com",
         "my-bucket.s3.us-east-1.amazonaws.com", "my-bucket", "", "us-east-1", false, false, true},
        {"dotted.bucket/p?region=eu-west-1", "https://s3.eu-west-1.amazonaws.com",
         "s3.eu-west-1.amazonaws.com", "dotted.bucket", "p/", "eu-west-1", true, false, true},
        {"abc/a/b/?endpoint=http://127.0.0.1:9000", "http://127.0.0.1:9000", "127.0.0.1:9000",
         "abc", "a/b/", "us-east-1", true, true, true},
        {"abc/?endpoint=http%3A%2F%2Fminio%3A9000%2F&style=virtual&region=r1",
         "http://abc.minio:9000", "abc.minio:9000", "abc", "", "r1", false, true, true},
        {"abc?endpoint=http://minio:80&checksum=off", "http://minio", "minio", "abc", "",
         "us-east-1", true, true, false},
        {"abc?endpoint=https://minio:443", "https://minio", "minio", "abc", "", "us-east-1", true,
         true, true},
        {"abc?endpoint=https://minio:80", "https://minio:80", "minio:80", "abc", "", "us-east-1",
         true, true, true},
        {"abc?endpoint=http://[::1]:9000&style=path", "http://[::1]:9000", "[::1]:9000", "abc", "",
         "us-east-1", true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        const struct good *c = &cases[i];
        struct s3_target t;
        print_message("%s\n", c->spec);
        assert_ok(s3_target_parse(c->spec, &t));
        assert_string_equal(t.base, c->base);
        assert_string_equal(t.host, c->host);
        assert_string_equal(t.bucket, c->bucket);
        assert_string_equal(t.prefix, c->prefix);
        assert_string_equal(t.region, c->region);
        assert_int_equal(t.path_style, c->path_style);
        assert_int_equal(t.own_endpoint, c->own_endpoint);
        assert_int_equal(t.checksum, c->checksum);
    }
}

static void test_store_url__refuses_what_it_does_not_understand(void **state)
{
    static const char *const cases[] = {
        "",
        "ab",
        "/prefix",
        "abc/pre fix",
        "abc//x",
        "abc/p?q#",
        "abc/\xc3\xa4",
        "a b c",
        "0123456789012345678901234567890123456789012345678901234567890123",
        "abc?endpoint=minio:9000",
        "abc?endpoint=ftp://minio",
        "abc?endpoint=http://",
        "abc?endpoint=http://user:pw@minio",
        "abc?endpoint=http://minio/path",
        "abc?endpoint=http://mi%0d%0anio",
        "abc?endpoint=http://mi%00nio",
        "abc?endpoint=http://minio%zz",
        "abc?region=a%20b",
        "abc?region=a/b",
        "abc?style=other",
        "abc?checksum=on",
        "abc?unknown=1",
        "abc?&",
        "abc?=x",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(cases); i++) {
        struct s3_target t;
        print_message("%s\n", cases[i]);
        assert_int_equal(s3_target_parse(cases[i], &t), ERR_INVALID);
        assert_non_null(strstr(err_text(ERR_INVALID), "s3://"));
    }
}

static void test_store_url__refuses_an_endless_endpoint_and_prefix(void **state)
{
    char spec[5000];
    struct s3_target t;

    (void)state;
    for (size_t len = 200; len < 4900; len += 37) {
        snprintf(spec, sizeof(spec), "abc?endpoint=http://%0*d", (int)len, 0);
        enum err err = s3_target_parse(spec, &t);
        assert_true(err == (len <= 254 ? OK : ERR_INVALID) || err == ERR_TOO_LARGE);
        snprintf(spec, sizeof(spec), "abc/%0*d", (int)len, 0);
        assert_int_equal(s3_target_parse(spec, &t), len <= S3_PREFIX_MAX ? OK : ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_url__understands_every_setting),
        cmocka_unit_test(test_store_url__refuses_what_it_does_not_understand),
        cmocka_unit_test(test_store_url__refuses_an_endless_endpoint_and_prefix),
    };

    return cmocka_run_group_tests_name("store_url", tests, NULL, NULL);
}
