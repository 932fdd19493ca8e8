/* Whose turn it is among those who wait: fs/memory/turns.h. */
#include "fs/memory/turns.h"
#include "tests/unit/base/unit.h"

static void add(struct turns *q, struct turn *w, size_t pages)
{
    *w = (struct turn){.pages = pages, .deadline_ms = (int64_t)q->waits};
    turns_add(q, w);
}

static void test_turns__serves_the_smallest_first(void **state)
{
    struct turns q = {.taken = 0};
    struct turn many, few, none, none_either;

    (void)state;
    assert_null(turns_next(&q));
    assert_int_equal(q.taken, 0);
    add(&q, &many, 1000);
    add(&q, &few, 2);
    add(&q, &none, 0);
    add(&q, &none_either, 0);
    assert_int_equal(q.count, 4);
    assert_ptr_equal(turns_next(&q), &none);
    assert_ptr_equal(turns_next(&q), &none_either);
    assert_ptr_equal(turns_next(&q), &few);
    assert_false(few.queued);
    assert_ptr_equal(turns_next(&q), &many);
    assert_int_equal(q.count, 0);
}

/* Small ones come without end: what waits the longest has a turn in so many. */
static void test_turns__serves_the_oldest_now_and_then(void **state)
{
    struct turns q = {.taken = 0};
    struct turn many, small[TURN_OF_OLDEST + 1];

    (void)state;
    add(&q, &many, 1000);
    for (int i = 0; i < TURN_OF_OLDEST + 1; i++)
        add(&q, &small[i], 0);
    for (int i = 0; i < TURN_OF_OLDEST - 1; i++)
        assert_ptr_equal(turns_next(&q), &small[i]);
    assert_ptr_equal(turns_next(&q), &many);
    assert_ptr_equal(turns_next(&q), &small[TURN_OF_OLDEST - 1]);
}

static void test_turns__lets_anyone_leave(void **state)
{
    struct turns q = {.taken = 0};
    struct turn w[3];

    (void)state;
    for (int gone = 0; gone < 3; gone++) {
        for (int i = 0; i < 3; i++)
            add(&q, &w[i], 4);
        turns_remove(&q, &w[gone]);
        q.taken = 0;
        for (int i = 0; i < 3; i++)
            if (i != gone)
                assert_ptr_equal(turns_next(&q), &w[i]);
        assert_null(turns_next(&q));
    }
}

static void test_turns__finds_whose_time_is_over(void **state)
{
    struct turns q = {.taken = 0};
    struct turn w[3]; /* the deadlines are 0, 1, 2 */

    (void)state;
    for (int i = 0; i < 3; i++)
        add(&q, &w[i], (size_t)(2 - i) * 4);
    assert_null(turns_expired(&q, -1));
    assert_ptr_equal(turns_expired(&q, 0), &w[0]);
    assert_null(turns_expired(&q, 0));
    assert_non_null(turns_expired(&q, 2));
    assert_non_null(turns_expired(&q, 2));
    assert_null(turns_expired(&q, 2));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns__serves_the_smallest_first),
        cmocka_unit_test(test_turns__serves_the_oldest_now_and_then),
        cmocka_unit_test(test_turns__lets_anyone_leave),
        cmocka_unit_test(test_turns__finds_whose_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
