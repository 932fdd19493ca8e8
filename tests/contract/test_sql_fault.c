/*
 * What meta/sql promises when something breaks: a lost answer to a commit is resolved, a database
 * that is away or full is answered with ERR_BUSY and recovered from. The tests on PostgreSQL want
 * KISEKI_TEST_PG (see test_sql.c) and put a relay in between.
 */
#include "tests/contract/sql_relay.h"

#include "base/clock.h"
#include "base/log.h"

struct faults {
    struct fixture *direct; /* past the relay: prepares and looks */
    struct fixture through; /* only db, url and options are used */
    struct relay *relay;
    char url[512];
};

static int faults_up(void **state)
{
    struct faults *x = calloc(1, sizeof(*x));
    void *f = NULL;
    (void)fixture_postgres(&f);
    x->direct = f;
    x->relay = relay_new(x->direct, x->url, sizeof(x->url));
    x->through.url = x->url;
    x->through.options.connections = 2;
    x->through.options.wait_ms = 3000;
    x->through.options.answer_ms = 1000;
    x->through.options.lock_ms = 700;
    open_db(&x->through);
    open_session(x->direct, 7);
    sql_set_session(x->through.db, 7, NULL, NULL);
    *state = x;
    return 0;
}

static int faults_down(void **state)
{
    struct faults *x = *state;
    void *f = x->direct;
    sql_close(x->through.db);
    relay_free(x->relay);
    (void)fixture_down(&f);
    free(x);
    return 0;
}

/* An upsert of item `id` through the relay. */
static enum err set_words(struct faults *x, int64_t id, const char *words, bool results_optional)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, x->direct->arena);
    u.results_optional = results_optional;
    struct sql_call *c = sql_add(&u, FX_upsert);
    sql_bind_int(c, id);
    sql_bind_null(c);
    sql_bind_text(c, str_of(words));
    enum err err = sql_write(x->through.db, &u);
    if (err != OK)
        print_message("%s\n", err_text(err));
    return err;
}

static bool words_are(struct faults *x, int64_t id, const char *words)
{
    return str_eq(sql_str(get(x->direct, id), 0, 2), str_of(words));
}

/* Every slot of the engine has worked at least once, so that nothing is to be prepared. */
static void warm_up(struct faults *x)
{
    assert_ok(set_words(x, 1, "first", false));
}

static void test_sql_fault__a_lost_answer_of_a_commit_is_found_out(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    relay_set(x->relay, RELAY_LOSE_ANSWER, 1);
    assert_ok(set_words(x, 1, "second", true));
    assert_true(words_are(x, 1, "second"));
    relay_set(x->relay, RELAY_LOSE_ANSWER, 1);
    assert_int_equal(set_words(x, 1, "third", false), ERR_UNKNOWN);
    assert_true(words_are(x, 1, "third"));
    assert_int_equal(sql_stats(x->through.db)->in_doubt, 2);
    assert_ok(set_words(x, 1, "fourth", false));
    assert_in_range(one_number(x->direct, FX_markers), 1, 4);
}

static void test_sql_fault__the_answer_of_settling_may_be_lost_too(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    relay_set(x->relay, RELAY_LOSE_ANSWER, 3);
    assert_ok(set_words(x, 1, "second", true));
    assert_true(words_are(x, 1, "second"));
}

static void test_sql_fault__a_request_that_comes_late_never_commits(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    relay_set(x->relay, RELAY_HOLD, 1);
    assert_ok(set_words(x, 1, "held, then sent again", false));
    assert_true(words_are(x, 1, "held, then sent again"));
    assert_ok(set_words(x, 1, "newer", false));
    relay_release(x->relay);
    nap_ms(100);
    assert_true(words_are(x, 1, "newer"));
    assert_int_equal(count_rows(x->direct), 1);
}

static void *lose_after(void *arg)
{
    struct faults *x = arg;
    while (atomic_load(&x->relay->held_fd) < 0)
        nap_ms(1);
    relay_set(x->relay, RELAY_LOSE_ANSWER, 2); /* the next ones are the settling's */
    return NULL;
}

static void test_sql_fault__a_tombstone_asked_for_twice_is_no_commit(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, lose_after, x), 0);
    relay_set(x->relay, RELAY_HOLD, 1);
    enum err err = set_words(x, 1, "second", true);
    pthread_join(t, NULL);
    assert_ok(err);
    assert_true(words_are(x, 1, "second")); /* not answered OK without having been done */
}

static void test_sql_fault__silence_counts_as_lost(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    relay_set(x->relay, RELAY_STALL, 1);
    int64_t begun = clock_mono_us();
    assert_ok(set_words(x, 1, "second", false));
    assert_in_range(clock_mono_us() - begun, 900000, 2500000);
    assert_true(words_are(x, 1, "second"));
}

static void test_sql_fault__a_reaped_session_leaves_the_doubt(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    /* the commit is lost, and the session goes before anybody can ask */
    relay_set(x->relay, RELAY_HOLD, 1);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, x->direct->arena);
    sql_bind_int(sql_add(&u, FX_session_end), 7);
    sql_set_session(x->direct->db, 0, NULL, NULL);
    assert_ok(sql_write(x->direct->db, &u));
    assert_int_equal(set_words(x, 1, "second", true), ERR_UNKNOWN);
    assert_int_equal(set_words(x, 1, "third", true), ERR_FENCED);
    relay_release(x->relay);
    assert_true(words_are(x, 1, "first"));
}

static void test_sql_fault__a_database_away_is_waited_for(void **state)
{
    struct faults *x = *state;
    warm_up(x);
    relay_set(x->relay, RELAY_REFUSE, 0);
    nap_ms(60); /* the idle connections break: noticed before anything is sent */
    int64_t begun = clock_mono_us();
    assert_int_equal(set_words(x, 1, "in vain", false), ERR_BUSY);
    assert_in_range(clock_mono_us() - begun, 2000000, 4500000);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, x->direct->arena);
    (void)sql_add(&u, FX_count);
    assert_int_equal(sql_read(x->through.db, &u), ERR_BUSY);
    print_message("%s\n", err_text(ERR_BUSY));
    assert_int_equal(sql_stats(x->through.db)->connected, 0);
    relay_set(x->relay, RELAY_PASS, 0);
    assert_ok(set_words(x, 1, "back again", false));
    assert_true(words_are(x, 1, "back again"));
    assert_int_equal(sql_stats(x->through.db)->in_doubt, 0);
}

static void test_sql_fault__a_database_long_away_is_not_waited_for(void **state)
{
    struct faults *x = *state;
    sql_close(x->through.db);
    x->through.options.wait_ms = 400; /* long is 2.4 s */
    open_db(&x->through);
    sql_set_session(x->through.db, 7, NULL, NULL);
    warm_up(x);
    int64_t begun = clock_mono_us(), last = begun;
    bool short_wait = false;
    relay_set(x->relay, RELAY_REFUSE, 0);
    for (int i = 0; i < 100 && !short_wait; i++) {
        int64_t asked = clock_mono_us();
        enum err err = set_words(x, 1, "in vain", false);
        last = clock_mono_us();
        short_wait = err == ERR_BUSY && last - asked < 300000;
    }
    assert_true(short_wait);
    assert_in_range(last - begun, 2400000, 20000000);
    relay_set(x->relay, RELAY_PASS, 0);
    for (int i = 0; i < 100 && sql_stats(x->through.db)->connected == 0; i++)
        nap_ms(50);
    assert_ok(set_words(x, 1, "back again", false));
}

/* --- backends are killed ---------------------------------------------------------------------- */

#define WRITERS 8

static _Atomic bool enough;

struct killed {
    struct faults *x;
    int64_t first;
    int64_t good[2000];
    size_t good_count, unknown, bad;
    pthread_t thread;
};

static void *write_on(void *arg)
{
    struct killed *w = arg;
    for (int64_t i = 0; i < 2000 && !atomic_load(&enough); i++) {
        struct arena *a = arena_new(1u << 20);
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, a);
        put(&u, w->first + i, "x");
        enum err err = sql_write(w->x->through.db, &u);
        if (err == OK)
            w->good[w->good_count++] = w->first + i;
        else if (err == ERR_UNKNOWN)
            w->unknown++;
        else
            w->bad++;
        if (err != OK && err != ERR_UNKNOWN)
            print_message("%s\n", err_text(err));
        arena_free(a);
    }
    return NULL;
}

static void test_sql_fault__killed_backends_lose_nothing(void **state)
{
    struct faults *x = *state;
    static struct killed w[WRITERS];
    memset(w, 0, sizeof(w));
    atomic_store(&enough, false);
    for (size_t i = 0; i < WRITERS; i++) {
        w[i].x = x;
        w[i].first = (int64_t)i * 10000;
        assert_int_equal(pthread_create(&w[i].thread, NULL, write_on, &w[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        nap_ms(100);
        struct sql_unit u;
        sql_unit_init(&u, SQL_WRITE, x->direct->arena);
        (void)sql_add(&u, FX_kill_others);
        (void)!sql_write(x->direct->db, &u);
    }
    atomic_store(&enough, true);
    size_t good = 0, unknown = 0;
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].bad, 0);
        good += w[i].good_count;
        unknown += w[i].unknown;
    }
    print_message("%zu answered, %zu unknown, %d in doubt\n", good, unknown,
                  (int)sql_stats(x->through.db)->in_doubt);
    assert_true(good > 0);
    for (size_t i = 0; i < WRITERS; i++)
        for (size_t k = 0; k < w[i].good_count; k += 17)
            assert_int_equal(get(x->direct, w[i].good[k])->rows, 1);
    assert_in_range(count_rows(x->direct), good, good + unknown);
}

/* --- conflicts and warnings ------------------------------------------------------------------- */

struct pair {
    struct faults *x;
    int64_t first, second;
    enum err err;
    pthread_t thread;
};

static struct sql_call *touch(struct sql_unit *u, int64_t id)
{
    struct sql_call *c = sql_add(u, FX_upsert);
    sql_bind_int(c, id);
    sql_bind_null(c);
    sql_bind_text(c, STR("touched"));
    return c;
}

static void *touch_both(void *arg)
{
    struct pair *p = arg;
    struct arena *a = arena_new(1u << 20);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    touch(&u, p->first);
    (void)sql_add(&u, FX_pause);
    touch(&u, p->second);
    (void)sql_add(&u, FX_pause);
    (void)sql_add(&u, FX_pause);
    (void)sql_add(&u, FX_pause);
    p->err = sql_write(p->x->through.db, &u);
    if (p->err != OK)
        print_message("%s\n", err_text(p->err));
    arena_free(a);
    return NULL;
}

static void run_pair(struct pair pairs[2])
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&pairs[i].thread, NULL, touch_both, &pairs[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(pairs[i].thread, NULL);
}

static void reopen(struct faults *x, size_t connections, int64_t lock_ms)
{
    sql_close(x->through.db);
    x->through.options.connections = connections;
    x->through.options.lock_ms = lock_ms;
    x->through.options.answer_ms = 10000;
    x->through.options.wait_ms = 10000;
    open_db(&x->through);
    sql_set_session(x->through.db, 7, NULL, NULL);
    for (int i = 0; i < 1000 && sql_stats(x->through.db)->connected < connections; i++)
        nap_ms(2);
}

static void test_sql_fault__deadlocks_are_run_again(void **state)
{
    struct faults *x = *state;
    reopen(x, 4, 5000);
    warm_up(x);
    struct pair pairs[2] = {{.x = x, .first = 1, .second = 2}, {.x = x, .first = 2, .second = 1}};
    run_pair(pairs);
    assert_ok(pairs[0].err);
    assert_ok(pairs[1].err);
    assert_true(sql_stats(x->through.db)->retries > 0);
}

static void test_sql_fault__a_row_lock_is_not_waited_for_for_ever(void **state)
{
    struct faults *x = *state;
    reopen(x, 4, 400);
    warm_up(x);
    struct pair pairs[2] = {{.x = x, .first = 1, .second = 2}, {.x = x, .first = 1, .second = 2}};
    run_pair(pairs);
    assert_true((pairs[0].err == OK && pairs[1].err == ERR_BUSY) ||
                (pairs[0].err == ERR_BUSY && pairs[1].err == OK));
}

static void test_sql_fault__a_slow_write_does_not_hold_up_others(void **state)
{
    struct faults *x = *state;
    reopen(x, 4, 5000);
    warm_up(x);
    struct pair slow = {.x = x, .first = 1, .second = 2};
    assert_int_equal(pthread_create(&slow.thread, NULL, touch_both, &slow), 0);
    nap_ms(50);
    int64_t begun = clock_mono_us();
    assert_ok(set_words(x, 3, "meanwhile", false));
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, x->direct->arena);
    (void)sql_add(&u, FX_count);
    assert_ok(sql_read(x->through.db, &u));
    assert_in_range(clock_mono_us() - begun, 0, 600000); /* the slow one takes 1,200,000 */
    pthread_join(slow.thread, NULL);
    assert_ok(slow.err);
}

static void test_sql_fault__a_warning_puts_the_commit_in_doubt(void **state)
{
    struct faults *x = *state;
    assert_ok(sql_script(x->direct->db, NULL,
                         "CREATE FUNCTION warn() RETURNS bigint LANGUAGE plpgsql AS $body$"
                         " BEGIN RAISE WARNING 'not replicated'; RETURN 1; END $body$"));
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, x->direct->arena);
    put(&u, 5, "x");
    struct sql_call *c = sql_add(&u, FX_warn);
    assert_ok(sql_write(x->through.db, &u)); /* its results had come, and it is resolved */
    assert_int_equal(sql_int(c, 0, 0), 1);
    assert_int_equal(sql_stats(x->through.db)->in_doubt, 1);
    assert_int_equal(get(x->direct, 5)->rows, 1);
}

static void test_sql_fault__a_refusal_says_what_to_do(void **state)
{
    struct faults *x = *state;
    static const struct {
        const char *with, *says;
    } cases[] = {
        {"&dbname=nobody_made_this", "createdb"},
        {"&user=nobody_has_this_name", ";"},
    };
    for (size_t i = 0; i < 2; i++) {
        char url[700];
        struct sql_db *db = NULL;
        (void)snprintf(url, sizeof(url), "%s%s", x->url, cases[i].with);
        enum err err = sql_open(url, NULL, &db);
        print_message("%s\n", err_text(err));
        assert_int_equal(err, ERR_DENIED);
        assert_non_null(strstr(err_text(err), cases[i].says));
        assert_null(db);
    }
}

/* A server that takes connections and never says a word; its folder goes to `folder`. */
static int silent_server(char folder[static 32])
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(folder, 32, "/tmp/kiseki-silent-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.5432", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static void test_sql_fault__hosts_that_hang_or_are_gone_hold_nobody_up(void **state)
{
    struct faults *x = *state;
    char folder[32], url[1024];
    int silent = silent_server(folder);
    (void)snprintf(url, sizeof(url), "%s%chost=%s,/nonexistent,%s&port=5432,5433,5432",
                   x->direct->url, strchr(x->direct->url, '?') != NULL ? '&' : '?', folder,
                   x->relay->folder);
    struct fixture several = {.url = url, .arena = x->direct->arena};
    int64_t begun = clock_mono_us();
    open_db(&several);
    assert_in_range(clock_mono_us() - begun, 0, 2500000); /* connect_timeout is 3 s */
    assert_int_equal(count_rows(&several), 0);
    sql_close(several.db);
    (void)snprintf(url, sizeof(url), "%s%chost=%s,/nonexistent&port=5432,5433&connect_timeout=2",
                   x->direct->url, strchr(x->direct->url, '?') != NULL ? '&' : '?', folder);
    struct sql_db *db = NULL;
    enum err err = sql_open(url, &several.options, &db);
    print_message("%s\n", err_text(err));
    assert_int_equal(err, ERR_BUSY);
    assert_non_null(strstr(err_text(err), "port 5432: no answer; /nonexistent port 5433: "));
    close(silent);
    (void)snprintf(url, sizeof(url), "%s/.s.PGSQL.5432", folder);
    (void)unlink(url);
    (void)rmdir(folder);
}

static void test_sql_fault__a_changed_table_is_prepared_for_again(void **state)
{
    struct faults *x = *state;
    assert_ok(sql_script(x->direct->db, NULL, "CREATE TABLE shape (a BIGINT)"));
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, x->direct->arena);
    struct sql_call *c = sql_add(&u, FX_shape);
    assert_ok(sql_read(x->through.db, &u));
    assert_int_equal(c->columns, 1);
    assert_ok(sql_script(x->direct->db, NULL, "ALTER TABLE shape ADD COLUMN b TEXT"));
    assert_ok(sql_read(x->through.db, &u));
    assert_int_equal(c->columns, 2);
}

/* --- SQLite ----------------------------------------------------------------------------------- */

static void test_sql_fault__a_full_disk_is_named_and_passes(void **state)
{
    struct fixture *f = *state;
    open_session(f, 7);
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    (void)sql_add(&u, FX_pages);
    assert_ok(sql_write(f->db, &u));
    static char big[400000];
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "with something too big");
    struct sql_call *c = sql_add(&u, FX_put);
    sql_bind_int(c, 2);
    sql_bind_bytes(c, (struct str){big, sizeof(big)});
    sql_bind_null(c);
    sql_bind_null(c);
    enum err err = sql_write(f->db, &u);
    print_message("%s\n", err_text(err));
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(count_rows(f), 0);
    sql_unit_init(&u, SQL_WRITE, f->arena);
    (void)sql_add(&u, FX_pages_free);
    assert_ok(sql_write(f->db, &u));
    sql_unit_init(&u, SQL_WRITE, f->arena);
    put(&u, 1, "fits");
    assert_ok(sql_write(f->db, &u));
}

int main(void)
{
    static const struct CMUnitTest on_sqlite[] = {
        cmocka_unit_test_setup_teardown(test_sql_fault__a_full_disk_is_named_and_passes,
                                        fixture_sqlite, fixture_down),
    };
#define FAULT(name) cmocka_unit_test_setup_teardown(test_sql_fault__##name, faults_up, faults_down)
    static const struct CMUnitTest on_postgres[] = {
        FAULT(a_lost_answer_of_a_commit_is_found_out),
        FAULT(the_answer_of_settling_may_be_lost_too),
        FAULT(a_request_that_comes_late_never_commits),
        FAULT(a_tombstone_asked_for_twice_is_no_commit),
        FAULT(silence_counts_as_lost),
        FAULT(a_reaped_session_leaves_the_doubt),
        FAULT(a_database_away_is_waited_for),
        FAULT(a_database_long_away_is_not_waited_for),
        FAULT(killed_backends_lose_nothing),
        FAULT(deadlocks_are_run_again),
        FAULT(a_row_lock_is_not_waited_for_for_ever),
        FAULT(a_slow_write_does_not_hold_up_others),
        FAULT(a_warning_puts_the_commit_in_doubt),
        FAULT(a_refusal_says_what_to_do),
        FAULT(hosts_that_hang_or_are_gone_hold_nobody_up),
        FAULT(a_changed_table_is_prepared_for_again),
    };
    int failed = cmocka_run_group_tests_name("sqlite", on_sqlite, NULL, NULL);
    if (getenv("KISEKI_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgres", on_postgres, NULL, NULL);
    return failed != 0;
}
