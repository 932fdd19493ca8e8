/*
 * One battery for both engines behind meta/sql/sql.h: SQLite in a folder of its own, and
 * PostgreSQL when KISEKI_TEST_PG is a libpq URL of a database that tests may spoil. Tests that cut
 * a connection are in test_sql_fault.c.
 */
#include "base/clock.h"
#include "meta/sql/sql.h"

#include "tests/contract/sql_fixture.h"

static void test_sql__types_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    const struct str nul = {"a\0b\xff", 4};
    int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, f->arena);
        struct sql_call *c = sql_add(&u, FX_put);
        sql_bind_int(c, 100 + (int64_t)i);
        sql_bind_bytes(c, i == 0 ? STR_NONE : nul);
        sql_bind_text(c, i == 0 ? STR("") : STR("gr\xc3\xbc\xc3\x9f' \"$1 {x}\n"));
        sql_bind_int(c, numbers[i]);
        assert_ok(sql_write(f->db, &u));
        assert_int_equal(c->changed, 1);

        struct sql_call *r = get(f, 100 + (int64_t)i);
        assert_int_equal(r->rows, 1);
        assert_int_equal(r->columns, 4);
        assert_int_equal(sql_cell(r, 0, 0)->type, SQL_INT);
        assert_int_equal(sql_cell(r, 0, 1)->type, SQL_BYTES);
        assert_int_equal(sql_cell(r, 0, 2)->type, SQL_TEXT);
        assert_true(sql_int(r, 0, 3) == numbers[i]);
        if (i == 0) {
            assert_int_equal(sql_str(r, 0, 1).len, 0);
            assert_non_null(sql_str(r, 0, 1).ptr);
            assert_int_equal(sql_str(r, 0, 2).len, 0);
        } else {
            assert_true(str_eq(sql_str(r, 0, 1), nul));
            assert_true(str_eq(sql_str(r, 0, 2), STR("gr\xc3\xbc\xc3\x9f' \"$1 {x}\n")));
        }
    }
}

static void test_sql__null_is_not_empty(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    struct sql_call *c = sql_add(&u, FX_put);
    sql_bind_int(c, 1);
    sql_bind_null(c);
    sql_bind_null(c);
    sql_bind_null(c);
    assert_ok(sql_write(f->db, &u));
    struct sql_call *r = get(f, 1);
    assert_false(sql_is_null(r, 0, 0));
    for (size_t column = 1; column < 4; column++)
        assert_true(sql_is_null(r, 0, column));
    assert_true(sql_is_null(r, 7, 0));
    assert_true(sql_is_null(r, 0, 7));
}

static void test_sql__a_text_with_a_nul_is_kept_or_refused(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    struct sql_call *c = sql_add(&u, FX_put);
    sql_bind_int(c, 1);
    sql_bind_null(c);
    sql_bind_text(c, (struct str){"secret\0b", 8});
    sql_bind_null(c);
    enum err err = sql_write(f->db, &u);
    if (sql_is_postgres(f->db)) {
        assert_int_equal(err, ERR_INVALID);
        assert_null(strstr(err_text(err), "secret"));
    } else {
        assert_ok(err);
        assert_int_equal(sql_str(get(f, 1), 0, 2).len, 8);
    }
}

static void test_sql__many_rows_come_in_order(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    for (int64_t i = 0; i < 300; i++)
        put(&u, 299 - i, "row");
    assert_ok(sql_write(f->db, &u));
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *c = sql_add(&u, FX_scan);
    assert_ok(sql_read(f->db, &u));
    assert_int_equal(c->rows, 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(sql_int(c, i, 0), i);
        assert_true(str_eq(sql_str(c, i, 1), STR("row")));
    }
}

static void test_sql__a_unit_is_all_or_nothing_and_sees_itself(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "a");
    put(&u, 2, "b");
    put(&u, 1, "again");
    struct sql_call *last = put(&u, 3, "c");
    enum err err = sql_write(f->db, &u);
    assert_int_equal(err, ERR_EXISTS);
    assert_non_null(strstr(err_text(err), "put"));
    assert_false(last->answered);
    assert_int_equal(count_rows(f), 0);

    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "a");
    struct sql_call *guarded = sql_add(&u, FX_put_if);
    sql_bind_int(guarded, 2);
    sql_bind_int(guarded, 1);
    struct sql_call *not_guarded = sql_add(&u, FX_put_if);
    sql_bind_int(not_guarded, 3);
    sql_bind_int(not_guarded, 99);
    assert_ok(sql_write(f->db, &u));
    assert_int_equal(guarded->changed, 1);
    assert_int_equal(guarded->rows, 1);
    assert_int_equal(sql_int(guarded, 0, 0), 2);
    assert_int_equal(not_guarded->changed, 0);
    assert_int_equal(not_guarded->rows, 0);
}

static void test_sql__constraints_have_their_codes(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    sql_bind_int(sql_add(&u, FX_child), 12345);
    assert_int_equal(sql_write(f->db, &u), ERR_CONFLICT);
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, -1, "ids are not negative");
    assert_int_equal(sql_write(f->db, &u), ERR_CONDITION);
}

static void test_sql__wrong_use_is_a_bug_not_a_crash(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    sql_bind_text(sql_add(&u, FX_get), STR("a number is wanted"));
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    assert_null(strstr(err_text(ERR_BUG), "wanted"));
    sql_unit_init(&u, SQL_READ, f->arena);
    (void)sql_add(&u, FX_get);
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    sql_unit_init(&u, SQL_READ, f->arena);
    put(&u, 1, "a write in a read");
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    assert_int_equal(sql_write(f->db, &u), ERR_BUG);
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *c = sql_add(&u, FX_get);
    for (int i = 0; i < 50; i++)
        sql_bind_int(c, i);
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    sql_unit_init(&u, SQL_READ, f->arena);
    (void)sql_add(&u, FX_broken);
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    sql_unit_init(&u, SQL_READ, f->arena);
    assert_ok(sql_read(f->db, &u)); /* nothing to do */
    assert_int_equal(count_rows(f), 0);
}

static void test_sql__a_result_beyond_the_arena_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    struct sql_call *c = sql_add(&u, FX_put);
    static char big[300000];
    memset(big, 'x', sizeof(big));
    sql_bind_int(c, 1);
    sql_bind_bytes(c, (struct str){big, sizeof(big)});
    sql_bind_null(c);
    sql_bind_null(c);
    assert_ok(sql_write(f->db, &u));
    struct arena *small = arena_new(64u << 10);
    sql_unit_init(&u, SQL_READ, small);
    sql_bind_int(sql_add(&u, FX_get), 1);
    assert_int_equal(sql_read(f->db, &u), ERR_NOMEM);
    arena_free(small);
    assert_int_equal(sql_str(get(f, 1), 0, 1).len, sizeof(big));
}

static void test_sql__tokens_mean_the_same(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *now = sql_add(&u, FX_now);
    struct sql_call *each = sql_add(&u, FX_ints);
    sql_bind_text(each, STR("[7, -3, 9223372036854775807]"));
    struct sql_call *hex = sql_add(&u, FX_blobs);
    sql_bind_text(hex, STR("[\"00ff\", \"\", \"41\"]"));
    struct sql_call *text = sql_add(&u, FX_texts);
    sql_bind_text(text, STR("[\"b\", \"\"]"));
    assert_ok(sql_read(f->db, &u));
    int64_t off = sql_int(now, 0, 0) - clock_wall_ms();
    assert_true(off > -2000 && off < 2000);
    assert_int_equal(each->rows, 3);
    assert_int_equal(sql_int(each, 1, 0), -3);
    assert_int_equal(sql_int(each, 1, 1), 2);
    assert_true(sql_int(each, 2, 0) == INT64_MAX);
    assert_int_equal(hex->rows, 3);
    assert_true(str_eq(sql_str(hex, 0, 0), (struct str){"\0\xff", 2}));
    assert_int_equal(sql_cell(hex, 1, 0)->type, SQL_BYTES);
    assert_int_equal(sql_str(hex, 1, 0).len, 0);
    assert_int_equal(text->rows, 2);
    assert_int_equal(sql_cell(text, 1, 0)->type, SQL_TEXT);

    sql_unit_init(&u, SQL_READ, f->arena);
    sql_bind_text(sql_add(&u, FX_ints), STR("[\"topsecret\"]"));
    enum err err = sql_read(f->db, &u);
    if (sql_is_postgres(f->db)) {
        assert_int_equal(err, ERR_INVALID);
        assert_null(strstr(err_text(err), "topsecret"));
    }
}

/* --- batching --------------------------------------------------------------------------------- */

#define THREADS 16
#define EACH    200

struct writer {
    struct fixture *f;
    int64_t first;
    size_t good, exists, other;
};

static void *write_some(void *arg)
{
    struct writer *w = arg;
    for (int64_t i = 0; i < EACH; i++) {
        struct arena *a = arena_new(1u << 20);
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, a);
        put(&u, w->first + i, "x");
        if (i % 20 == 19) /* this one fails: its first half must not stay */
            put(&u, w->first, "again");
        enum err err = sql_write(w->f->db, &u);
        w->good += err == OK;
        w->exists += err == ERR_EXISTS;
        w->other += err != OK && err != ERR_EXISTS;
        arena_free(a);
    }
    return NULL;
}

static void run_writers(struct fixture *f, struct writer *w)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        w[i] = (struct writer){.f = f, .first = (int64_t)i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &w[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_sql__what_arrives_together_goes_together(void **state)
{
    struct fixture *f = *state;
    struct writer w[THREADS];
    uint64_t before = sql_stats(f->db)->batches[SQL_WRITE];
    run_writers(f, w);
    uint64_t batches = sql_stats(f->db)->batches[SQL_WRITE] - before;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(w[i].other, 0);
        assert_int_equal(w[i].exists, EACH / 20);
        assert_int_equal(w[i].good, EACH - EACH / 20);
    }
    assert_int_equal(count_rows(f), THREADS * (EACH - EACH / 20));
    assert_true(batches < THREADS * EACH);
    assert_int_equal(sql_stats(f->db)->queued, 0);
}

static _Atomic int ended;

static void count_end(struct sql_unit *u)
{
    (void)u;
    atomic_fetch_add(&ended, 1);
}

static void test_sql__submitted_units_end_once_and_alone(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100 };
    static struct sql_unit units[COUNT];
    struct arena *arenas[COUNT];
    struct sql_unit before;
    sql_unit_init(&before, SQL_WRITE, f->arena);
    put(&before, 1000, "taken");
    assert_ok(sql_write(f->db, &before));
    atomic_store(&ended, 0);
    for (int i = 0; i < COUNT; i++) {
        arenas[i] = arena_new(1u << 20);
        sql_unit_init(&units[i], SQL_WRITE, arenas[i]);
        units[i].done = count_end;
        put(&units[i], i % 10 == 9 ? 1000 : i, "x");
        sql_submit(f->db, &units[i]);
    }
    for (int i = 0; i < PATIENCE_MS && atomic_load(&ended) < COUNT; i++)
        nap_ms(1);
    assert_int_equal(atomic_load(&ended), COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(units[i].error.code, i % 10 == 9 ? ERR_EXISTS : OK);
    for (int i = 0; i < COUNT; i++)
        arena_free(arenas[i]);
    assert_int_equal(count_rows(f), 91);
}

/* A unit whose own memory is full for a result hurts nobody else of its batch. */
static void test_sql__a_full_arena_is_one_unit_s_fault(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 60 };
    static struct sql_unit units[COUNT], before;
    static char big[300000];
    struct arena *arenas[COUNT];
    memset(big, 'x', sizeof(big) - 1);
    sql_unit_init(&before, SQL_WRITE, f->arena);
    put(&before, 1000, big);
    assert_ok(sql_write(f->db, &before));
    atomic_store(&ended, 0);
    for (int i = 0; i < COUNT; i++) {
        arenas[i] = arena_new(i % 10 == 9 ? 64u << 10 : 1u << 20);
        sql_unit_init(&units[i], SQL_WRITE, arenas[i]);
        units[i].done = count_end;
        put(&units[i], i, "x");
        sql_bind_int(sql_add(&units[i], FX_get), 1000);
        sql_submit(f->db, &units[i]);
    }
    for (int i = 0; i < PATIENCE_MS && atomic_load(&ended) < COUNT; i++)
        nap_ms(1);
    assert_int_equal(atomic_load(&ended), COUNT);
    for (int i = 0; i < COUNT; i++) {
        bool full = units[i].error.code == ERR_NOMEM || units[i].error.code == ERR_UNKNOWN;
        assert_true(i % 10 == 9 ? full : units[i].error.code == OK);
        arena_free(arenas[i]);
    }
}

static void test_sql__a_unit_that_wants_to_be_alone_is(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 60 };
    static struct sql_unit units[COUNT];
    struct arena *arenas[COUNT];
    uint64_t before = sql_stats(f->db)->batches[SQL_WRITE];
    atomic_store(&ended, 0);
    for (int i = 0; i < COUNT; i++) {
        arenas[i] = arena_new(1u << 20);
        sql_unit_init(&units[i], SQL_WRITE, arenas[i]);
        units[i].done = count_end;
        units[i].alone = true;
        put(&units[i], i, "x");
        sql_submit(f->db, &units[i]);
    }
    for (int i = 0; i < PATIENCE_MS && atomic_load(&ended) < COUNT; i++)
        nap_ms(1);
    assert_int_equal(atomic_load(&ended), COUNT);
    for (int i = 0; i < COUNT; i++)
        arena_free(arenas[i]);
    assert_int_equal(sql_stats(f->db)->batches[SQL_WRITE] - before, COUNT);
    assert_int_equal(count_rows(f), COUNT);
}

static void test_sql__a_snapshot_unit_sees_one_state(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    u.snapshot = true;
    struct sql_call *first = sql_add(&u, FX_count);
    struct sql_call *second = sql_add(&u, FX_count);
    assert_ok(sql_read(f->db, &u));
    assert_int_equal(sql_int(first, 0, 0), sql_int(second, 0, 0));
    sql_unit_init(&u, SQL_READ, f->arena);
    u.snapshot = true;
    (void)sql_add(&u, FX_broken);
    assert_int_equal(sql_read(f->db, &u), ERR_BUG);
    assert_int_equal(count_rows(f), 0); /* the connection is fit for use again */
}

/* --- session and fence ------------------------------------------------------------------------ */

static void test_sql__writes_prove_the_session(void **state)
{
    struct fixture *f = *state;
    open_session(f, 7);
    struct sql_unit u;
    for (int64_t i = 0; i < 10; i++) {
        sql_unit_init(&u, SQL_WRITE, f->arena);
        put(&u, i, "x");
        assert_ok(sql_write(f->db, &u));
    }
    /* at most one marker a connection stays */
    assert_in_range(one_number(f, FX_markers), 1, 4);

    sql_set_session(f->db, 0, NULL, NULL);
    sql_unit_init(&u, SQL_WRITE, f->arena);
    sql_bind_int(sql_add(&u, FX_session_end), 7);
    assert_ok(sql_write(f->db, &u));
    assert_int_equal(one_number(f, FX_markers), 0);

    sql_set_session(f->db, 7, NULL, NULL);
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 11, "of a session that was removed");
    enum err err = sql_write(f->db, &u);
    assert_int_equal(err, ERR_FENCED);
    assert_int_equal(count_rows(f), 10);
    struct writer w[THREADS];
    run_writers(f, w);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(w[i].other, EACH);
    assert_int_equal(count_rows(f), 10);
}

static bool fence_over(void *arg)
{
    return atomic_load((_Atomic bool *)arg);
}

static void test_sql__past_the_local_lease_nothing_is_sent(void **state)
{
    struct fixture *f = *state;
    static _Atomic bool over;
    atomic_store(&over, false);
    sql_set_fence(f->db, fence_over, &over);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "x");
    assert_ok(sql_write(f->db, &u));
    atomic_store(&over, true);
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 2, "x");
    assert_int_equal(sql_write(f->db, &u), ERR_FENCED);
    sql_unit_init(&u, SQL_READ, f->arena);
    (void)sql_add(&u, FX_count);
    assert_int_equal(sql_read(f->db, &u), ERR_FENCED);
    sql_set_fence(f->db, NULL, NULL);
    assert_int_equal(count_rows(f), 1);
}

/* The id of each transaction is ours; a resolved one cannot be had again. */
static int64_t fixed_id(void *arg)
{
    return (*(int64_t *)arg)++;
}

static void test_sql__a_tombstone_keeps_its_transaction_out(void **state)
{
    struct fixture *f = *state;
    open_session(f, 7);
    int64_t id = 500;
    sql_set_session(f->db, 0, NULL, NULL);
    for (int i = 0; i < 2; i++) { /* its own answer may be lost: again gives the same */
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, f->arena);
        struct sql_call *c = sql_add(&u, FX_txn_resolve);
        sql_bind_int(c, 7);
        sql_bind_int(c, 500);
        assert_ok(sql_write(f->db, &u));
        assert_int_equal(sql_int(c, 0, 0), 1);
    }
    sql_set_session(f->db, 7, fixed_id, &id);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "late");
    assert_int_not_equal(sql_write(f->db, &u), OK);
    assert_int_equal(count_rows(f), 0);

    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "with the next id");
    assert_ok(sql_write(f->db, &u)); /* 501 */
    sql_set_session(f->db, 0, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        sql_unit_init(&u, SQL_WRITE, f->arena);
        struct sql_call *c = sql_add(&u, FX_txn_resolve);
        sql_bind_int(c, 7);
        sql_bind_int(c, 501);
        assert_ok(sql_write(f->db, &u));
        assert_int_equal(sql_int(c, 0, 0), 0);
    }
}

/* --- scripts and opening ---------------------------------------------------------------------- */

static void test_sql__scripts_are_one_transaction(void **state)
{
    struct fixture *f = *state;
    assert_int_not_equal(
        sql_script(f->db, NULL, "CREATE TABLE half (a BIGINT); INSERT INTO nowhere VALUES (1);"),
        OK);
    assert_ok(sql_script(f->db, NULL,
                         "CREATE TABLE half (a BIGINT); -- it's not {there}\n"
                         "INSERT INTO half VALUES ({PG: 1}{LITE: 2});"));
    assert_int_equal(sql_script(f->db, "SELECT count(*) FROM half WHERE a = 3", "DROP TABLE half;"),
                     ERR_CONDITION);
    assert_ok(sql_script(f->db, "SELECT count(*) FROM half", "DROP TABLE half;"));
    assert_int_equal(sql_script(f->db, NULL, "SELECT {UNKNOWN}"), ERR_BUG);
}

static void test_sql__what_is_closed_is_there_after_opening(void **state)
{
    struct fixture *f = *state;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "stays");
    assert_ok(sql_write(f->db, &u));
    sql_close(f->db);
    open_db(f);
    assert_true(str_eq(sql_str(get(f, 1), 0, 2), STR("stays")));
}

static void test_sql__an_unusable_url_says_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *url, *says;
        enum err code;
    } cases[] = {
        {"mysql://x", "must be sqlite:PATH", ERR_INVALID},
        {"sqlite:", "needs the path", ERR_INVALID},
        {"sqlite:/dev/null/a/x.db", "cannot make", ERR_IO},
        {"postgres://[bad", "URL", ERR_INVALID},
        {"postgres://u:geheim@127.0.0.1:1/x", "is PostgreSQL running", ERR_BUSY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sql_db *db = NULL;
        enum err err = sql_open(cases[i].url, NULL, &db);
        print_message("%s: %s\n", cases[i].url, err_text(err));
        assert_int_equal(err, cases[i].code);
        assert_non_null(strstr(err_text(err), cases[i].says));
        assert_null(strstr(err_text(err), "geheim"));
        assert_null(strchr(err_text(err), '\n'));
        assert_null(db);
    }
}

#define BATTERY(setup)                                                                             \
    cmocka_unit_test_setup_teardown(test_sql__types_come_back_as_they_went, setup, fixture_down),  \
        cmocka_unit_test_setup_teardown(test_sql__null_is_not_empty, setup, fixture_down),         \
        cmocka_unit_test_setup_teardown(test_sql__a_text_with_a_nul_is_kept_or_refused, setup,     \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__many_rows_come_in_order, setup, fixture_down),   \
        cmocka_unit_test_setup_teardown(test_sql__a_unit_is_all_or_nothing_and_sees_itself, setup, \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__constraints_have_their_codes, setup,             \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__wrong_use_is_a_bug_not_a_crash, setup,           \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__a_result_beyond_the_arena_is_an_error, setup,    \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__tokens_mean_the_same, setup, fixture_down),      \
        cmocka_unit_test_setup_teardown(test_sql__what_arrives_together_goes_together, setup,      \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__submitted_units_end_once_and_alone, setup,       \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__a_full_arena_is_one_unit_s_fault, setup,         \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__a_unit_that_wants_to_be_alone_is, setup,         \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__a_snapshot_unit_sees_one_state, setup,           \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__writes_prove_the_session, setup, fixture_down),  \
        cmocka_unit_test_setup_teardown(test_sql__past_the_local_lease_nothing_is_sent, setup,     \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__a_tombstone_keeps_its_transaction_out, setup,    \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__scripts_are_one_transaction, setup,              \
                                        fixture_down),                                             \
        cmocka_unit_test_setup_teardown(test_sql__what_is_closed_is_there_after_opening, setup,    \
                                        fixture_down)

int main(void)
{
    static const struct CMUnitTest on_sqlite[] = {
        BATTERY(fixture_sqlite),
        cmocka_unit_test(test_sql__an_unusable_url_says_what_to_do),
    };
    static const struct CMUnitTest on_postgres[] = {BATTERY(fixture_postgres)};
    int failed = cmocka_run_group_tests_name("sqlite", on_sqlite, NULL, NULL);
    if (getenv("KISEKI_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgres", on_postgres, NULL, NULL);
    return failed != 0;
}
