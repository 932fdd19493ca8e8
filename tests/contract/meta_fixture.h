/*
 * What the tests of meta/ share: a database made anew for each test (a file in a folder of its
 * own; on PostgreSQL, when KISEKI_TEST_PG is a libpq URL, a schema of its own), volumes opened on
 * it, and raw SQL beside them.
 */
#ifndef KISEKI_TESTS_CONTRACT_META_FIXTURE_H
#define KISEKI_TESTS_CONTRACT_META_FIXTURE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "meta/core/handle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char folder[64]; /* SQLite */
    char schema[64]; /* PostgreSQL */
    char url[512];
    struct sql_db *raw; /* for scripts */
    struct arena *arena;
    struct meta_options options;
    int64_t beat_ms; /* of gateways that are opened; 0: as the lease has it */
};

#define assert_err(expected, call)                                                                 \
    do {                                                                                           \
        enum err assert_err_ = (call);                                                             \
        if (assert_err_ != (expected))                                                             \
            print_error("%s: %s\n", #call, err_text(assert_err_));                                 \
        assert_int_equal(assert_err_, (expected));                                                 \
    } while (0)
#define assert_ok(call) assert_err(OK, call)

/* Waits (at most 20 s) until the condition holds. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        int64_t give_up_ = clock_mono_us() + 20000000;                                             \
        while (!(condition)) {                                                                     \
            if (clock_mono_us() > give_up_)                                                        \
                fail_msg("never came true: %s", #condition);                                       \
            nap_ms(5);                                                                             \
        }                                                                                          \
    } while (0)

static inline void nap_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static inline struct world *world_new(void)
{
    log_set_level(getenv("KISEKI_TEST_LOG") != NULL ? LOG_DEBUG : LOG_ERROR);
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->arena = arena_new(64u << 20);
    assert_non_null(w->arena);
    w->options = (struct meta_options){.url = w->url, .host = "test", .late_put_ms = 1};
    return w;
}

static inline int world_sqlite(void **state)
{
    struct world *w = world_new();
    (void)snprintf(w->folder, sizeof(w->folder), "/tmp/kiseki-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->url, sizeof(w->url), "sqlite:%s/meta.db", w->folder);
    assert_ok(sql_open(w->url, NULL, &w->raw));
    *state = w;
    return 0;
}

static inline void pg_script(const char *format, const char *schema)
{
    struct sql_db *db = NULL;
    char script[256];
    (void)snprintf(script, sizeof(script), format, schema);
    assert_ok(sql_open(getenv("KISEKI_TEST_PG"), NULL, &db));
    assert_ok(sql_script(db, NULL, script));
    sql_close(db);
}

static inline int world_postgres(void **state)
{
    struct world *w = world_new();
    const char *url = getenv("KISEKI_TEST_PG");
    (void)snprintf(w->schema, sizeof(w->schema), "kiseki_test_%016llx",
                   (unsigned long long)rand_u64());
    pg_script("CREATE SCHEMA %s", w->schema);
    (void)snprintf(w->url, sizeof(w->url), "%s%coptions=-csearch_path%%3D%s", url,
                   strchr(url, '?') != NULL ? '&' : '?', w->schema);
    assert_ok(sql_open(w->url, NULL, &w->raw));
    *state = w;
    return 0;
}

static inline int world_down(void **state)
{
    struct world *w = *state;
    sql_close(w->raw);
    if (w->schema[0] != '\0')
        pg_script("DROP SCHEMA %s CASCADE", w->schema);
    static const char *const names[] = {"/meta.db", "/meta.db-wal", "/meta.db-shm", ""};
    for (size_t i = 0; w->folder[0] != '\0' && i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", w->folder, names[i]);
        (void)remove(path);
    }
    arena_free(w->arena);
    free(w);
    return 0;
}

/* The columns that have no default, in this order. */
#define INTO_KEYS                                                                                  \
    "INSERT INTO keys (bucket, key, seq, version, marker, inode, size, etag, mtime_ms, owner,"     \
    " class, checksum) "
#define INTO_BUCKETS "INSERT INTO buckets (id, name, owner, region, created_ms, generation) "

/* --- raw SQL ---------------------------------------------------------------------------------- */

static inline void run(struct world *w, const char *script)
{
    assert_ok(sql_script(w->raw, NULL, script));
}

/* The first cell of a query, as a number, and as text if out_text is not NULL (to be freed). */
static inline int64_t ask_cell(struct world *w, const char *query, char **out_text)
{
    struct sql_text catalogue[] = {sql_catalogue[SQL_txn_begin],
                                   sql_catalogue[SQL_txn_forget],
                                   sql_catalogue[SQL_txn_resolve],
                                   {"ask", SQL_READ, "", NULL, query}};
    size_t count = sizeof(catalogue) / sizeof(catalogue[0]);
    struct sql_options o = {.connections = 1, .catalogue = catalogue, .statements = count};
    struct sql_db *db = NULL;
    struct arena *a = arena_new(1u << 20);
    struct sql_unit u;
    assert_ok(sql_open(w->url, &o, &db));
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add(&u, (int)count - 1);
    assert_ok(sql_read(db, &u));
    int64_t number = sql_int(c, 0, 0);
    struct str text = sql_str(c, 0, 0);
    if (out_text != NULL)
        *out_text = strndup(text.ptr, text.len);
    arena_free(a);
    sql_close(db);
    return number;
}

static inline int64_t ask(struct world *w, const char *query)
{
    return ask_cell(w, query, NULL);
}

/* --- volumes ---------------------------------------------------------------------------------- */

static inline struct meta *open_volume(struct world *w)
{
    struct meta *m = NULL;
    assert_ok(meta_open(&w->options, &m));
    return m;
}

static inline struct meta *open_gateway(struct world *w)
{
    struct meta *m = open_volume(w);
    if (w->beat_ms > 0)
        m->beat_ms = w->beat_ms;
    assert_ok(meta_session_open(m, "live"));
    return m;
}

static inline uint64_t next_id(struct meta *m)
{
    uint64_t id = 0;
    assert_ok(meta_next_id(m, &id));
    return id;
}

static inline struct slice_name next_slice(struct meta *m)
{
    struct slice_name name = {0};
    assert_ok(slice_name_next(m, &name));
    return name;
}

/* Runs the tests of this file on SQLite, and on PostgreSQL if there is one. */
static inline int run_on_both(const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest battery[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        battery[i] = tests[i];
        battery[i].setup_func = world_sqlite;
        battery[i].teardown_func = world_down;
    }
    int failed = _cmocka_run_group_tests("sqlite", battery, count, NULL, NULL);
    if (getenv("KISEKI_TEST_PG") == NULL)
        return failed != 0;
    for (size_t i = 0; i < count; i++)
        battery[i].setup_func = world_postgres;
    failed += _cmocka_run_group_tests("postgres", battery, count, NULL, NULL);
    return failed != 0;
}

#endif
