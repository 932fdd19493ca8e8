#include "meta/core/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key_a[SEAL_KEY_BYTES] = {1, 2, 3};
static const uint8_t key_b[SEAL_KEY_BYTES] = {1, 2, 4};

static void test_seal__opens_what_it_sealed(void **state)
{
    (void)state;
    struct arena *a = arena_new(1u << 20);
    static const struct str secrets[] = {{"s", 1},
                                         {"", 0},
                                         {NULL, 0},
                                         {"a\0b", 3},
                                         {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40}};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        struct str sealed, opened;
        assert_int_equal(seal(key_a, STR("AK"), secrets[i], a, &sealed), OK);
        assert_true(seal_is_sealed(sealed));
        assert_int_equal(sealed.len, secrets[i].len + SEAL_OVERHEAD);
        assert_int_equal(unseal(key_a, STR("AK"), sealed, a, &opened), OK);
        assert_true(str_eq(opened, secrets[i]));
        assert_int_equal(seal(NULL, STR("AK"), secrets[i], a, &sealed), OK);
        assert_false(seal_is_sealed(sealed));
        assert_int_equal(unseal(key_b, STR("AK"), sealed, a, &opened), OK);
        assert_true(str_eq(opened, secrets[i]));
    }
    arena_free(a);
}

static void test_seal__never_gives_the_same_twice(void **state)
{
    (void)state;
    struct arena *a = arena_new(1u << 20);
    struct str one, two;
    assert_int_equal(seal(key_a, STR("AK"), STR("secret"), a, &one), OK);
    assert_int_equal(seal(key_a, STR("AK"), STR("secret"), a, &two), OK);
    assert_false(str_eq(one, two));
    arena_free(a);
}

static void test_seal__refuses_other_keys_contexts_and_changed_bytes(void **state)
{
    (void)state;
    struct arena *a = arena_new(1u << 20);
    struct str sealed, opened;
    assert_int_equal(seal(key_a, STR("AK"), STR("secret"), a, &sealed), OK);
    assert_int_equal(unseal(key_b, STR("AK"), sealed, a, &opened), ERR_DENIED);
    assert_int_equal(unseal(NULL, STR("AK"), sealed, a, &opened), ERR_DENIED);
    assert_int_equal(unseal(key_a, STR("BK"), sealed, a, &opened), ERR_DENIED);
    for (size_t i = 0; i < sealed.len; i++) {
        char copy[64];
        memcpy(copy, sealed.ptr, sealed.len);
        copy[i] ^= 4;
        struct str bad = {copy, sealed.len};
        assert_true(unseal(key_a, STR("AK"), bad, a, &opened) != OK);
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_true(unseal(key_a, STR("AK"), str_sub(sealed, 0, len), a, &opened) != OK);
    arena_free(a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal__opens_what_it_sealed),
        cmocka_unit_test(test_seal__never_gives_the_same_twice),
        cmocka_unit_test(test_seal__refuses_other_keys_contexts_and_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
