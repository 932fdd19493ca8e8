#include "tests/unit/gateway/s3_given.h"

#include "gateway/s3/core/write_conditions.h"

static void test_write_conditions__conditions_of_a_write(void **state)
{
    struct s3_given g;
    struct object_cond cond;

    (void)state;
    given(&g, "PUT /b/k\nIf-Match: \"e\"\nIf-None-Match: *");
    cond = write_conditions_of(&g.r);
    assert_str(cond.if_match, STR("e"));
    assert_true(cond.if_absent && !cond.if_present);
    given_free(&g);
    given(&g, "PUT /b/k\nIf-Match: *\nIf-None-Match: e");
    cond = write_conditions_of(&g.r);
    assert_str(cond.if_none_match, STR("e"));
    assert_true(cond.if_present && !cond.if_absent);
    given_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_conditions__conditions_of_a_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
