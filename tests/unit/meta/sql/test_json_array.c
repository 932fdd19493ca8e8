#include "meta/sql/json_array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_json_array__is_a_json_array_of_signed_numbers(void **state)
{
    (void)state;
    struct arena *a = arena_new(1u << 16);
    static const uint64_t numbers[] = {0, 7, INT64_MAX, UINT64_MAX, (uint64_t)INT64_MIN};
    assert_true(str_eq(sql_json_array(a, NULL, 0), STR("[]")));
    assert_true(str_eq(sql_json_array(a, numbers, 1), STR("[0]")));
    assert_true(str_eq(sql_json_array(a, numbers, 5),
                       STR("[0,7,9223372036854775807,-1,-9223372036854775808]")));
    arena_free(a);
}

static void test_json_array__has_room_for_the_longest_numbers(void **state)
{
    (void)state;
    struct arena *a = arena_new(1u << 16);
    uint64_t numbers[1000];
    for (size_t i = 0; i < 1000; i++)
        numbers[i] = (uint64_t)INT64_MIN;
    assert_int_equal(sql_json_array(a, numbers, 1000).len, 1000 * 21 + 1);
    for (int i = 0; i < 5; i++)
        (void)sql_json_array(a, numbers, 1000);
    assert_null(sql_json_array(a, numbers, 1000).ptr);
    arena_free(a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_array__is_a_json_array_of_signed_numbers),
        cmocka_unit_test(test_json_array__has_room_for_the_longest_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
