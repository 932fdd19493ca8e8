/* What the tests of meta/sql share: a catalogue of their own, a database made anew for each. */
#ifndef KISEKI_TESTS_CONTRACT_SQL_FIXTURE_H
#define KISEKI_TESTS_CONTRACT_SQL_FIXTURE_H

#include "base/arena.h"
#include "meta/sql/sql.h"

#include <pthread.h>
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

/* The program's statements for batches, then the tests' own, whose parameters have numbers. */
enum {
#define STATEMENT(name, kind, parameters, text) FX_##name,
#include "meta/sql/txn.def"
    FIXTURE_OWN,
    FIXTURE_BEFORE_OWN = FIXTURE_OWN - 1,
#include "tests/contract/sql_fixture.def"
#undef STATEMENT
    FIXTURE_STATEMENTS
};

static struct sql_text fixture_catalogue[FIXTURE_STATEMENTS] = {
#define STATEMENT(name, kind, types, text) [FX_##name] = {#name, SQL_##kind, types, NULL, text},
#include "tests/contract/sql_fixture.def"
#undef STATEMENT
};

static const char fixture_schema[] =
    "CREATE TABLE sessions (id BIGINT PRIMARY KEY);"
    "CREATE TABLE txns (session BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,"
    "    id BIGINT NOT NULL, tombstone BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (session, id));"
    "CREATE TABLE items (id BIGINT PRIMARY KEY CHECK (id >= 0), bytes BYTEA, words TEXT,"
    "    number BIGINT);"
    "CREATE TABLE children (item BIGINT NOT NULL REFERENCES items (id));";

struct fixture {
    const char *url;
    struct sql_options options;
    struct sql_db *db;
    struct arena *arena;
    char folder[64];
    char lite_url[128];
};

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        enum err assert_ok_ = (call);                                                              \
        if (assert_ok_ != OK)                                                                      \
            print_error("%s: %s\n", #call, err_text(assert_ok_));                                  \
        assert_int_equal(assert_ok_, OK);                                                          \
    } while (0)

static inline void nap_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

#define PATIENCE_MS 60000

static inline void open_db(struct fixture *f)
{
    memcpy(fixture_catalogue, sql_catalogue, FIXTURE_OWN * sizeof(fixture_catalogue[0]));
    f->options.catalogue = fixture_catalogue;
    f->options.statements = FIXTURE_STATEMENTS;
    if (f->options.wait_ms == 0)
        f->options.wait_ms = PATIENCE_MS; /* a busy machine is no database that is away */
    assert_ok(sql_open(f->url, &f->options, &f->db));
}

static inline struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->arena = arena_new(16u << 20);
    assert_non_null(f->arena);
    return f;
}

static inline int fixture_sqlite(void **state)
{
    struct fixture *f = fixture_new();
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/kiseki-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->lite_url, sizeof(f->lite_url), "sqlite:%s/a/b/meta.db", f->folder);
    f->url = f->lite_url;
    open_db(f);
    assert_ok(sql_script(f->db, NULL, fixture_schema));
    *state = f;
    return 0;
}

static inline int fixture_postgres(void **state)
{
    struct fixture *f = fixture_new();
    f->url = getenv("KISEKI_TEST_PG");
    open_db(f);
    assert_ok(
        sql_script(f->db, NULL, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public"));
    assert_ok(sql_script(f->db, NULL, fixture_schema));
    *state = f;
    return 0;
}

static inline int fixture_down(void **state)
{
    struct fixture *f = *state;
    sql_close(f->db);
    arena_free(f->arena);
    if (f->folder[0] != '\0') {
        static const char *const names[] = {
            "a/b/meta.db", "a/b/meta.db-wal", "a/b/meta.db-shm", "a/b", "a", ""};
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            char path[128];
            (void)snprintf(path, sizeof(path), "%s/%s", f->folder, names[i]);
            (void)remove(path);
        }
    }
    free(f);
    return 0;
}

static inline struct sql_call *put(struct sql_unit *u, int64_t id, const char *words)
{
    struct sql_call *c = sql_add(u, FX_put);
    sql_bind_int(c, id);
    sql_bind_null(c);
    sql_bind_text(c, str_of(words));
    sql_bind_null(c);
    return c;
}

static inline struct sql_call *get(struct fixture *f, int64_t id)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *c = sql_add(&u, FX_get);
    sql_bind_int(c, id);
    assert_ok(sql_read(f->db, &u));
    return c;
}

static inline int64_t one_number(struct fixture *f, int statement)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *c = sql_add(&u, statement);
    assert_ok(sql_read(f->db, &u));
    return sql_int(c, 0, 0);
}

static inline int64_t count_rows(struct fixture *f)
{
    return one_number(f, FX_count);
}

static inline void open_session(struct fixture *f, int64_t id)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, f->arena);
    sql_bind_int(sql_add(&u, FX_session_new), id);
    assert_ok(sql_write(f->db, &u));
    sql_set_session(f->db, id, NULL, NULL);
}

#endif
