/*
 * What it costs to take the next entries of a queue does not depend on how many wait: rows that are
 * read for each, counted by the engine, with backlogs that the planner knows nothing of.
 * KISEKI_TEST_BACKLOG: how many wait (default 30,000).
 */
#include "meta/names/bucket.h"
#include "meta/files/reclaim.h"
#include "meta/files/write.h"

#include "tests/contract/meta_fixture.h"

#include <pthread.h>

#define ROWS_MAX  12  /* that may be read for each entry, on PostgreSQL */
#define GROWTH_PC 150 /* steps for each may grow by that, from a tenth of the backlog, on SQLite */

static int backlog(void)
{
    const char *text = getenv("KISEKI_TEST_BACKLOG");
    return text != NULL ? (int)strtol(text, NULL, 10) : 30000;
}

/* What is put in a queue, and what takes from it; the rest is the same for all. */
struct queue {
    const char *name, *table;
    const char *fill; /* "INSERT INTO ... SELECT ..." from n (i), a series 1..; %d: how many */
    const char *job;
    enum err (*round)(struct meta *m, struct job_round *r);
    int at_least; /* entries a round takes, at least; 0: it finds none */
};

#define SERIES                                                                                     \
    " FROM {PG: generate_series(1, %d) AS n (i)}{LITE: (WITH RECURSIVE n (i) AS (SELECT 1 UNION"   \
    " ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n}"

static enum err doomed_some(struct meta *m, struct job_round *r)
{
    struct arena *a = arena_new(16u << 20);
    struct doomed d;
    enum err err = doomed_take(m, r, a, 1000, &d);
    if (err == OK)
        err = doomed_done(m, r, d.token, d.slices, d.count);
    r->done = err == OK ? d.count : 0;
    arena_free(a);
    return err;
}

static const struct queue queues[] = {
    {"dead inodes", "dead", "INSERT INTO dead SELECT 1, i, 0, 0" SERIES, "reclaim", reclaim_round,
     1000},
    {"dead pieces", "dead", "INSERT INTO dead SELECT 2, i, 0, 0" SERIES, "reclaim", reclaim_round,
     1000},
    {"links that died", "dead", "INSERT INTO dead SELECT 3, i, 0, 0" SERIES, "reclaim",
     reclaim_round, 1000},
    {"dead inodes, of many stamps", "dead",
     "INSERT INTO dead SELECT 1, i, i %% 10007 * 7919 %% 10007, 0" SERIES, "reclaim", reclaim_round,
     1000},
    {"dead, all unstamped", "dead",
     "INSERT INTO dead SELECT 1, i, {PG: NULL::bigint}{LITE: NULL}, i * 100" SERIES, "reclaim",
     reclaim_round, 0},
    {"dead, all kept or set aside", "dead",
     "INSERT INTO dead SELECT 2, i, 9223372036854775807, 0" SERIES, "reclaim", reclaim_round, 0},
    {"doomed slices", "doomed", "INSERT INTO doomed SELECT i, 1, i, i %% 2, 0, ''" SERIES, "doomed",
     doomed_some, 1000},
    {"completed uploads", "uploads",
     "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class, headers, checksum,"
     " completed_ms) SELECT i, 'u' || i, 1, {PG: 'k'::bytea}{LITE: x'6b'}, 1, 0, '',"
     " {PG: ''::bytea}{LITE: x''}, 0, i" SERIES,
     "uploads", uploads_round, 1000},
    {"range writes of a few files, looked at while another session folds", "inode_writes",
     "INSERT INTO sessions SELECT 900, 1, 'live', 'h', 1, 'v', 1, {NOW_MS} + 3600000, 20000"
     " WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE id = 900);"
     "INSERT INTO jobs (name, session, lease_until_ms) SELECT 'fold', 900, {NOW_MS} + 3600000"
     " WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE name = 'fold');"
     "INSERT INTO inode_writes SELECT i %% 3 + 1, i, 1, {PG: 'k'::bytea}{LITE: x'6b'}, 1, 1" SERIES,
     "fold", fold_round, 0},
    {"ranges of sessions that live", "slice_ranges",
     "INSERT INTO slice_ranges SELECT i * 10, i * 10 + 9, s.id, 1" SERIES
     ", (SELECT min(id) AS id FROM sessions) AS s",
     "sessions", sessions_round, 0},
};

static void fill(struct world *w, const struct queue *q, int count)
{
    char script[2048];
    char more[1024];
    assert_true(snprintf(more, sizeof(more), q->fill, count, count) < (int)sizeof(more));
    assert_true(snprintf(script, sizeof(script), "%s;", more) < (int)sizeof(script));
    run(w, script);
}

/* Rows of the table that PostgreSQL has read so far, for whatever reason. */
static int64_t rows_read(struct world *w, const char *table)
{
    char query[512];
    (void)snprintf(query, sizeof(query),
                   "SELECT coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
                   " WHERE relname = '%s' AND schemaname = current_schema()), 0)::bigint"
                   " + coalesce((SELECT sum(seq_tup_read) FROM pg_stat_user_tables"
                   " WHERE relname = '%s' AND schemaname = current_schema()), 0)::bigint",
                   table, table);
    return ask(w, query);
}

static size_t one_round(struct meta *m, const struct queue *q)
{
    struct job_round r = {.name = q->job, .lease_ms = 30000, .budget = 1000};
    enum err err = q->round(m, &r);
    if (err != OK)
        fail_msg("%s: %s", q->name, err_text(err));
    return r.done;
}

static void assert_taken(const struct queue *q, size_t taken)
{
    if ((int)taken < q->at_least)
        fail_msg("%s: only %zu were taken", q->name, taken);
}

/* A long query, as of a backup: what is deleted meanwhile stays in the indexes. */
struct holder {
    struct sql_db *sql;
    pthread_t thread;
    char query[128];
};

static void *hold_snapshot(void *holder)
{
    struct holder *h = holder;
    enum err err = sql_script(h->sql, NULL, h->query);
    (void)err; /* it is cancelled */
    return NULL;
}

static int64_t pid_of(struct world *w)
{
    char query[512];
    (void)snprintf(query, sizeof(query),
                   "SELECT coalesce((SELECT max(pid) FROM pg_stat_activity WHERE pid <> "
                   "pg_backend_pid() AND state = 'active' AND query LIKE '%%held_by_%s%%'), 0)"
                   "::bigint",
                   w->schema);
    return ask(w, query);
}

static void begin_holding(struct world *w, struct holder *h)
{
    assert_ok(sql_open(w->url, NULL, &h->sql));
    (void)snprintf(h->query, sizeof(h->query), "SELECT pg_sleep(600) AS held_by_%s", w->schema);
    assert_int_equal(pthread_create(&h->thread, NULL, hold_snapshot, h), 0);
    while (pid_of(w) == 0)
        nap_ms(1);
}

static void end_holding(struct world *w, struct holder *h)
{
    char query[64];
    (void)snprintf(query, sizeof(query), "SELECT pg_cancel_backend(%lld)::int::bigint",
                   (long long)pid_of(w));
    assert_int_equal(ask(w, query), 1); /* a script would wait for the other one */
    pthread_join(h->thread, NULL);
    sql_close(h->sql);
}

/* The statistics are of an empty table, then as good as they get. */
static void check_postgres(struct world *w, const struct queue *q, bool analyzed)
{
    char script[128];
    (void)snprintf(script, sizeof(script), "TRUNCATE %s; ANALYZE %s", q->table, q->table);
    run(w, script);
    struct meta *m = open_gateway(w);
    fill(w, q, backlog());
    (void)snprintf(script, sizeof(script), "ANALYZE %s", q->table);
    if (analyzed)
        run(w, script);
    nap_ms(100); /* two heartbeats: the epochs are published */
    struct holder holder;
    begin_holding(w, &holder);
    int64_t before = rows_read(w, q->table);
    size_t taken = 0;
    for (int i = 0; i < 8; i++) /* plans become generic after a few */
        taken += one_round(m, q);
    meta_close(m); /* counts are reported when a connection ends */
    end_holding(w, &holder);
    assert_taken(q, taken);
    int64_t after = before;
    for (int i = 0; i < 50 && (after == before || i < 5); i++) {
        nap_ms(10);
        after = rows_read(w, q->table);
    }
    int64_t most = ROWS_MAX * (int64_t)(taken > 100 ? taken : 100);
    if (after - before > most)
        fail_msg("%s%s: %lld rows were read to take %zu", q->name, analyzed ? ", analyzed" : "",
                 (long long)(after - before), taken);
}

static uint64_t steps_for_each(struct world *w, const struct queue *q, int count)
{
    char script[128];
    (void)snprintf(script, sizeof(script), "DELETE FROM %s", q->table);
    run(w, script);
    struct meta *m = open_gateway(w);
    fill(w, q, count);
    nap_ms(100);
    uint64_t before = atomic_load(&meta_sql_stats(m)->steps);
    size_t taken = one_round(m, q);
    uint64_t steps = atomic_load(&meta_sql_stats(m)->steps) - before;
    meta_close(m);
    assert_taken(q, taken);
    return steps / (taken > 0 ? taken : 1);
}

static void check_sqlite(struct world *w, const struct queue *q)
{
    uint64_t few = steps_for_each(w, q, backlog() / 10);
    uint64_t many = steps_for_each(w, q, backlog());
    if (many > few * GROWTH_PC / 100 + 20)
        fail_msg("%s: %llu steps each, but %llu with ten times as many", q->name,
                 (unsigned long long)few, (unsigned long long)many);
}

static void test_meta_queue__taking_some_costs_the_same_with_many_waiting(void **state)
{
    struct world *w = *state;
    /* SQLite counts the steps of heartbeats, too: there are none while it counts */
    w->beat_ms = sql_is_postgres(w->raw) ? 30 : 10000;
    meta_close(open_volume(w));
    run(w, "UPDATE counters SET next = 20000 WHERE name = 'epoch'"); /* all stamps are over */
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        if (!sql_is_postgres(w->raw)) {
            check_sqlite(w, &queues[i]);
            continue;
        }
        check_postgres(w, &queues[i], false);
        check_postgres(w, &queues[i], true);
    }
}

/* ListBuckets reads the buckets of its account, however many others there are. */
static void test_meta_queue__buckets_of_one_account_are_read_alone(void **state)
{
    static const char insert[] =
        INTO_BUCKETS "SELECT i, {PG: convert_to('b' || i, 'UTF8')}"
                     "{LITE: CAST('b' || i AS BLOB)}, CASE WHEN i %% 1000 = 0 THEN 7 "
                     "ELSE 8 END, 'r', 0, 1" SERIES;
    struct world *w = *state;
    meta_close(open_volume(w));
    struct queue q = {.name = "buckets", .table = "buckets", .fill = insert};
    fill(w, &q, 10000);
    if (sql_is_postgres(w->raw))
        run(w, "ANALYZE buckets");
    struct meta *m = open_volume(w);
    uint64_t steps = atomic_load(&meta_sql_stats(m)->steps);
    int64_t before = sql_is_postgres(w->raw) ? rows_read(w, "buckets") : 0;
    struct bucket *list;
    size_t count = 0;
    bool more = false;
    assert_ok(bucket_list(m, w->arena, 7, STR(""), STR(""), 1000, &list, &count, &more));
    assert_int_equal(count, 10);
    steps = atomic_load(&meta_sql_stats(m)->steps) - steps;
    meta_close(m);
    assert_true(steps < 1000);
    if (!sql_is_postgres(w->raw))
        return;
    nap_ms(50);
    assert_in_range(rows_read(w, "buckets") - before, 0, 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_queue__taking_some_costs_the_same_with_many_waiting),
        cmocka_unit_test(test_meta_queue__buckets_of_one_account_are_read_alone),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
