#include "tests/unit/base/unit.h"

#include "gateway/s3/proto/checksum.h"

static const char *const of_123456789[CHECKSUM_ALGOS] = {
    [CHECKSUM_CRC32] = "y/Q5Jg==",
    [CHECKSUM_CRC32C] = "4waSgw==",
    [CHECKSUM_CRC64NVME] = "rosUhgp5mIg=",
    [CHECKSUM_SHA1] = "98O8HYCOBHMq32eZZczDTKeuNEE=",
    [CHECKSUM_SHA256] = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
};

static struct checksum of_text(enum checksum_algo algo, const char *text)
{
    struct checksum c = {.algo = algo, .type = CHECKSUM_FULL_OBJECT};

    assert_ok(hash_once(checksum_hash(algo), text, strlen(text), c.bytes));
    return c;
}

static void test_checksum__text_and_back(void **state)
{
    (void)state;
    for (int a = CHECKSUM_CRC32; a < CHECKSUM_ALGOS; a++) {
        enum checksum_algo algo = (enum checksum_algo)a;
        struct checksum computed = of_text(algo, "123456789"), parsed;
        char text[CHECKSUM_TEXT_MAX];
        checksum_text(&computed, true, text);
        assert_string_equal(text, of_123456789[a]);
        assert_int_equal(checksum_parse(algo, str_of(text), false, &parsed, NULL), S3_OK);
        assert_true(checksum_eq(&parsed, &computed));
    }
}

static void test_checksum__malformed_values(void **state)
{
    static const char *const bad[] = {"",         "y/Q5Jg",   "y/Q5Jg=",    "y/Q5Jg==x",
                                      "y/Q5JgA=", "!!Q5Jg==", "y/Q5Jg==-2", "y/Q5Jh=="};
    struct checksum c;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(bad); i++)
        assert_int_equal(checksum_parse(CHECKSUM_CRC32, str_of(bad[i]), false, &c, NULL),
                         S3_BAD_DIGEST);
    assert_int_equal(checksum_parse(CHECKSUM_NONE, STR(""), false, &c, NULL), S3_BAD_DIGEST);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("y/Q5Jg==-3"), true, &c, NULL), S3_OK);
    assert_int_equal(c.parts, 3);
    assert_int_equal(c.type, CHECKSUM_COMPOSITE);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("y/Q5Jg==-0"), true, &c, NULL),
                     S3_BAD_DIGEST);
    assert_int_equal(checksum_parse(CHECKSUM_CRC32, STR("y/Q5Jg==-99999999999"), true, &c, NULL),
                     S3_BAD_DIGEST);
}

static void test_checksum__names(void **state)
{
    static const char *const unbuilt[] = {"SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128", ""};
    enum checksum_algo algo;
    enum checksum_type type;
    bool known;

    (void)state;
    for (int a = CHECKSUM_CRC32; a < CHECKSUM_ALGOS; a++) {
        enum checksum_algo expected = (enum checksum_algo)a;
        assert_int_equal(checksum_algo_parse(str_of(checksum_algo_name(expected)), &algo, NULL),
                         S3_OK);
        assert_int_equal(algo, expected);
        assert_true(checksum_of_header(str_of(checksum_header_name(expected)), &algo, &known));
        assert_true(known && algo == expected);
        assert_true(checksum_of_element(str_of(checksum_element_name(expected)), &algo, &known));
        assert_true(known && algo == expected);
    }
    for (size_t i = 0; i < LENGTH_OF(unbuilt); i++)
        assert_int_equal(checksum_algo_parse(str_of(unbuilt[i]), &algo, NULL), S3_INVALID_REQUEST);
    assert_true(checksum_of_header(STR("X-Amz-Checksum-SHA512"), &algo, &known));
    assert_false(known);
    assert_false(checksum_of_header(STR("x-amz-checksum-mode"), &algo, &known));
    assert_false(checksum_of_header(STR("x-amz-checksum-type"), &algo, &known));
    assert_false(checksum_of_header(STR("x-amz-checksum-algorithm"), &algo, &known));
    assert_false(checksum_of_header(STR("x-amz-checksum-"), &algo, &known));
    assert_int_equal(checksum_type_parse(STR("composite"), &type, NULL), S3_OK);
    assert_int_equal(type, CHECKSUM_COMPOSITE);
    assert_int_equal(checksum_type_parse(STR("both"), &type, NULL), S3_INVALID_REQUEST);
}

static void test_checksum__which_type_goes_with_which_algorithm(void **state)
{
    static const struct {
        enum checksum_algo algo;
        enum checksum_type type;
        enum checksum_algo out_algo; /* NONE: refused */
        enum checksum_type out_type;
    } rows[] = {
        {CHECKSUM_NONE, CHECKSUM_TYPE_NONE, CHECKSUM_CRC64NVME, CHECKSUM_FULL_OBJECT},
        {CHECKSUM_NONE, CHECKSUM_COMPOSITE, CHECKSUM_NONE, CHECKSUM_TYPE_NONE},
        {CHECKSUM_NONE, CHECKSUM_FULL_OBJECT, CHECKSUM_NONE, CHECKSUM_TYPE_NONE},
        {CHECKSUM_CRC64NVME, CHECKSUM_TYPE_NONE, CHECKSUM_CRC64NVME, CHECKSUM_FULL_OBJECT},
        {CHECKSUM_CRC64NVME, CHECKSUM_COMPOSITE, CHECKSUM_NONE, CHECKSUM_TYPE_NONE},
        {CHECKSUM_SHA1, CHECKSUM_TYPE_NONE, CHECKSUM_SHA1, CHECKSUM_COMPOSITE},
        {CHECKSUM_SHA1, CHECKSUM_FULL_OBJECT, CHECKSUM_NONE, CHECKSUM_TYPE_NONE},
        {CHECKSUM_SHA256, CHECKSUM_COMPOSITE, CHECKSUM_SHA256, CHECKSUM_COMPOSITE},
        {CHECKSUM_SHA256, CHECKSUM_FULL_OBJECT, CHECKSUM_NONE, CHECKSUM_TYPE_NONE},
        {CHECKSUM_CRC32, CHECKSUM_TYPE_NONE, CHECKSUM_CRC32, CHECKSUM_COMPOSITE},
        {CHECKSUM_CRC32, CHECKSUM_FULL_OBJECT, CHECKSUM_CRC32, CHECKSUM_FULL_OBJECT},
        {CHECKSUM_CRC32C, CHECKSUM_TYPE_NONE, CHECKSUM_CRC32C, CHECKSUM_COMPOSITE},
        {CHECKSUM_CRC32C, CHECKSUM_FULL_OBJECT, CHECKSUM_CRC32C, CHECKSUM_FULL_OBJECT},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        enum checksum_algo algo = CHECKSUM_NONE;
        enum checksum_type type = CHECKSUM_TYPE_NONE;
        enum s3_code code = checksum_upload_rule(rows[i].algo, rows[i].type, &algo, &type, NULL);
        assert_int_equal(code == S3_OK, rows[i].out_algo != CHECKSUM_NONE);
        assert_int_equal(algo, rows[i].out_algo);
        assert_int_equal(type, rows[i].out_type);
    }
}

static void check_join(enum checksum_algo algo, enum checksum_type type, const char *expected)
{
    struct checksum first = of_text(algo, "12345"), second = of_text(algo, "6789"), sum;
    struct checksum_join join;
    char text[CHECKSUM_TEXT_MAX];

    assert_ok(checksum_join_init(&join, algo, type));
    assert_ok(checksum_join_add(&join, &first, 5));
    assert_ok(checksum_join_add(&join, &second, 4));
    checksum_join_finish(&join, &sum);
    checksum_join_fini(&join);
    checksum_text(&sum, true, text);
    assert_string_equal(text, expected);
}

static void test_checksum__of_joined_parts(void **state)
{
    (void)state;
    check_join(CHECKSUM_CRC32, CHECKSUM_FULL_OBJECT, of_123456789[CHECKSUM_CRC32]);
    check_join(CHECKSUM_CRC32C, CHECKSUM_FULL_OBJECT, of_123456789[CHECKSUM_CRC32C]);
    check_join(CHECKSUM_CRC64NVME, CHECKSUM_FULL_OBJECT, of_123456789[CHECKSUM_CRC64NVME]);
    check_join(CHECKSUM_CRC32, CHECKSUM_COMPOSITE, "4zspdQ==-2");
    check_join(CHECKSUM_SHA1, CHECKSUM_COMPOSITE, "UGmj5L5/K7lmsIeci6hTqydwTCs=-2");
    check_join(CHECKSUM_SHA256, CHECKSUM_COMPOSITE,
               "/wiQ+jHXUUcr18tTEaeru5H1cBgrYDQGvfxkGFLzgl4=-2");
}

static void test_checksum__parts_of_another_kind_do_not_join(void **state)
{
    struct checksum other = of_text(CHECKSUM_CRC32C, "1");
    struct checksum_join join;

    (void)state;
    assert_int_equal(checksum_join_init(&join, CHECKSUM_SHA256, CHECKSUM_FULL_OBJECT), ERR_INVALID);
    assert_int_equal(checksum_join_init(&join, CHECKSUM_CRC64NVME, CHECKSUM_COMPOSITE),
                     ERR_INVALID);
    assert_int_equal(checksum_join_init(&join, CHECKSUM_NONE, CHECKSUM_TYPE_NONE), ERR_INVALID);
    assert_ok(checksum_join_init(&join, CHECKSUM_CRC32, CHECKSUM_FULL_OBJECT));
    assert_int_equal(checksum_join_add(&join, &other, 1), ERR_INVALID);
    checksum_join_fini(&join);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum__text_and_back),
        cmocka_unit_test(test_checksum__malformed_values),
        cmocka_unit_test(test_checksum__names),
        cmocka_unit_test(test_checksum__which_type_goes_with_which_algorithm),
        cmocka_unit_test(test_checksum__of_joined_parts),
        cmocka_unit_test(test_checksum__parts_of_another_kind_do_not_join),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
