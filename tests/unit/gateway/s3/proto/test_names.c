#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/names.h"

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static void test_names__buckets(void **state)
{
    static const char *const good[] = {
        "abc",     "a-b",    "a.b.c",        "0ab",  "1.2.3",          "1.2.3.4.5",
        "1.2.3.a", LABEL_63, "my-bucket.v2", "a--b", "192.168.5.123a",
    };
    static const char *const bad[] = {
        "",
        "a",
        "aa",
        LABEL_63 "a",
        "Abc",
        "a_b",
        "foo_bar",
        "-ab",
        "ab-",
        "foo-",
        ".ab",
        "ab.",
        "foo..bar",
        "foo.-bar",
        "foo-.bar",
        "192.168.5.123",
        "1.2.3.4",
        "999.1.1.1",
        "xn--abc",
        "sthree-ab",
        "ab-s3alias",
        "ab--ol-s3",
        "ab.mrap",
        "ab--x-s3",
        "a b",
        "a/b",
        "ab\n",
        "a\xc3\xa4",
        "amzn-s3-demo-a",
        "ab--table-s3",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        if (!names_bucket_valid(str_of(good[i])))
            fail_msg("\"%s\" is a good name", good[i]);
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        if (names_bucket_valid(str_of(bad[i])))
            fail_msg("\"%s\" is no good name", bad[i]);
    assert_false(names_bucket_valid((struct str){"ab\0c", 4}));
    assert_int_equal(names_check_bucket(STR("A"), NULL), S3_INVALID_BUCKET_NAME);
}

static void test_names__keys(void **state)
{
    char longest[NAMES_KEY_MAX + 1];

    (void)state;
    memset(longest, 'k', sizeof(longest));
    assert_int_equal(names_check_key((struct str){longest, NAMES_KEY_MAX}, NULL), S3_OK);
    assert_int_equal(names_check_key((struct str){longest, NAMES_KEY_MAX + 1}, NULL),
                     S3_KEY_TOO_LONG);
    assert_int_equal(names_check_key(STR("../../etc/passwd"), NULL), S3_OK);
    assert_int_equal(names_check_key(STR("a//b\n\x01?#&\xf0\x9f\x98\x80"), NULL), S3_OK);
    assert_int_equal(names_check_key(STR(""), NULL), S3_INVALID_ARGUMENT);
    assert_int_equal(names_check_key(STR("a\0b"), NULL), S3_INVALID_ARGUMENT);
    assert_int_equal(names_check_key(STR("\xff"), NULL), S3_INVALID_URI);
    assert_int_equal(names_check_key(STR("\xed\xa0\x80"), NULL), S3_INVALID_URI); /* surrogate */
}

static void test_names__bucket_of_the_host(void **state)
{
    const struct str domains[] = {STR("s3.local"), STR("eu.s3.local"), STR("localhost")};
    static const char *const hosts[][2] = {
        {"b.s3.local", "b"},         {"b.s3.local:9000", "b"},
        {"B.S3.Local", "B"},         {"b.s3.local.", "b"},
        {"a.b.c.s3.local", "a.b.c"}, {"b.eu.s3.local", "b"},
        {"eu.s3.local", ""},         {"s3.local", ""},
        {"s3.local:80", ""},         {".s3.local", ""},
        {"bs3.local", ""},           {"b.localhost", "b"},
        {"127.0.0.1:9000", ""},      {"[::1]:9000", ""},
        {"other.org", ""},           {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(hosts); i++)
        assert_str(names_host_bucket(str_of(hosts[i][0]), domains, 3), str_of(hosts[i][1]));
    assert_str(names_host_bucket(STR("b.s3.local"), NULL, 0), STR(""));
    assert_str(names_host_without_port(STR("[::1]:9000")), STR("[::1]"));
    assert_str(names_host_without_port(STR("[::1")), STR("[::1"));
}

static void test_names__paths(void **state)
{
    static const char *const paths[][3] = {
        {"/b/k", "b", "k"},   {"/b", "b", ""}, {"/b/", "b", ""}, {"/b//k", "b", "/k"},
        {"/b/a/", "b", "a/"}, {"/", "", ""},   {"//k", "", "k"}, {"/b/../c", "b", "../c"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(paths); i++) {
        struct str bucket, key;
        names_split_path(str_of(paths[i][0]), &bucket, &key);
        assert_str(bucket, str_of(paths[i][1]));
        assert_str(key, str_of(paths[i][2]));
    }
}

static void test_names__copy_sources(void **state)
{
    static const struct {
        const char *header, *bucket, *key, *version;
    } rows[] = {
        {"b/k", "b", "k", ""},
        {"/b/k", "b", "k", ""},
        {"b/k?versionId=v1", "b", "k", "v1"},
        {"b/k?versionId=null", "b", "k", "null"},
        {"b/k%3FversionId=x", "b", "k?versionId=x", ""},
        {"b/k?versionId=a?versionId=b", "b", "k?versionId=a", "b"},
        {"b/a%20b+c", "b", "a b+c", ""},
        {"b%2Fk%2Fl", "b", "k/l", ""},
        {"b/k?x", "b", "k?x", ""},
        {"b//k", "b", "/k", ""},
        {"b/%C3%A4", "b", "\xc3\xa4", ""},
        {"", NULL, NULL, NULL},
        {"b", NULL, NULL, NULL},
        {"/b/", NULL, NULL, NULL},
        {"//k", NULL, NULL, NULL},
        {"b/%", NULL, NULL, NULL},
        {"b/%zz", NULL, NULL, NULL},
        {"b/k?versionId=%", NULL, NULL, NULL},
        {"b/%00", NULL, NULL, NULL},
        {"b/%ff", NULL, NULL, NULL},
        {"arn:aws:s3:us-west-2:123456789012:accesspoint/x/object/k", NULL, NULL, NULL},
    };
    struct arena *arena = arena_new(1 << 20);

    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct copy_source source;
        enum s3_code code =
            names_copy_source(arena, str_of(rows[i].header), PERCENT_PLUS_LITERAL, &source, NULL);
        if ((code == S3_OK) != (rows[i].bucket != NULL))
            fail_msg("\"%s\": %s", rows[i].header, s3_code_name(code));
        if (code != S3_OK)
            continue;
        assert_str(source.bucket, str_of(rows[i].bucket));
        assert_str(source.key, str_of(rows[i].key));
        assert_str(source.version_id, str_of(rows[i].version));
    }
    arena_free(arena);
}

static void test_names__a_plus_in_a_copy_source_has_two_readings(void **state)
{
    struct arena *arena = arena_new(1 << 20);
    struct str header = STR("/b/a+b%2Bc%20d?versionId=x+y");
    struct copy_source source;

    (void)state;
    assert_non_null(arena);
    assert_int_equal(names_copy_source(arena, header, PERCENT_PLUS_LITERAL, &source, NULL), S3_OK);
    assert_str(source.key, STR("a+b+c d"));
    assert_int_equal(names_copy_source(arena, header, PERCENT_PLUS_SPACE, &source, NULL), S3_OK);
    assert_str(source.key, STR("a b+c d"));
    assert_str(source.version_id, STR("x+y"));
    arena_free(arena);
}

static void test_names__regions(void **state)
{
    static const char *const good[] = {"us-east-1", "EU", "garage", "default", "a", "x-1-y-2"};
    static const char *const bad[] = {"", "us east", "us_east", "a/b", "<a>", "\xc3\xa4", "a.b"};
    char longest[65];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(good); i++)
        assert_true(names_region_valid(str_of(good[i])));
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_false(names_region_valid(str_of(bad[i])));
    memset(longest, 'r', sizeof(longest));
    assert_true(names_region_valid((struct str){longest, 63}));
    assert_false(names_region_valid((struct str){longest, 64}));
}

static void test_names__lower_case(void **state)
{
    struct arena *arena = arena_new(1 << 16);
    struct str small = STR("my.bucket-1");

    (void)state;
    assert_non_null(arena);
    assert_str(names_lower(arena, STR("My.Bucket-1")), small);
    assert_ptr_equal(names_lower(arena, small).ptr, small.ptr);
    assert_str(names_lower(arena, STR("")), STR(""));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names__buckets),
        cmocka_unit_test(test_names__keys),
        cmocka_unit_test(test_names__bucket_of_the_host),
        cmocka_unit_test(test_names__paths),
        cmocka_unit_test(test_names__copy_sources),
        cmocka_unit_test(test_names__a_plus_in_a_copy_source_has_two_readings),
        cmocka_unit_test(test_names__regions),
        cmocka_unit_test(test_names__lower_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
