#include "meta/sql/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text, *postgres, *sqlite; /* NULL: refused */
} cases[] = {
    {"", "", ""},
    {"SELECT $1, $12", "SELECT $1, $12", "SELECT ?1, ?12"},
    {"SELECT '$1 {x} ''}', \"{\" -- {it's}\n /* { */ $1",
     "SELECT '$1 {x} ''}', \"{\" -- {it's}\n /* { */ $1",
     "SELECT '$1 {x} ''}', \"{\" -- {it's}\n /* { */ ?1"},
    {"a {PG: b}{LITE: c} d", "a  b d", "a  c d"},
    {"{PG: a {LITE: no} '}' {PG: b}}", " a  '}'  b", ""},
    {"SELECT 1 {KEY_SHARE k}", "SELECT 1 FOR KEY SHARE OF k", "SELECT 1 "},
    {"SELECT 1 {FOR_UPDATE}", "SELECT 1 FOR UPDATE", "SELECT 1 "},
    {"SELECT 1 {FOR_UPDATE k, j}", "SELECT 1 FOR UPDATE OF k, j", "SELECT 1 "},
    {"$body$ BEGIN END $body$", "$body$ BEGIN END $body$", "$body$ BEGIN END $body$"},
    {"FROM {INTS $2} AS e",
     "FROM (SELECT value::bigint AS value, ordinal FROM jsonb_array_elements_text(($2)::jsonb) "
     "WITH "
     "ORDINALITY AS element (value, ordinal)) AS e",
     "FROM (SELECT value, key + 1 AS ordinal FROM json_each(?2)) AS e"},
    {"{NONE}", NULL, NULL},
    {"{INTSX $1}", NULL, NULL},
    {"{PG: a", NULL, NULL},
    {"{PG: '}", NULL, NULL},
    {"a }", NULL, NULL},
    {"{}", NULL, NULL},
};

static void check(enum sql_dialect dialect, const char *text, const char *const *names,
                  const char *wanted)
{
    struct buf out;
    buf_init(&out, 4096);
    enum err err = sql_expand(dialect, str_of(text), names, &out);
    if (wanted == NULL) {
        assert_int_equal(err, ERR_BUG);
    } else {
        if (err != OK || !str_eq(buf_str(&out), str_of(wanted)))
            print_error("%s\n  gave %s\n", text, out.data != NULL ? out.data : err_text(err));
        assert_int_equal(err, OK);
        assert_true(str_eq(buf_str(&out), str_of(wanted)));
    }
    buf_fini(&out);
}

static void test_sql_dialect__expands_for_each_engine(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(SQL_POSTGRES, cases[i].text, NULL, cases[i].postgres);
        check(SQL_SQLITE, cases[i].text, NULL, cases[i].sqlite);
    }
}

/* The parameters are bucket, key, ids. */
static const struct {
    const char *text, *postgres, *sqlite; /* NULL: refused */
} named[] = {
    {"k = :key AND b = :bucket", "k = $2 AND b = $1", "k = ?2 AND b = ?1"},
    {":key,:key", "$2,$2", "?2,?2"},
    {"{PG: :ids::bigint}{LITE: :key}", " $3::bigint", " ?2"},
    {"{IN_INTS :ids}",
     "= ANY (ARRAY(SELECT value::bigint FROM jsonb_array_elements_text(($3)::jsonb) AS e (value)))",
     "IN (SELECT value FROM json_each(?3))"},
    {"':nothing' -- :nothing", "':nothing' -- :nothing", "':nothing' -- :nothing"},
    {":keys", NULL, NULL},
    {":ke", NULL, NULL},
    {": key", NULL, NULL},
    {"k = $1", NULL, NULL},
};

static void test_sql_dialect__parameters_are_found_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"bucket", "key", "ids", NULL};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        check(SQL_POSTGRES, named[i].text, names, named[i].postgres);
        check(SQL_SQLITE, named[i].text, names, named[i].sqlite);
    }
}

static void test_sql_dialect__stops_at_the_limit(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 8);
    assert_int_equal(sql_expand(SQL_SQLITE, STR("SELECT a longer text"), NULL, &out),
                     ERR_TOO_LARGE);
    buf_fini(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sql_dialect__expands_for_each_engine),
        cmocka_unit_test(test_sql_dialect__parameters_are_found_by_name),
        cmocka_unit_test(test_sql_dialect__stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
