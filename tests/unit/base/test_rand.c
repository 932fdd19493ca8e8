#include "tests/unit/base/unit.h"

#include "base/rand.h"

static void test_rand__fills_all_bytes_and_only_those(void **state)
{
    unsigned char bytes[1002], seen[1002] = {0};

    (void)state;
    for (int round = 0; round < 20; round++) {
        memset(bytes, 0, sizeof(bytes));
        rand_bytes(bytes + 1, 1000);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[1001], 0);
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 1; i <= 1000; i++)
        assert_true(seen[i] != 0); /* by chance once in 256^20 */
    rand_bytes(bytes, 0);
}

static void test_rand__numbers_differ(void **state)
{
    (void)state;
    assert_true(rand_u64() != rand_u64());
}

static void test_rand__hex_has_the_length_asked_for(void **state)
{
    char text[401], other[401];

    (void)state;
    for (size_t len = 0; len <= 400; len += 2) {
        memset(text, '?', sizeof(text));
        rand_hex(text, len);
        assert_int_equal(strlen(text), len);
        assert_int_equal(strspn(text, "0123456789abcdef"), len);
    }
    rand_hex(text, 32);
    rand_hex(other, 32);
    assert_string_not_equal(text, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand__fills_all_bytes_and_only_those),
        cmocka_unit_test(test_rand__numbers_differ),
        cmocka_unit_test(test_rand__hex_has_the_length_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
