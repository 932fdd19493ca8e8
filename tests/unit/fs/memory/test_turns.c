/* Whose turn it is among those who wait: fs/memory/turns.h. */
#include "fs/memory/turns.h"
#include "tests/unit/base/unit.h"

static void add(struct turns *q, struct turn *w, size_t pages)
{
    *w = (struct turn){.pages = pages, .cost = 1};
    turns_add(q, w);
}

static void test_turns__gives_every_size_the_same_share(void **state)
{
    struct turns q = {.count = 0};
    struct turn large[100], small[100], *next;
    int of_large = 0, of_small = 0;

    (void)state;
    assert_null(turns_next(&q));
    for (int i = 0; i < 100; i++)
        add(&q, &large[i], 1000);
    for (int i = 0; i < 10; i++)
        (void)turns_next(&q);
    /* Those that come later are not made up for what they missed. */
    for (int i = 0; i < 100; i++)
        add(&q, &small[i], 2);
    for (int i = 0; i < 40; i++) {
        next = turns_next(&q);
        of_large += next >= large && next < large + 100;
        of_small += next >= small && next < small + 100;
    }
    assert_in_range(of_large, 19, 21);
    assert_in_range(of_small, 19, 21);
    assert_int_equal(q.count, 200 - 50);
}

/* One that comes when hundreds of another size wait is next but one. */
static void test_turns__does_not_let_one_size_wait_for_another(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 4, 6, 7, 8, 9, 15, 16, 100, 100000};
    struct turns q = {.count = 0};
    struct turn many[300], one;

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        for (int j = 0; j < 300; j++)
            add(&q, &many[j], sizes[i]);
        (void)turns_next(&q);
        add(&q, &one, 5);
        assert_true(turns_next(&q) == &one || turns_next(&q) == &one);
        while (turns_next(&q) != NULL)
            ;
    }
}

static void test_turns__counts_what_a_turn_costs(void **state)
{
    struct turns q = {.count = 0};
    struct turn costly[3], cheap[100];
    int n = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        costly[i] = (struct turn){.pages = 64, .cost = 20};
        turns_add(&q, &costly[i]);
    }
    for (int i = 0; i < 100; i++)
        add(&q, &cheap[i], 1);
    while (costly[1].queued) {
        (void)turns_next(&q);
        n++;
    }
    assert_in_range(n, 20, 23); /* two costly ones, and as many cheap ones as one costs */
}

/* A small upload has all of its pages in one turn, a large one goes to the back now and then. */
static void test_turns__last_over_several_waits(void **state)
{
    struct turns q = {.count = 0};
    struct turn first, second;

    (void)state;
    add(&q, &first, 1000);
    add(&q, &second, 1000);
    for (int i = 0; i < TURN_COST; i++) {
        assert_ptr_equal(turns_next(&q), &first);
        turns_add(&q, &first);
    }
    for (int i = 0; i < TURN_COST; i++) {
        assert_ptr_equal(turns_next(&q), &second);
        turns_add(&q, &second);
    }
    assert_ptr_equal(turns_next(&q), &first);
}

static void test_turns__lets_anyone_leave(void **state)
{
    struct turns q = {.count = 0};
    struct turn w[3];

    (void)state;
    for (int gone = 0; gone < 3; gone++) {
        for (int i = 0; i < 3; i++)
            add(&q, &w[i], 4);
        turns_remove(&q, &w[gone]);
        assert_false(w[gone].queued);
        for (int i = 0; i < 3; i++)
            if (i != gone)
                assert_ptr_equal(turns_next(&q), &w[i]);
        assert_null(turns_next(&q));
        assert_int_equal(q.count, 0);
    }
}

/* Whom to refuse: of the size of which most wait, who came last. */
static void test_turns__finds_the_last_of_the_largest_class(void **state)
{
    struct turns q = {.count = 0};
    struct turn few[2], most[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        add(&q, &most[i], 100);
    for (int i = 0; i < 2; i++)
        add(&q, &few[i], 1);
    assert_ptr_equal(turns_last(&q), &most[2]);
    (void)turns_next(&q); /* a small one */
    assert_ptr_equal(turns_next(&q), &most[0]);
    turns_add(&q,
              &most[0]); /* it has begun its turn, so it is not refused before those that wait */
    assert_ptr_equal(turns_last(&q), &most[1]);
    (void)turns_last(&q);
    (void)turns_last(&q);
    assert_int_equal(q.count, 0);
}

static void test_turns__finds_whose_time_is_over(void **state)
{
    struct turns q = {.count = 0};
    struct turn w[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        w[i] = (struct turn){.pages = 4 - (size_t)i / 2, .cost = 1, .deadline_ms = i};
        turns_add(&q, &w[i]);
    }
    assert_ptr_equal(turns_next(&q), &w[2]); /* in the middle of its turn from now on */
    turns_add(&q, &w[2]);
    assert_null(turns_expired(&q, -1));
    assert_ptr_equal(turns_expired(&q, 0), &w[0]);
    assert_null(turns_expired(&q, 0));
    for (int i = 0; i < 3; i++)
        assert_non_null(turns_expired(&q, 3));
    assert_null(turns_expired(&q, 3));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns__gives_every_size_the_same_share),
        cmocka_unit_test(test_turns__does_not_let_one_size_wait_for_another),
        cmocka_unit_test(test_turns__counts_what_a_turn_costs),
        cmocka_unit_test(test_turns__last_over_several_waits),
        cmocka_unit_test(test_turns__lets_anyone_leave),
        cmocka_unit_test(test_turns__finds_the_last_of_the_largest_class),
        cmocka_unit_test(test_turns__finds_whose_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
