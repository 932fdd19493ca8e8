/*
 * Dump and load (meta/tools/dump.h): every table, every column, as meta/sql/dump_columns.def has
 * them.
 */
#include "meta/tools/dump.h"

#include "meta/tools/dump_tables.h"
#include "tests/contract/meta_fixture.h"

/* What is not dumped: a table, or a column as table.column. */
static const char *const left_out[] = {
    "counters", /* in the first line */
    "volume",
    "sessions", /* nobody lives after a load */
    "txns",
    "jobs",
    "range_locks",
    "usage_deltas",    /* as sums, in usage */
    "sqlite_sequence", /* in the first line */
    "doomed.failures", /* all are tried again */
    "doomed.why",
    "fragmented.failures",
    "fragmented.retry_ms",
    "events.xact", /* of the transaction that loads it */
};

static bool is_left_out(const char *table, const char *name)
{
    char both[128];
    (void)snprintf(both, sizeof(both), "%s.%s", table, name);
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
        if (strcmp(left_out[i], table) == 0 || strcmp(left_out[i], both) == 0)
            return true;
    return false;
}

static bool is_dumped(const char *table, const char *name)
{
    static const char *const usage[] = {"bucket", "objects", "bytes", NULL};
    for (size_t i = 0; i < dump_table_count; i++) {
        if (strcmp(dump_tables[i].name, table) != 0)
            continue;
        const char *const *names = strcmp(table, "usage") == 0 ? usage : dump_tables[i].load->names;
        for (size_t c = 0; names[c] != NULL; c++)
            if (strcmp(names[c], name) == 0)
                return true;
    }
    return false;
}

static void test_meta_dump__has_every_column_of_the_schema(void **state)
{
    struct world *w = *state;
    char *text = NULL, *rest = NULL;
    meta_close(open_volume(w));
    (void)ask_cell(w,
                   "{PG: SELECT string_agg(table_name || ' ' || column_name, chr(10))"
                   "  FROM information_schema.columns WHERE table_schema = current_schema()}"
                   "{LITE: SELECT group_concat(m.name || ' ' || p.name, char(10))"
                   "  FROM sqlite_master m JOIN pragma_table_info(m.name) p"
                   "  WHERE m.type = 'table'}",
                   &text);
    size_t count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest), count++) {
        char table[64], name[64];
        assert_int_equal(sscanf(line, "%63s %63s", table, name), 2);
        if (is_dumped(table, name) == is_left_out(table, name))
            fail_msg("%s.%s: in the dump or left out?", table, name);
    }
    assert_true(count > 150);
    free(text);
}

/* --- there and back --------------------------------------------------------------------------- */

/* A row in each table: `number` in integers, text and bytes made of it. */
static void fill(struct world *w, int number)
{
    for (size_t i = 0; i < dump_table_count; i++) {
        const struct dump_table *t = &dump_tables[i];
        char script[2048];
        size_t len = 0;
        if (strcmp(t->name, "usage") == 0) {
            (void)snprintf(script, sizeof(script), "INSERT INTO usage VALUES (%d, 1, 1)", number);
            run(w, script);
            continue;
        }
        len += (size_t)snprintf(script, sizeof(script), "INSERT INTO %s (", t->name);
        for (size_t c = 0; t->load->names[c] != NULL; c++)
            len += (size_t)snprintf(script + len, sizeof(script) - len, "%s%s", c > 0 ? ", " : "",
                                    t->load->names[c]);
        len += (size_t)snprintf(script + len, sizeof(script) - len, ") VALUES (");
        for (size_t c = 0; t->load->types[c] != '\0'; c++) {
            char value[64];
            if (t->load->types[c] == 'i')
                (void)snprintf(value, sizeof(value), "%d", number);
            else if (t->load->types[c] == 't')
                (void)snprintf(value, sizeof(value), "'t%d'", number);
            else
                (void)snprintf(value, sizeof(value), "{PG: '\\xff0%d'::bytea}{LITE: x'ff0%d'}",
                               number, number);
            len += (size_t)snprintf(script + len, sizeof(script) - len, "%s%s", c > 0 ? ", " : "",
                                    value);
        }
        (void)snprintf(script + len, sizeof(script) - len, ")");
        run(w, script);
    }
}

static void write_dump(struct world *w, char **out_text, size_t *out_len)
{
    struct meta *m = open_volume(w);
    FILE *out = open_memstream(out_text, out_len);
    assert_non_null(out);
    assert_ok(dump_write(m, out, NULL));
    fclose(out);
    meta_close(m);
}

static enum err same_generation(void *arg, const struct dump_header *h, int64_t *out_generation)
{
    (void)arg;
    *out_generation = h->generation;
    return OK;
}

/* Nothing is in the database afterwards. */
static void empty(struct world *w)
{
    char *names = NULL, *rest = NULL;
    if (w->schema[0] != '\0') {
        sql_close(w->raw);
        pg_script("DROP SCHEMA %s CASCADE", w->schema);
        pg_script("CREATE SCHEMA %s", w->schema);
        assert_ok(sql_open(w->url, NULL, &w->raw));
        return;
    }
    (void)ask_cell(w,
                   "SELECT group_concat(name, ' ') FROM sqlite_master WHERE type = 'table'"
                   " AND name NOT IN ('sqlite_sequence', 'sessions', 'accounts')",
                   &names);
    for (char *name = strtok_r(names, " ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        char script[128];
        (void)snprintf(script, sizeof(script), "DROP TABLE %s", name);
        run(w, script);
    }
    run(w, "DROP TABLE sessions; DROP TABLE accounts");
    free(names);
}

static void test_meta_dump__a_row_of_each_table_there_and_back(void **state)
{
    struct world *w = *state;
    char *first, *second;
    size_t first_len, second_len;
    meta_close(open_volume(w));
    fill(w, 3);
    fill(w, 4);
    write_dump(w, &first, &first_len);
    for (size_t i = 0; i < dump_table_count; i++) {
        char line[128];
        (void)snprintf(line, sizeof(line), "\n[\"%s\",", dump_tables[i].name);
        if (strstr(first, line) == NULL)
            fail_msg("no row of the table %s", dump_tables[i].name);
    }
    empty(w);
    struct meta *m = open_volume(w);
    FILE *in = fmemopen(first, first_len, "r");
    assert_ok(dump_load(m, in, same_generation, NULL, NULL));
    fclose(in);
    meta_close(m);
    write_dump(w, &second, &second_len);
    /* the first line has a generation that each load moves on */
    assert_string_equal(strchr(first, '\n'), strchr(second, '\n'));
    /* events are numbered behind those of the dump */
    run(w,
        "INSERT INTO events (bucket, key, seq, version, size, etag, name, target, request, at_ms)"
        " SELECT bucket, key, seq, version, size, etag, name, target, request, at_ms FROM events"
        " WHERE id = 4");
    assert_true(ask(w, "SELECT max(id) FROM events") > 4);
    free(first);
    free(second);
}

/* A number that was given is not given again, though its event was delivered long ago. */
static void test_meta_dump__numbers_of_delivered_events_are_not_given_again(void **state)
{
    struct world *w = *state;
    char *text;
    size_t len;
    meta_close(open_volume(w));
    for (int i = 3; i < 5; i++)
        fill(w, i);
    run(w, "{PG: SELECT setval('events_id_seq', 9);}"
           "{LITE: UPDATE sqlite_sequence SET seq = 9 WHERE name = 'events';} DELETE FROM events");
    write_dump(w, &text, &len);
    empty(w);
    struct meta *m = open_volume(w);
    FILE *in = fmemopen(text, len, "r");
    assert_ok(dump_load(m, in, same_generation, NULL, NULL));
    fclose(in);
    meta_close(m);
    run(w,
        "INSERT INTO events (bucket, key, seq, version, size, etag, name, target, request, at_ms)"
        " SELECT 1, key, 1, '', 1, '', '', '', key, 1 FROM keys WHERE bucket = 3");
    assert_int_equal(ask(w, "SELECT max(id) FROM events"), 10);
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_dump__has_every_column_of_the_schema),
        cmocka_unit_test(test_meta_dump__a_row_of_each_table_there_and_back),
        cmocka_unit_test(test_meta_dump__numbers_of_delivered_events_are_not_given_again),
    };
    return run_on_both(tests, sizeof(tests) / sizeof(tests[0]));
}
