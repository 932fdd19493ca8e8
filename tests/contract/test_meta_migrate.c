/*
 * Older schemas become the newest one, with what is in them: meta/core/schema.c,
 * meta/migrate_*.sql.
 */
#include "meta/files/reclaim.h"

#include "tests/contract/meta_fixture.h"

#include <errno.h>

/* --- what a schema looks like ----------------------------------------------------------------- */

static char *ask_text(struct world *w, const char *query)
{
    char *text = NULL;
    (void)ask_cell(w, query, &text);
    return text;
}

static const char columns[] =
    "{PG: SELECT string_agg(x, chr(10) ORDER BY x) FROM (SELECT table_name || '.' || column_name"
    "  || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '-') AS x"
    "  FROM information_schema.columns WHERE table_schema = current_schema()) AS c}"
    "{LITE: SELECT group_concat(x, char(10)) FROM (SELECT m.name || '.' || p.name || ' ' || p.type"
    "  || ' ' || p.[notnull] || ' ' || coalesce(p.dflt_value, '-') || ' ' || p.pk AS x"
    "  FROM sqlite_master m"
    "  JOIN pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY 1)}";
static const char indexes[] =
    "{PG: SELECT string_agg(indexdef, chr(10) ORDER BY indexdef) FROM pg_indexes"
    "  WHERE schemaname = current_schema()}"
    "{LITE: SELECT group_concat(x, char(10)) FROM (SELECT replace(m.sql, char(10), '') AS x"
    "  FROM sqlite_master m WHERE m.type = 'index' AND m.sql IS NOT NULL ORDER BY 1)}";
static const char triggers[] =
    "{PG: SELECT string_agg(prosrc, chr(10) ORDER BY proname) FROM pg_proc"
    "  WHERE pronamespace = current_schema()::regnamespace}"
    "{LITE: SELECT group_concat(x, char(10)) FROM (SELECT m.sql AS x FROM sqlite_master m"
    "  WHERE m.type = 'trigger' ORDER BY m.name)}";

struct looks {
    char *columns, *indexes, *triggers;
};

static struct looks look(struct world *w)
{
    return (struct looks){ask_text(w, columns), ask_text(w, indexes), ask_text(w, triggers)};
}

static void assert_same(const struct looks *a, const struct looks *b)
{
    assert_string_equal(a->columns, b->columns);
    assert_string_equal(a->indexes, b->indexes);
    assert_string_equal(a->triggers, b->triggers);
}

static void looks_free(struct looks *l)
{
    free(l->columns);
    free(l->indexes);
    free(l->triggers);
}

/* --- older volumes ---------------------------------------------------------------------------- */

/* Nothing is in the database afterwards. */
static void empty(struct world *w)
{
    char script[256];
    sql_close(w->raw);
    w->raw = NULL;
    if (w->schema[0] != '\0') {
        pg_script("DROP SCHEMA %s CASCADE", w->schema);
        pg_script("CREATE SCHEMA %s", w->schema);
    } else {
        static const char *const names[] = {"/meta.db", "/meta.db-wal", "/meta.db-shm"};
        for (size_t i = 0; i < 3; i++) {
            (void)snprintf(script, sizeof(script), "%s%s", w->folder, names[i]);
            assert_true(remove(script) == 0 || errno == ENOENT);
        }
    }
    assert_ok(sql_open(w->url, NULL, &w->raw));
}

/* The schema of version 2, as that version made it. */
static void make_2(struct world *w)
{
    FILE *f = fopen("tests/contract/schema_2.sql", "r"); /* tests run at the root of the tree */
    char *text = calloc(1, 1u << 20);
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1u << 20) - 1, f) > 0);
    fclose(f);
    run(w, text);
    free(text);
    run(w, "INSERT INTO volume (one, uuid, schema_version, generation, auth_generation, created_ms)"
           " VALUES (1, '6d5a1f38-0000-4000-8000-000000000000', 2, 1, 1, 1);");
}

/* What version 2 added, taken away again. */
static const char back_to_1[] =
    "ALTER TABLE keys DROP COLUMN ranged; ALTER TABLE keys DROP COLUMN writes;"
    " DROP INDEX inode_pieces_died; ALTER TABLE inode_pieces DROP COLUMN died;"
    " DROP TABLE range_tokens; DROP TABLE inode_writes; DROP TABLE fragmented;"
    " UPDATE volume SET schema_version = 1";

#define HEX(digits) "{PG: '\\x" digits "'::bytea}{LITE: x'" digits "'}"

/* A bucket with two keys, what each table has of them, and a session that was never reaped. */
/* clang-format off */
static const char rows_2[] =
    "INSERT INTO accounts VALUES (7, 'root', 'c', 1);"
    "INSERT INTO buckets VALUES (1, " HEX("62") ", 7, 'r', 0, 1, 0, 0);"
    "INSERT INTO inodes (id, size, mtime_ms, etag, headers, data) VALUES"
    " (100, 1, 1, 'e', " HEX("") ", " HEX("61") "), (101, 1, 1, 'e', " HEX("") ", " HEX("62") "),"
    " (102, 1, 1, 'e', " HEX("") ", " HEX("63") "), (103, 1, 1, 'e', " HEX("") ", NULL);"
    "INSERT INTO keys (bucket, key, seq, version, marker, inode, size, etag, mtime_ms, owner,"
    " class, checksum) VALUES (1, " HEX("6b") ", 1, 'null', 0, 100, 1, 'e', 1, 7, '', 0),"
    " (1, " HEX("6c") ", 1, 'null', 0, 103, 65536, 'e', 1, 7, '', 0);"
    "INSERT INTO pieces VALUES (50, 1, 65536, " HEX("0100000000") "), (51, 0, 0, "
    HEX("0100000000") ");"
    "INSERT INTO inode_pieces (inode, start, token, len, piece, piece_off)"
    " VALUES (103, 0, 0, 65536, 50, 0);"
    "INSERT INTO dead VALUES (1, 101, NULL, 5), (1, 102, 0, 6), (2, 51, 0, 0);"
    "INSERT INTO doomed VALUES (9, 8, 1, 0);"
    "INSERT INTO jobs VALUES ('reclaim', 3, 99, NULL);"
    "INSERT INTO uploads (id, upload, bucket, key, owner, initiated_ms, class, headers, checksum,"
    " completed_ms) VALUES (20, 'u', 1, " HEX("6b") ", 7, 1, '', " HEX("") ", 0, 1),"
    " (21, 'v', 1, " HEX("6b") ", 7, 1, '', " HEX("") ", 0, NULL);"
    "INSERT INTO slice_ranges VALUES (1, 4, 3, 8);"
    "INSERT INTO sessions VALUES (3, 8, 'live', 'h', 1, 'v', 1, 2, 1);"
    "INSERT INTO txns VALUES (3, 1, 0);";
/* clang-format on */

static void assert_rows(struct world *w)
{
    static const struct {
        const char *query;
        int64_t answer;
    } all[] = {{"SELECT count(*) FROM keys", 2},
               {"SELECT count(*) FROM inodes", 4},
               {"SELECT count(*) FROM pieces", 2},
               {"SELECT count(*) FROM dead", 3},
               {"SELECT count(*) FROM doomed WHERE failures = 0 AND why = '' AND due_ms = 1", 1},
               {"SELECT count(*) FROM uploads", 2},
               {"SELECT count(*) FROM slice_ranges", 1},
               {"SELECT count(*) FROM jobs", 0},
               {"SELECT count(*) FROM sessions", 0},
               {"SELECT count(*) FROM txns", 0},
               {"SELECT count(*) FROM keys WHERE rev = 0 AND hold = 0 AND lock_mode IS NULL AND"
                " retain_until_ms IS NULL AND acl IS NULL AND last_seq = 0",
                2},
               {"SELECT count(*) FROM uploads WHERE hold = 0 AND data_key IS NULL", 2},
               {"SELECT count(*) FROM accounts WHERE generation = 0 AND number IS NULL", 1},
               {"SELECT readable_from FROM volume", 3},
               {"SELECT size FROM keys WHERE inode = 103", 65536}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (ask(w, all[i].query) != all[i].answer)
            fail_msg("%s: %lld", all[i].query, (long long)ask(w, all[i].query));
}

/* The new program frees what the old one had queued, and keeps what is in use. */
static void free_what_is_dead(struct world *w)
{
    w->beat_ms = 50;
    struct meta *m = open_gateway(w);
    for (int64_t dead = 3; dead > 0; dead = ask(w, "SELECT count(*) FROM dead")) {
        struct job_round r = {.name = "reclaim", .lease_ms = 30000, .budget = 1000};
        assert_ok(reclaim_round(m, &r));
        nap_ms(20);
    }
    assert_int_equal(ask(w, "SELECT count(*) FROM inodes WHERE id IN (100, 103)"), 2);
    assert_int_equal(ask(w, "SELECT count(*) FROM inodes"), 2);
    assert_int_equal(ask(w, "SELECT count(*) FROM pieces"), 1);
    meta_close(m);
}

/* A volume of version 2, or of what `older` makes of it, becomes what a new one is. */
static void migrate(struct world *w, const char *older)
{
    meta_close(open_volume(w));
    struct looks fresh = look(w);
    empty(w);
    make_2(w);
    run(w, rows_2);
    if (older != NULL)
        run(w, older);
    struct meta *m = open_volume(w);
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), META_SCHEMA_VERSION);
    assert_ok(sql_check(m->sql));
    meta_close(m);
    struct looks migrated = look(w);
    assert_same(&fresh, &migrated);
    looks_free(&fresh);
    looks_free(&migrated);
    assert_rows(w);
}

static void test_meta_migrate__version_2_with_what_is_in_it(void **state)
{
    struct world *w = *state;
    migrate(w, NULL);
    free_what_is_dead(w);
}

static void test_meta_migrate__version_1_goes_all_the_way(void **state)
{
    migrate(*state, back_to_1);
}

static void test_meta_migrate__not_while_somebody_uses_it(void **state)
{
    struct world *w = *state;
    struct meta *m = NULL;
    make_2(w);
    run(w, "INSERT INTO sessions VALUES (3, 8, 'live', 'h', 1, 'v', 1, {NOW_MS} + 60000, 1)");
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_UNSUPPORTED), "stop them"));
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), 2);
    run(w, "UPDATE sessions SET lease_until_ms = 1");
    m = open_volume(w);
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), META_SCHEMA_VERSION);
    meta_close(m);
}

struct steps {
    size_t calls, done, count;
};

static void note_step(void *arg, size_t done, size_t count, const char *what)
{
    struct steps *s = arg;
    assert_int_equal(done, s->calls);
    assert_int_equal(what[0] == '\0', done == 0 || done == count); /* the first has no name */
    s->calls++;
    s->done = done;
    s->count = count;
}

/* A gateway leaves a large volume to `kiseki migrate`, which reports its steps. */
static void test_meta_migrate__of_many_objects_is_asked_for(void **state)
{
    struct world *w = *state;
    struct steps steps = {.calls = 0};
    struct meta *m = NULL;
    make_2(w);
    run(w, "INSERT INTO usage VALUES (1, 600000, 1), (2, 400001, 1)");
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_UNSUPPORTED), "kiseki migrate"));
    w->options.must_exist = true;
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
    assert_non_null(strstr(err_text(ERR_UNSUPPORTED), "kiseki migrate"));
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), 2);
    w->options.migrates = true;
    w->options.step = note_step;
    w->options.step_arg = &steps;
    m = open_volume(w);
    assert_int_equal(ask(w, "SELECT schema_version FROM volume"), META_SCHEMA_VERSION);
    struct meta_volume about;
    meta_volume(m, &about);
    assert_int_equal(about.migrated_from, 2);
    assert_int_equal(about.schema_version, META_SCHEMA_VERSION);
    assert_int_equal(steps.done, steps.count);
    assert_in_range(steps.count, 5, 100);
    meta_close(m);
    m = open_volume(w);
    meta_volume(m, &about);
    assert_int_equal(about.migrated_from, 0);
    meta_close(m);
}

/* A process that looked at the version before cannot open its session under the new one. */
static void test_meta_migrate__no_session_opens_under_another_version(void **state)
{
    struct world *w = *state;
    struct meta *m = open_volume(w);
    run(w, "UPDATE volume SET schema_version = 99, readable_from = 99");
    assert_err(ERR_UNSUPPORTED, meta_session_open(m, "live"));
    assert_int_equal(ask(w, "SELECT count(*) FROM sessions"), 0);
    meta_close(m);
    assert_err(ERR_UNSUPPORTED, meta_open(&w->options, &m));
}

/* A later version may say that our programs can use it: its steps only add. */
static void test_meta_migrate__a_newer_version_that_is_readable(void **state)
{
    struct world *w = *state;
    meta_close(open_volume(w));
    run(w, "UPDATE volume SET schema_version = 99");
    struct meta *m = open_volume(w);
    assert_ok(meta_session_open(m, "live"));
    meta_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_migrate__version_2_with_what_is_in_it),
        cmocka_unit_test(test_meta_migrate__version_1_goes_all_the_way),
        cmocka_unit_test(test_meta_migrate__not_while_somebody_uses_it),
        cmocka_unit_test(test_meta_migrate__of_many_objects_is_asked_for),
        cmocka_unit_test(test_meta_migrate__no_session_opens_under_another_version),
        cmocka_unit_test(test_meta_migrate__a_newer_version_that_is_readable),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
