#include "meta/lock/byte_ranges.h"
#include "tests/unit/base/unit.h"

#include <stdlib.h>

/* --- cases ------------------------------------------------------------------------------------ */

static void test_byte_ranges__grants_what_does_not_conflict(void **state)
{
    static const struct {
        uint64_t lo, hi;
        bool exclusive, granted;
    } rows[] = {
        {0, 10, false, true},    /* shared */
        {5, 15, false, true},    /* shared beside shared */
        {20, 30, true, true},    /* disjoint */
        {10, 20, true, false},   /* touches none but overlaps 5..15 */
        {30, 31, true, true},    /* touches 20..30 */
        {18, 19, false, false},  /* behind a waiter that was first */
        {15, 16, false, false},  /* likewise */
        {40, 1000, false, true}, /* far away */
        {0, 5, false, true},     /* shared beside shared, before the waiter's range */
        {0, INT64_MAX, true, false},
    };
    struct byte_ranges s = {0};
    struct byte_range r[LENGTH_OF(rows)];

    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        r[i] =
            (struct byte_range){.lo = rows[i].lo, .hi = rows[i].hi, .exclusive = rows[i].exclusive};
        byte_ranges_add(&s, &r[i]);
        if (r[i].granted != rows[i].granted)
            fail_msg("row %zu: %d", i, r[i].granted);
    }
    byte_ranges_remove(&s, &r[0]);
    assert_null(byte_ranges_next(&s));
    byte_ranges_remove(&s, &r[1]);
    assert_ptr_equal(byte_ranges_next(&s), &r[3]);
    assert_null(byte_ranges_next(&s));
    byte_ranges_remove(&s, &r[3]);
    assert_ptr_equal(byte_ranges_next(&s), &r[5]);
    assert_ptr_equal(byte_ranges_next(&s), &r[6]);
    assert_null(byte_ranges_next(&s));
}

/* A waiter that gives up lets those behind it go. */
static void test_byte_ranges__a_waiter_that_leaves_is_in_nobody_s_way(void **state)
{
    struct byte_ranges s = {0};
    struct byte_range held = {.hi = 10}, waits = {.hi = 10, .exclusive = true}, last = {.hi = 10};

    (void)state;
    byte_ranges_add(&s, &held);
    byte_ranges_add(&s, &waits);
    byte_ranges_add(&s, &last);
    assert_false(last.granted);
    byte_ranges_remove(&s, &waits);
    assert_ptr_equal(byte_ranges_next(&s), &last);
}

/* --- against a model of single bytes ---------------------------------------------------------- */

#define BYTES    32
#define REQUESTS 24

struct model {
    struct byte_range *order[REQUESTS]; /* as they asked */
    size_t count;
};

static bool overlap_at(const struct byte_range *r, uint64_t byte)
{
    return r->lo <= byte && byte < r->hi;
}

/* By the letter: some byte that both want, one of them alone, and the other was before. */
static bool may_have(const struct model *m, size_t i)
{
    for (size_t k = 0; k < i; k++)
        for (uint64_t byte = 0; byte < BYTES; byte++)
            if (overlap_at(m->order[k], byte) && overlap_at(m->order[i], byte) &&
                (m->order[k]->exclusive || m->order[i]->exclusive))
                return false;
    return true;
}

static void compare(const struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        assert_int_equal(m->order[i]->granted, may_have(m, i));
}

static void test_byte_ranges__equals_a_model(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        struct byte_ranges s = {0};
        struct byte_range r[REQUESTS];
        bool used[REQUESTS] = {false};
        struct model m = {.count = 0};

        srand(seed);
        for (int step = 0; step < 200; step++) {
            size_t i = (size_t)rand() % REQUESTS;

            if (!used[i]) {
                uint64_t lo = (uint64_t)rand() % (BYTES - 1);

                r[i] = (struct byte_range){.lo = lo,
                                           .hi = lo + 1 + (uint64_t)rand() % (BYTES - lo),
                                           .exclusive = rand() % 2 == 0};
                byte_ranges_add(&s, &r[i]);
                m.order[m.count++] = &r[i];
            } else {
                size_t at = 0;

                while (m.order[at] != &r[i])
                    at++;
                m.count--;
                for (; at < m.count; at++)
                    m.order[at] = m.order[at + 1];
                byte_ranges_remove(&s, &r[i]);
                while (byte_ranges_next(&s) != NULL) {
                }
            }
            used[i] = !used[i];
            compare(&m);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_ranges__grants_what_does_not_conflict),
        cmocka_unit_test(test_byte_ranges__a_waiter_that_leaves_is_in_nobody_s_way),
        cmocka_unit_test(test_byte_ranges__equals_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
