/*
 * Locks of batches (meta/sql/sql.h): those of all units are taken at the head, in one order. Only
 * PostgreSQL has any; SQLite runs the same.
 */
#include "tests/contract/sql_fixture.h"

#include "base/rand.h"

#define THREADS 12
#define ROUNDS  100
#define LOCKS   3

struct worker {
    struct sql_db *db;
    int number;
};

/* Two locks in any order, or one alone. */
static void *lock_and_write(void *arg)
{
    const struct worker *w = arg;
    struct arena *a = arena_new(16u << 20);
    for (int i = 0; i < ROUNDS; i++) {
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, a);
        int64_t first = (int64_t)(rand_u64() % LOCKS), second = (int64_t)(rand_u64() % LOCKS);
        sql_share(&u, first - 1);
        if (i % 2 == w->number / 2 % 2)
            sql_exclude(&u, second - 1);
        else
            sql_share(&u, second - 1);
        struct sql_call *c = sql_add(&u, FX_upsert);
        sql_bind_int(c, w->number);
        sql_bind_null(c);
        sql_bind_text(c, STR("words"));
        assert_ok(sql_write(w->db, &u));
    }
    arena_free(a);
    return NULL;
}

static void test_sql_locks__batches_never_deadlock_over_them(void **state)
{
    struct fixture *f = *state;
    struct sql_db *other = NULL;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    assert_ok(sql_open(f->url, &f->options, &other));
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i % 2 == 0 ? f->db : other, i};
        assert_int_equal(pthread_create(&threads[i], NULL, lock_and_write, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&sql_stats(f->db)->retries), 0);
    assert_int_equal(atomic_load(&sql_stats(other)->retries), 0);
    assert_int_equal(count_rows(f), THREADS);
    sql_close(other);
}

static void test_sql_locks__a_unit_that_shares_too_many_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "a");
    for (int64_t i = 0; i < SQL_SHARES_MAX; i++) {
        sql_share(&u, i);
        sql_share(&u, i); /* once is enough */
    }
    assert_ok(sql_write(f->db, &u));
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 2, "a");
    for (int64_t i = 0; i <= SQL_SHARES_MAX; i++)
        sql_share(&u, i);
    assert_int_equal(sql_write(f->db, &u), ERR_BUG);
    assert_int_equal(count_rows(f), 1);
}

#define BATTERY(setup)                                                                             \
    cmocka_unit_test_setup_teardown(test_sql_locks__batches_never_deadlock_over_them, setup,       \
                                    fixture_down),                                                 \
        cmocka_unit_test_setup_teardown(test_sql_locks__a_unit_that_shares_too_many_is_refused,    \
                                        setup, fixture_down)

int main(void)
{
    static const struct CMUnitTest on_sqlite[] = {BATTERY(fixture_sqlite)};
    static const struct CMUnitTest on_postgres[] = {BATTERY(fixture_postgres)};
    int failed = cmocka_run_group_tests_name("sqlite", on_sqlite, NULL, NULL);
    if (getenv("KISEKI_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgres", on_postgres, NULL, NULL);
    return failed != 0;
}
