/* Every statement of the program is taken by both engines against the program's own schema. */
#include "tests/contract/sql_fixture.h"

static char *read_schema(void)
{
    static const char *const names[] = {"meta/core/schema.sql", "meta/core/triggers.sql"};
    char *text = calloc(1, 1u << 20);
    size_t len = 0;
    assert_non_null(text);
    for (size_t i = 0; i < 2; i++) {
        FILE *f = fopen(names[i], "r"); /* tests run at the root of the tree */
        assert_non_null(f);
        len += fread(text + len, 1, (1u << 20) - 1 - len, f);
        fclose(f);
    }
    assert_true(len > 0);
    return text;
}

static void test_sql_catalogue__every_statement_is_taken(void **state)
{
    struct fixture *f = *state;
    sql_close(f->db);
    f->db = NULL;
    char *schema = read_schema();
    assert_ok(sql_open(f->url, NULL, &f->db));
    if (sql_is_postgres(f->db))
        assert_ok(sql_script(f->db, NULL, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"));
    else
        assert_ok(sql_script(f->db, NULL,
                             "DROP TABLE txns; DROP TABLE sessions; DROP TABLE children;"
                             "DROP TABLE items"));
    assert_ok(sql_script(f->db, NULL, schema));
    free(schema);
    assert_ok(sql_check(f->db));
}

int main(void)
{
    static const struct CMUnitTest on_sqlite[] = {cmocka_unit_test_setup_teardown(
        test_sql_catalogue__every_statement_is_taken, fixture_sqlite, fixture_down)};
    static const struct CMUnitTest on_postgres[] = {cmocka_unit_test_setup_teardown(
        test_sql_catalogue__every_statement_is_taken, fixture_postgres, fixture_down)};
    int failed = cmocka_run_group_tests_name("sqlite", on_sqlite, NULL, NULL);
    if (getenv("KISEKI_TEST_PG") != NULL)
        failed += cmocka_run_group_tests_name("postgres", on_postgres, NULL, NULL);
    return failed != 0;
}
